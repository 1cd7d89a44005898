"""A task as it was asked for, and how often it was tried."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from conductor.domain.agent_setup import Autonomy
from conductor.domain.budget import parse_budget
from conductor.domain.durations import MOST_SECONDS
from conductor.domain.errors import BadTask, UsageError

ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
GENERATED_ID = re.compile(r"[tb]-\d{8}-\d{6}-[a-z2-7]{8}(-\d+)?")
ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MAX_DESCRIPTION_BYTES = 1_048_576
MAX_PRIORITY = 999
MAX_AWAITED = 1000
DEFAULT_POOL = "default"


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One unit of work for one agent. None means: as the settings say when it runs."""

    id: str
    description: str
    model: str = ""
    thinking: str = ""
    agent: str = ""
    pool: str = DEFAULT_POOL
    priority: int = 0
    timeout_seconds: float | None = None
    stall_seconds: float | None = None
    retries: int | None = None
    workspace: str = ""
    env: tuple[tuple[str, str], ...] = ()
    not_before_ms: int = 0
    submitted_ms: int = 0
    project: str = ""
    """Whose budget, secrets and context it uses."""
    budget: str = ""
    """`2usd`, `500ktok` or both: `conductor.domain.budget.parse_budget`."""
    verify: str = ""
    """A shell command that must pass in the workspace before the task counts as done."""
    fallback: tuple[str, ...] = ()
    """`agent` or `agent:model`: who takes over while its own agent is parked or fails in a way that calls for it."""
    autonomy: str = ""
    criteria: tuple[str, ...] = ()
    """What must hold when it is done, for the prompt."""
    spec_file: str = ""
    """A file whose text goes into the prompt."""
    after: tuple[str, ...] = ()
    """Ids of the tasks that must have ended well before it may run; when one ended otherwise it fails."""


@dataclass(frozen=True, slots=True)
class Tries:
    """Counters of one task. `started` only grows and numbers the attempts; a refunded or lost one is no failure."""

    started: int = 0
    refunded: int = 0
    lost: int = 0

    @property
    def failures(self) -> int:
        """Attempts that ended badly by themselves, the present one included."""
        return self.started - self.refunded - self.lost

    def next_attempt(self) -> Tries:
        return replace(self, started=self.started + 1)

    def refund(self) -> Tries:
        return replace(self, refunded=self.refunded + 1)

    def lose(self) -> Tries:
        return replace(self, lost=self.lost + 1)

    def forgiven(self) -> Tries:
        """After `conductor retry`: every count starts anew, only the attempt numbers go on."""
        return Tries(started=self.started, refunded=self.started, lost=0)


@dataclass(frozen=True, slots=True)
class Claim:
    """A task that one worker owns: (spec.id, tries.started) is the key of all that this attempt leaves behind."""

    spec: TaskSpec
    tries: Tries
    worker_id: str
    directory: str
    """Absolute path of the attempt's own folder, tasks/<id>/<attempt>."""

    @property
    def attempt(self) -> int:
        return self.tries.started


def check_spec(spec: TaskSpec) -> TaskSpec:
    """`spec` itself when it can be accepted; raises BadTask with the first fault."""
    if not ID_PATTERN.fullmatch(spec.id):
        raise BadTask(f"task id {spec.id[:80]!r} does not match [A-Za-z0-9][A-Za-z0-9._-]{{0,63}}")
    if not ID_PATTERN.fullmatch(spec.pool):
        raise BadTask(f"pool {spec.pool[:80]!r} does not match [A-Za-z0-9][A-Za-z0-9._-]{{0,63}}")
    if not spec.description.strip():
        raise BadTask("the description is empty")
    if len(spec.description.encode("utf-8", "surrogatepass")) > MAX_DESCRIPTION_BYTES:
        raise BadTask(f"the description is longer than {MAX_DESCRIPTION_BYTES} bytes")
    if not -MAX_PRIORITY <= spec.priority <= MAX_PRIORITY:
        raise BadTask(f"priority {spec.priority} is not between -{MAX_PRIORITY} and {MAX_PRIORITY}")
    _check_text("description", spec.description)
    for name in ("model", "thinking", "agent", "workspace", "verify", "spec_file"):
        _check_text(name, getattr(spec, name))
    _check_numbers(spec)
    _check_env(spec.env)
    if spec.workspace and not spec.workspace.startswith("/"):
        raise BadTask(f"workspace {spec.workspace[:80]!r} is not an absolute path")
    _check_agent_options(spec)
    if spec.after:
        _check_after(spec)
    return spec


def parse_fallback(entry: str) -> tuple[str, str]:
    """(agent, model) of `AGENT[:MODEL]`; an empty model: the agent's own."""
    agent, _, model = entry.partition(":")
    return agent, model


def _check_agent_options(spec: TaskSpec) -> None:
    if spec.model.startswith("-") or spec.thinking.startswith("-"):
        raise BadTask(f"model {spec.model[:40]!r}, thinking {spec.thinking[:40]!r}: neither may begin with a dash")
    if spec.project and not ID_PATTERN.fullmatch(spec.project):
        raise BadTask(f"project {spec.project[:80]!r} does not match [A-Za-z0-9][A-Za-z0-9._-]{{0,63}}")
    if spec.spec_file and not spec.spec_file.startswith("/"):
        raise BadTask(f"spec file {spec.spec_file[:80]!r} is not an absolute path")
    if spec.budget:
        try:
            parse_budget(spec.budget)
        except UsageError as error:
            raise BadTask(str(error)) from None
    if spec.autonomy and spec.autonomy not in tuple(Autonomy):
        raise BadTask(f"autonomy {spec.autonomy[:40]!r}: it is one of {', '.join(Autonomy)}")
    for entry in spec.fallback:
        agent, model = parse_fallback(entry)
        if not ID_PATTERN.fullmatch(agent) or model.startswith("-") or "," in model:
            raise BadTask(f"fallback {entry[:80]!r} is not AGENT or AGENT:MODEL")
    for criterion in spec.criteria:
        _check_text("criterion", criterion)


def _check_after(spec: TaskSpec) -> None:
    if len(spec.after) > MAX_AWAITED:
        raise BadTask(f"it waits for {len(spec.after)} tasks: at most {MAX_AWAITED}")
    for awaited in spec.after:
        if not ID_PATTERN.fullmatch(awaited):
            raise BadTask(f"after {awaited[:80]!r} is no task id")
        if awaited == spec.id:
            raise BadTask(f"task {spec.id} can't wait for itself")


def _check_text(name: str, text: str) -> None:
    if "\0" in text:
        raise BadTask(f"the {name} holds a NUL byte")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise BadTask(f"the {name} is not valid UTF-8") from None


def _check_numbers(spec: TaskSpec) -> None:
    for name in ("timeout_seconds", "stall_seconds"):
        seconds = getattr(spec, name)
        if seconds is not None and not 0 < seconds <= MOST_SECONDS:
            raise BadTask(f"{name.removesuffix('_seconds')} must be longer than nothing and at most ten years")
    if spec.retries is not None and not 0 <= spec.retries <= 1000:
        raise BadTask(f"retries {spec.retries} is not between 0 and 1000")
    if spec.not_before_ms < 0 or spec.submitted_ms < 0 or max(spec.not_before_ms, spec.submitted_ms) >= 1 << 44:
        raise BadTask("a time is outside the years 1970 to 2527")


def _check_env(env: tuple[tuple[str, str], ...]) -> None:
    for name, value in env:
        if not ENV_NAME.fullmatch(name):
            raise BadTask(f"environment variable name {name[:80]!r} is not a name")
        _check_text(f"value of {name[:80]}", value)
