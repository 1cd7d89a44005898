"""The words that a conversation is made of, whatever protocol its model speaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from conductor.agents.loop.voice import Voice
from conductor.domain.agent_events import Limit
from conductor.domain.failure import Failure


class Stop(StrEnum):
    """Why the model ended its answer."""

    DONE = "done"
    TOOLS = "tools"
    LENGTH = "length"
    """It reached the most that one answer may have."""
    WINDOW = "window"
    """The context window is full."""
    REFUSED = "refused"
    """The provider's policy."""
    PAUSED = "paused"
    """It wants to be asked again as it is."""


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A call that the model asks for. `input` None: it broke off, or is no JSON object."""

    id: str
    name: str
    input: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """What a call came to. `denied`: it was refused a change that lies outside what it may do."""

    id: str
    text: str
    ok: bool = True
    denied: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    text: str
    answers_left_out: int = 0
    """Of the oldest answers, with their tool results."""

    @property
    def whole(self) -> str:
        """As the model is asked."""
        if not self.answers_left_out:
            return self.text
        return (
            f"{self.text}\n\n[{self.answers_left_out} of your earlier answers were left out here to save context, "
            "with the results of their tools; what they changed stands]"
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """`blocks`: the answer in the model's own protocol, to be sent back as it came (thinking has signatures)."""

    text: str
    uses: tuple[ToolUse, ...]
    stop: Stop
    blocks: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Returned:
    """The outcomes of all calls of the answer before it, in its order."""

    outcomes: tuple[ToolOutcome, ...]


Turn = Asked | Answer | Returned


class ModelRefused(Exception):
    """A call that gave no answer. `wait_seconds`: what the provider asks to wait, where it told."""

    def __init__(
        self,
        failure: Failure,
        message: str,
        *,
        status: int | None = None,
        limit: Limit | None = None,
        wait_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.failure = failure
        self.status = status
        self.limit = limit
        self.wait_seconds = wait_seconds


class Model(Protocol):
    """One model behind one protocol."""

    def answer(self, turns: Sequence[Turn], voice: Voice) -> Answer:
        """Asks once, tells words and usage as they come. Raises ModelRefused."""
