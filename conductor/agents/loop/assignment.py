"""What the child process is told: everything it needs, none of it in argv or the environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from conductor.domain.agent_setup import Autonomy


@dataclass(frozen=True, slots=True)
class Assignment:
    """One attempt. `protocol`: anthropic or chat. `url`: up to, not including, `/v1`. `window`, `max_tokens` and
    `budget` are tokens; budget 0: no limit of its own."""

    protocol: str
    url: str
    key: str
    model: str
    thinking: str
    autonomy: Autonomy
    workspace: str
    text: str
    max_turns: int = 50
    budget: int = 0
    window: int = 200_000
    max_tokens: int = 0
    """Of one answer; 0: as the protocol has it."""
    silence_seconds: float = 300.0
    """Longest silence of the provider within a call."""
    tools: bool = True
    path: str = "/v1/chat/completions"
    """Of `chat` alone."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields that go into each request as they are."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Assignment:
        fields = json.loads(text)
        return cls(**{**fields, "autonomy": Autonomy(fields["autonomy"])})
