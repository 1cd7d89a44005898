"""Thinking levels in the words of the Anthropic API, which depend on how old a model is."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from conductor.agents.loop.exchange import ModelRefused
from conductor.domain.failure import Failure

MAX_TOKENS = 32_000
_LEAST_ANSWER = 1024
_BUDGETS = {
    "minimal": 1024,
    "low": 4096,
    "medium": 10_000,
    "adaptive": 10_000,
    "high": 16_000,
    "xhigh": 24_000,
    "max": 31_000,
}
_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
_FIRST_ADAPTIVE = (4, 6)
_FIRST_XHIGH = (4, 7)
_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
_MOST_TOKENS = re.compile(r"max_tokens: \d+ > (\d+)")
_INTERLEAVED = {"anthropic-beta": "interleaved-thinking-2025-05-14"}


@dataclass(frozen=True, slots=True)
class RequestForm:
    """What of a request depends on the model. `way`: adaptive, budget, or plain (nothing is said of thinking)."""

    way: str
    level: str
    max_tokens: int
    version: tuple[int, int] | None = None
    tried: tuple[str, ...] = ()

    @property
    def fields(self) -> dict[str, Any]:
        """Of the request's body."""
        if not self.level or self.way == "plain":
            return {}
        if self.way == "budget":
            budget = min(_BUDGETS.get(self.level, 0), self.max_tokens - _LEAST_ANSWER)
            return {"thinking": {"type": "enabled", "budget_tokens": budget}} if budget >= _LEAST_ANSWER else {}
        if self.level == "off":
            return {"thinking": {"type": "disabled"}}
        effort = _EFFORTS.get(self.level)
        if effort == "xhigh" and self.version is not None and self.version < _FIRST_XHIGH:
            effort = "high"
        return {"thinking": {"type": "adaptive"}, **({"output_config": {"effort": effort}} if effort else {})}

    @property
    def headers(self) -> dict[str, str]:
        """Thinking between tool calls has to be asked for where it has a budget."""
        return dict(_INTERLEAVED) if self.way == "budget" and self.fields else {}

    def after(self, refused: ModelRefused) -> RequestForm | None:
        """What to try when a model does not take this one; None: it was refused for something else."""
        message = str(refused)
        if refused.failure is not Failure.BAD_REQUEST:
            return None
        most = _MOST_TOKENS.search(message)
        if most and 0 < int(most[1]) < self.max_tokens:
            return replace(self, max_tokens=int(most[1]))
        if self.fields and re.search(r"thinking|effort|output_config|budget_tokens", message):
            tried = (*self.tried, self.way)
            ways = [way for way in ("adaptive", "budget", "plain") if way not in tried]
            return replace(self, way=ways[0], tried=tried)
        return None


def request_form(model: str, level: str, max_tokens: int) -> RequestForm:
    """Models from 4.6 on decide themselves how much they think, by effort; older ones, and those that are none of
    Anthropic's, take a budget of tokens."""
    found = _VERSION.search(model.lower())
    version = (int(found[1]), int(found[2] or 0)) if found else None
    adaptive = version >= _FIRST_ADAPTIVE if version else "claude" in model.lower()
    return RequestForm("adaptive" if adaptive else "budget", level, max_tokens or MAX_TOKENS, version)
