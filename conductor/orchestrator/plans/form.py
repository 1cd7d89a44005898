"""The form of a plan file: what may stand in it, and within which bounds."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from conductor.domain.durations import MOST_SECONDS
from conductor.domain.plan import CATEGORIES, DEFAULT_COMPLEXITY, DEFAULT_STEP_TIMEOUT_SECONDS, STEP_ID, StepType
from conductor.domain.task import MAX_PRIORITY
from conductor.orchestrator.plans.values import (
    STATUSES,
    as_list,
    as_text,
    check_category,
    check_command,
    check_glob,
    check_id,
    check_status,
    check_text,
    no_truth,
    one_line,
)
from conductor.settings.values import ModelName, Seconds

VERSION = 1
MOST_STEPS = 50_000

ID_FORM = f"^{STEP_ID.pattern}$"
NAME_FORM = r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$"
THINKING_FORM = r"^([A-Za-z][A-Za-z0-9_-]{0,31})?$"

_TEXT_OR_NUMBER: dict[str, Any] = {"type": ["string", "integer"]}
_SECONDS: dict[str, Any] = {"type": ["number", "string"], "description": "seconds, or as 90s, 10m, 1h30m"}


def _one_or_many(item: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [item, {"type": "array", "items": item}]})


Id = Annotated[
    str, BeforeValidator(as_text), AfterValidator(check_id), WithJsonSchema({**_TEXT_OR_NUMBER, "pattern": ID_FORM})
]
Line = Annotated[str, BeforeValidator(one_line), AfterValidator(check_text), Field(max_length=500)]
Text = Annotated[str, AfterValidator(check_text), Field(max_length=131_072)]
Request = Annotated[str, AfterValidator(check_text), Field(max_length=262_144)]
Command = Annotated[str, AfterValidator(check_command), Field(max_length=65_536)]
Ids = Annotated[
    tuple[Annotated[str, BeforeValidator(as_text)], ...],
    BeforeValidator(as_list),
    Field(max_length=MOST_STEPS),
    _one_or_many(_TEXT_OR_NUMBER),
]
Globs = Annotated[
    tuple[Annotated[str, AfterValidator(check_glob), Field(max_length=1024)], ...],
    BeforeValidator(as_list),
    Field(max_length=1000),
    _one_or_many({"type": "string"}),
]
Texts = Annotated[
    tuple[Annotated[str, AfterValidator(check_text), Field(max_length=16_384)], ...],
    BeforeValidator(as_list),
    Field(max_length=100),
    _one_or_many({"type": "string"}),
]
Duration = Annotated[Seconds, Field(le=MOST_SECONDS), WithJsonSchema(_SECONDS)]
Whole = Annotated[int, BeforeValidator(no_truth)]
Share = Annotated[float, BeforeValidator(no_truth), Field(ge=0, le=1)]
Model = Annotated[ModelName | None, WithJsonSchema({"type": "string"})]
Category = Annotated[str, AfterValidator(check_category), WithJsonSchema({"enum": list(CATEGORIES)})]


Status = Annotated[str, AfterValidator(check_status), WithJsonSchema({"enum": list(STATUSES)})]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, title="conductor plan")


class StepForm(_Form):
    """One step."""

    id: Id = Field(description="unique in the plan; letters, digits, dots, dashes and underscores")
    title: Line = Field("", description="in a few words; left out: the description's first line")
    description: Text = Field("", description="what the agent is asked to do; for `command` the shell command")
    type: StepType = Field(StepType.FEATURE, description="feature, bug, refactor, test or documentation")
    category: Category = Field("", description="one of the 23 standard categories, for routing")
    complexity: Whole = Field(DEFAULT_COMPLEXITY, ge=1, le=5, description="1 trivial to 5 very complex")
    depends_on: Ids = Field((), description="ids of the steps that must be merged before it starts")
    files: Globs = Field((), description="globs, relative to the project, of what it will touch")
    criteria: Texts = Field((), description="what must hold when it is done")
    agent: str = Field("", pattern=NAME_FORM, description="who does it; left out: the router chooses")
    model: Model = Field(None, description="of that agent")
    thinking: str = Field("", pattern=THINKING_FORM, description="the level of thinking")
    estimate: Duration | None = Field(None, description="how long it should take")
    timeout: Duration = Field(DEFAULT_STEP_TIMEOUT_SECONDS, description="how long it may take")
    retries: Whole = Field(0, ge=0, le=20, description="further attempts before it counts as failed")
    verify: Command = Field("", description="a shell command that must pass where it worked")
    priority: Whole = Field(0, ge=-MAX_PRIORITY, le=MAX_PRIORITY, description="greater goes first in the queue")
    allow_empty: bool = Field(False, description="it may end well without having changed a file")
    status: Status = Field("pending", description="completed: left out, and it counts as merged; cancelled: left out")
    confidence: Share | None = Field(None, description="0 to 1: how sure its author is of this step")


class PlanForm(_Form):
    """A plan for conductor: steps with dependencies."""

    version: Whole = Field(VERSION, ge=1, le=VERSION, description="of this form")
    name: Line = Field("", description="left out: the file's name")
    description: Request = Field("", description="the request")
    project: str = Field("", pattern=NAME_FORM, description="the project that it is for")
    check: Command = Field("", description="the command that must pass before a merge; left out: the project's own")
    from_model: bool = Field(False, description="a model wrote it: its commands are shown before any of them runs")
    steps: tuple[StepForm, ...] = Field(max_length=MOST_STEPS, json_schema_extra={"minItems": 1})


STEP_ALIASES = {
    "task_id": "id",
    "dependencies": "depends_on",
    "file_targets": "files",
    "success_criteria": "criteria",
    "acceptance_criteria": "criteria",
    "estimated_duration": "estimate",
}
PLAN_ALIASES = {"tasks": "steps"}
"""Other words for the same, read too."""
