"""What the settings say of limits and budgets: plain values that nurseries can be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from conductor.domain.budget import Budget, parse_budget
from conductor.domain.task import TaskSpec


@dataclass(frozen=True, slots=True)
class LimitRules:
    """Times in seconds, sizes in bytes."""

    park: bool = True
    """False: a limit holds up only the task that met it, as with `conductor limits allow` for every provider."""
    longest_park: float = 7 * 86400.0
    """No told reset parks a provider for longer."""
    wait_in_run: float = 60.0
    """An agent whose provider's limit resets sooner than this may wait for it itself, in its run."""
    memory_floor: int = 256 * 1_048_576
    """Kept free by not starting agents."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> LimitRules:
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class BudgetRules:
    """`task` is for one task, `project` for one project's UTC day, `day` for the UTC day of all together."""

    task: Budget = Budget()
    project: Budget = Budget()
    day: Budget = Budget()
    projects: Mapping[str, Budget] = field(default_factory=dict)
    """By project, in place of `project`."""
    project_tasks: Mapping[str, Budget] = field(default_factory=dict)
    """By project, in place of `task`."""

    def of_task(self, spec: TaskSpec) -> Budget:
        """The task's own budget where it names one, else that of its project's tasks."""
        return parse_budget(spec.budget) if spec.budget else self.project_tasks.get(spec.project, self.task)

    def of_project(self, project: str) -> Budget:
        """Tasks without a project share none: only the day's budget holds for them."""
        return self.projects.get(project, self.project) if project else Budget()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> BudgetRules:
        by_project = {name: _budgets(fields[name]) for name in ("projects", "project_tasks")}
        task, project, day = (Budget(**fields[name]) for name in ("task", "project", "day"))
        return cls(task, project, day, **by_project)


def _budgets(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, Budget]:
    return {project: Budget(**one) for project, one in fields.items()}
