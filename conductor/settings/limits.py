"""Limits, budgets and prices in conductor.yaml."""

from __future__ import annotations

import os
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from conductor.domain.budget import Budget
from conductor.domain.errors import SettingsInvalid
from conductor.domain.home import Home
from conductor.domain.limit_rules import BudgetRules, LimitRules
from conductor.settings.faults import Fault, told
from conductor.settings.places import nearest_place
from conductor.settings.source import read_layer
from conductor.settings.values import Bytes, Name, Seconds, Strict

Dollars = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class LimitSettings(Strict):
    park: bool = Field(True, description="a limit parks its provider; false: it holds up only the task that met it")
    longest_park: Seconds = Field(7 * 86400.0, description="no told reset parks a provider for longer")
    wait_in_run: Seconds = Field(60.0, description="an agent may wait in its run for a reset that is nearer")
    memory_floor: Bytes = Field(256 * (1 << 20), description="memory kept free by not starting agents")

    def rules(self) -> LimitRules:
        return LimitRules(self.park, self.longest_park, self.wait_in_run, self.memory_floor)


class Amounts(Strict):
    """A budget: what is left out has no limit."""

    usd: Dollars | None = Field(None, description="US dollars")
    tokens: int | None = Field(None, ge=0, description="all tokens, cached ones too")
    runs_per_hour: int | None = Field(None, ge=0, description="attempts started within an hour of the clock, UTC")

    def budget(self) -> Budget:
        return Budget(self.usd, self.tokens, self.runs_per_hour)


class TaskAmounts(Strict):
    """The budget of one task."""

    usd: Dollars | None = Field(None, description="US dollars")
    tokens: int | None = Field(None, ge=0, description="all tokens, cached ones too")

    def budget(self) -> Budget:
        return Budget(self.usd, self.tokens)


class ProjectAmounts(Amounts):
    """One project's own budget for a UTC day, in place of `project`; `task`: for each of its tasks."""

    task: TaskAmounts | None = Field(None, description="for each of its tasks")


class BudgetSettings(Strict):
    task: TaskAmounts = Field(TaskAmounts.model_validate({}), description="for each task that names no budget")
    project: Amounts = Field(Amounts.model_validate({}), description="for each project in a day, UTC")
    day: Amounts = Field(Amounts.model_validate({}), description="for all together in a day, UTC")
    projects: dict[Name, ProjectAmounts] = Field({}, description="other budgets for single projects")

    def rules(self) -> BudgetRules:
        return BudgetRules(
            task=self.task.budget(),
            project=self.project.budget(),
            day=self.day.budget(),
            projects={name: one.budget() for name, one in self.projects.items()},
            project_tasks={name: one.task.budget() for name, one in self.projects.items() if one.task},
        )


class PriceSettings(Strict):
    """US dollars for 1,000,000 tokens."""

    input: Dollars
    output: Dollars
    cached: Dollars | None = None
    cache_written: Dollars | None = None


_PRICES: TypeAdapter[dict[str, PriceSettings]] = TypeAdapter(dict[str, PriceSettings])


def user_prices(home: Home, path: str) -> dict[str, dict[str, Any]]:
    """The user's price table {model: {input, output, cached?, cache_written?}}, empty where there is no file.
    A relative `path` is one in the home. A model that ends in `*` stands for all that begin so.

    Raises SettingsInvalid."""
    where = os.path.join(home.path, os.path.expanduser(path))
    layer = read_layer(where)
    try:
        return {name: price.model_dump() for name, price in _PRICES.validate_python(layer.values).items()}
    except ValidationError as error:
        found = [Fault(fault["loc"], nearest_place(fault["loc"], [layer]), fault["msg"]) for fault in error.errors()]
        raise SettingsInvalid(f"prices in {where} are wrong:\n{told(found)}") from None
