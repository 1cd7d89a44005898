"""Plain data in the form of a plan file into a Plan that is valid, or every fault of it at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from conductor.domain.graph import Node
from conductor.domain.plan import COMMAND_AGENT, Plan, Step
from conductor.domain.tangles import cycles, duplicate_ids, path_text, unknown_dependencies
from conductor.orchestrator.plans.faults import MOST_FAULTS, fault_text, place_text, refuse
from conductor.orchestrator.plans.form import PLAN_ALIASES, STEP_ALIASES, PlanForm, StepForm
from conductor.orchestrator.plans.statuses import DONE, notes_of, state_of, with_those_that_wait
from conductor.orchestrator.plans.values import as_list, did_you_mean, quoted

_TITLE_CHARACTERS = 80
_OVER = ("completed", "done", "cancelled")
MOST_PLACES = 5
MOST_COMPARED = 200
"""Steps in a plan whose ids are compared with a misspelt one."""
_PLAN_NAMES = (*PlanForm.model_fields, *PLAN_ALIASES)
_STEP_NAMES = (*StepForm.model_fields, *STEP_ALIASES)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a plan comes from."""

    what: str
    """As errors name it: a path, `the answer of claude:opus`."""
    places: tuple[str, ...] = ()
    """What errors call each step; empty: `steps[0]` and so on."""
    from_model: bool = False
    """Names that the form does not know are passed over, and steps without an id get one."""
    path: str = ""
    name: str = ""
    """Of the plan, should it not say."""
    notes: tuple[str, ...] = ()


class _Renamed:
    """One mapping with the form's own names; remembers what its author called them."""

    def __init__(self, raw: Mapping[Any, Any], aliases: Mapping[str, str]) -> None:
        self.values: dict[str, Any] = {}
        self.called: dict[str, str] = {}
        self.faults: list[str] = []
        for key, value in raw.items():
            # Null and nothing are how machines leave a thing out.
            if value is None or value == "":
                continue
            name = aliases.get(key, key) if isinstance(key, str) else str(key)
            if name in self.called:
                self.faults.append(f"{quoted(self.called[name])} and {quoted(key)} mean the same: write one of them")
            self.values[name] = value
            self.called[name] = str(key)

    def keep_only(self, names: Iterable[str]) -> None:
        self.values = {name: self.values[name] for name in names if name in self.values}


class _Draft:
    """The raw plan while it is checked."""

    def __init__(self, data: Mapping[Any, Any], source: Source) -> None:
        self.head = _Renamed({key: value for key, value in data.items() if key != "$schema"}, PLAN_ALIASES)
        self.steps_name = self.head.called.get("steps", "steps")
        found = self.head.values.get("steps")
        self.steps = [_Renamed(step, STEP_ALIASES) if isinstance(step, Mapping) else step for step in _list_of(found)]
        self._places = source.places
        if source.from_model:
            self._forgive()
        if isinstance(found, list | tuple):
            self.head.values["steps"] = [step.values if isinstance(step, _Renamed) else step for step in self.steps]

    def _forgive(self) -> None:
        self.head.keep_only(PlanForm.model_fields)
        for number, step in enumerate(self.steps, 1):
            if isinstance(step, _Renamed):
                step.keep_only(name for name in StepForm.model_fields if name != "status")
                step.values.setdefault("id", f"task-{number:03d}")

    def place(self, index: int) -> str:
        return self._places[index] if self._places else f"{self.steps_name}[{index}]"

    def locate(self, loc: tuple[int | str, ...]) -> str:
        """Where the author finds what pydantic found at `loc`."""
        if len(loc) < 2 or loc[0] != "steps":
            return place_text([self.head.called.get(str(part), part) for part in loc[:1]] + list(loc[1:]))
        index, *rest = loc[1:]
        step = self.steps[int(index)]
        if rest and isinstance(step, _Renamed):
            rest[0] = step.called.get(str(rest[0]), str(rest[0]))
        return place_text((self.place(int(index)), *rest))

    def name_faults(self) -> list[str]:
        faults = list(self.head.faults)
        # The form can't tell: it does not count what is faulty.
        if self.head.values.get("steps") == []:
            faults.append(f"{self.steps_name}: is empty: a plan has at least one step")
        for index, step in enumerate(self.steps):
            if isinstance(step, _Renamed):
                faults += [f"{self.place(index)}: {fault}" for fault in step.faults]
        return faults

    def nodes(self) -> list[Node]:
        """What can be told of ids and dependencies, even where other things are wrong."""
        return [
            Node(_id_in(step, index), [str(one) for one in _list_of(as_list(_value_in(step, "depends_on")))])
            for index, step in enumerate(self.steps)
        ]


