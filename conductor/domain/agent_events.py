"""What happens while an agent runs, in one schema: each agent's stream and the gate's calls become these.

Each is one line of `agent.jsonl`: {"at": RFC 3339, "event": kind, ...its fields, those that say nothing left out}.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar

from conductor.domain.failure import Failure
from conductor.domain.usage import Usage

LONGEST_TEXT = 4000
"""Characters of tool input and output kept in an event; an agent's own words are kept whole."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A provider's refusal to serve an account for a time."""

    resets_at: float | None = None
    """Seconds since 1970; None: not told."""
    kind: str = ""
    """As the provider names it: five_hour, requests, tokens, ..."""
    said: str = ""
    """Its own words, for a person."""


@dataclass(frozen=True, slots=True)
class Started:
    kind: ClassVar[str] = "started"
    session: str = ""
    model: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """Words of the agent. `final`: its whole answer, which replaces what came before."""

    kind: ClassVar[str] = "text"
    text: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """A sign of life that is nothing else: thinking, a plan, a part of an answer."""

    kind: ClassVar[str] = "progress"
    what: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    kind: ClassVar[str] = "tool_call"
    id: str
    name: str
    input: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult:
    kind: ClassVar[str] = "tool_result"
    id: str
    ok: bool = True
    text: str = ""
    denied: bool = False


@dataclass(frozen=True, slots=True)
class Retry:
    """The agent itself tries a model call again."""

    kind: ClassVar[str] = "retry"
    reason: str = ""
    status: int | None = None
    wait_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class LimitHit:
    """`rejected`: calls are refused until it resets; else only a warning that it is near."""

    kind: ClassVar[str] = "limit"
    limit: Limit
    rejected: bool = True


@dataclass(frozen=True, slots=True)
class UsageTold:
    """`total`: of the session up to now, else on top of what was told before."""

    kind: ClassVar[str] = "usage"
    usage: Usage
    model: str = ""
    total: bool = False


@dataclass(frozen=True, slots=True)
class CostTold:
    """US dollars; `total` as in UsageTold."""

    kind: ClassVar[str] = "cost"
    usd: float
    total: bool = False


@dataclass(frozen=True, slots=True)
class Error:
    """`final`: the agent gives up because of it."""

    kind: ClassVar[str] = "error"
    message: str
    failure: Failure = Failure.NONE
    status: int | None = None
    final: bool = False


@dataclass(frozen=True, slots=True)
class Denied:
    """A permission that the agent asked for and did not get."""

    kind: ClassVar[str] = "denied"
    what: str


@dataclass(frozen=True, slots=True)
class End:
    """The agent's own word on how it ended: a run without one was cut."""

    kind: ClassVar[str] = "end"
    succeeded: bool
    reason: str = ""
    failure: Failure = Failure.NONE
    turns: int | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One model call as the gate saw it. `status` None: the provider could not be reached."""

    kind: ClassVar[str] = "call"
    path: str
    status: int | None
    model: str = ""
    seconds: float = 0.0
    first_byte_seconds: float | None = None
    usage: Usage | None = None
    limit: Limit | None = None
    error: str = ""
    complete: bool = True
    """Whether the answer came to its end."""
    left: bool = False
    """It did not because the agent wanted no more of it, or was gone."""


AgentEvent = (
    Started
    | Text
    | Progress
    | ToolCall
    | ToolResult
    | Retry
    | LimitHit
    | UsageTold
    | CostTold
    | Error
    | Denied
    | End
    | Call
)


def event_fields(event: AgentEvent) -> dict[str, Any]:
    """`event` as JSON-able fields, those that say nothing left out; long tool texts are cut."""
    told: dict[str, Any] = {"event": event.kind}
    for field in fields(event):
        value = getattr(event, field.name)
        if isinstance(value, Usage):
            value = {name: count for name, count in value.as_dict().items() if count}
        elif isinstance(value, Limit):
            value = {one.name: getattr(value, one.name) for one in fields(value) if getattr(value, one.name)}
        if value is None or value == "" or value == field.default:
            continue
        if isinstance(event, ToolCall | ToolResult) and isinstance(value, str):
            value = value[:LONGEST_TEXT]
        told[field.name] = value
    return told


_KINDS: dict[str, Any] = {
    event.kind: event
    for event in (
        Started,
        Text,
        Progress,
        ToolCall,
        ToolResult,
        Retry,
        LimitHit,
        UsageTold,
        CostTold,
        Error,
        Denied,
        End,
        Call,
    )
}


def event_from_fields(told: Mapping[str, Any]) -> AgentEvent:
    """The event that `event_fields` told. Raises KeyError, TypeError or ValueError where it can't be one."""
    kind = _KINDS[told["event"]]
    values: dict[str, Any] = {}
    for field in fields(kind):
        nothing = None if "None" in str(field.type) else ""
        value = told.get(field.name, nothing if field.default is MISSING else field.default)
        if field.name == "usage" and value is not None:
            value = Usage(**value)
        elif field.name == "limit" and value is not None:
            value = Limit(**value)
        elif field.name == "failure":
            value = Failure(value)
        values[field.name] = value
    event: AgentEvent = kind(**values)
    return event