def build_plan(data: Mapping[Any, Any], source: Source) -> Plan:
    """Raises PlanInvalid with every fault."""
    draft = _Draft(data, source)
    faults = draft.name_faults()
    form = None
    try:
        form = PlanForm.model_validate(draft.head.values)
    except ValidationError as error:
        # One more than is told, so that it is told that there are more.
        faults += [_form_fault(draft, found) for found in error.errors(include_url=False)[: MOST_FAULTS + 1]]
    faults += _graph_faults(draft)
    if form is not None:
        faults += [fault for index, step in enumerate(form.steps) for fault in _step_faults(step, draft.place(index))]
    if form is None or faults:
        raise refuse(source.what, faults)
    steps, notes = _left_to_do(form.steps)
    if not steps:
        raise refuse(source.what, ["there is nothing left to do: every step is completed or cancelled"])
    return Plan(
        name=form.name or source.name or source.what,
        steps=steps,
        description=form.description,
        project=form.project,
        check=form.check,
        from_model=source.from_model or form.from_model,
        source=source.path,
        notes=source.notes + notes,
    )


def _left_to_do(forms: tuple[StepForm, ...]) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """Without what is completed, which counts as merged, and what is cancelled, with all that waits for it; and what
    is to be told of that."""
    steps = tuple(map(_step_of, forms))
    states = {form.id: state_of(form.status) if form.status in _OVER else "" for form in forms}
    if not any(states.values()):
        return steps, ()
    states = with_those_that_wait(states, {step.id: step.depends_on for step in steps})
    left = (step for step in steps if not states[step.id])
    unmet = (replace(one, depends_on=tuple(two for two in one.depends_on if states[two] != DONE)) for one in left)
    return tuple(unmet), notes_of(states, "steps")


def _form_fault(draft: _Draft, found: ErrorDetails) -> str:
    loc = found["loc"]
    text = fault_text(found, _PLAN_NAMES if len(loc) == 1 else _STEP_NAMES)
    place = draft.locate(loc[:-1] if found["type"] == "extra_forbidden" else loc)
    return f"{place}: {text}" if place else text


def _graph_faults(draft: _Draft) -> list[str]:
    nodes = draft.nodes()
    places: dict[str, list[str]] = {step_id: [] for step_id in duplicate_ids(nodes)}
    for at, node in enumerate(nodes):
        if node.id in places:
            places[node.id].append(draft.place(at))
    faults = [f"{quoted(step_id)} is the id of {' and '.join(at[:MOST_PLACES])}" for step_id, at in places.items()]
    ids = tuple(node.id for node in nodes) if len(nodes) <= MOST_COMPARED else ()
    for at, parent in unknown_dependencies(nodes)[: MOST_FAULTS + 1]:
        place = draft.locate(("steps", at, "depends_on"))
        faults.append(f"{place}: there is no step {quoted(parent)}{did_you_mean(parent, ids)}")
    faults += [f"a cycle, each waits for the next: {path_text(path)}" for path in cycles(nodes)]
    return faults


def _step_faults(step: StepForm, place: str) -> list[str]:
    faults = []
    if not step.title and not step.description.strip():
        faults.append(f"{place}: a title or a description is missing")
    elif step.agent == COMMAND_AGENT and not step.description.strip():
        faults.append(f"{place}.description: is missing: for the agent command it is the shell command")
    return faults


def _step_of(form: StepForm) -> Step:
    description = form.description.strip() or form.title
    first_line = " ".join(description.split("\n", 1)[0].split())
    return Step(
        id=form.id,
        title=form.title or first_line[:_TITLE_CHARACTERS],
        description=description,
        type=form.type,
        category=form.category,
        complexity=form.complexity,
        depends_on=tuple(dict.fromkeys(form.depends_on)),
        files=tuple(dict.fromkeys(form.files)),
        criteria=form.criteria,
        agent=form.agent,
        model=form.model or "",
        thinking=form.thinking,
        estimate_seconds=form.estimate,
        timeout_seconds=form.timeout,
        retries=form.retries,
        verify=form.verify,
        priority=form.priority,
        allow_empty=form.allow_empty,
        confidence=form.confidence,
    )


def _list_of(found: object) -> Sequence[Any]:
    return found if isinstance(found, list | tuple) else ()


def _value_in(step: object, name: str) -> Any:
    return step.values.get(name) if isinstance(step, _Renamed) else None


def _id_in(step: object, index: int) -> str:
    """Without one its place, which no dependency can name."""
    found = _value_in(step, "id")
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) else f"\0{index}"
