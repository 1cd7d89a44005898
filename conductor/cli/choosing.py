"""Which agent `conductor init` makes the default, from what is here; and the words that say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from conductor.agents.presence import INSTALL

PREFERRED = ("claude", "codex", "gemini", "opencode", "openclaw", "anthropic")
"""The first one that can work becomes the default; `anthropic` is the API itself and needs a key."""

_LOG_IN = {
    "claude": "run `claude` once, or set ANTHROPIC_API_KEY",
    "codex": "run `codex login`, or set OPENAI_API_KEY",
    "gemini": "run `gemini` once, or set GEMINI_API_KEY",
    "opencode": "run `opencode auth login`, or set ANTHROPIC_API_KEY",
    "openclaw": "run `openclaw onboard`, or set ANTHROPIC_API_KEY",
    "anthropic": "set ANTHROPIC_API_KEY",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A kind of agent as it is found here."""

    kind: str
    installed: bool
    program: str = ""
    """Its path; empty for one that is no program."""
    access: str = ""
    """Where its key or login is, in words; empty: it has none."""
    fault: str = ""
    """What is wrong with its key."""

    @property
    def works(self) -> bool:
        return self.installed and bool(self.access) and not self.fault

    def __str__(self) -> str:
        return f"{self.kind} ({', '.join(part for part in (self.program, self.access) if part)})"


def choose(candidates: Sequence[Candidate]) -> Candidate | None:
    """The one to make the default; None where none can work."""
    order = {kind: place for place, kind in enumerate(PREFERRED)}
    able = [one for one in candidates if one.works and one.kind in order]
    return min(able, key=lambda one: order[one.kind], default=None)


def explain(chosen: Candidate | None, candidates: Sequence[Candidate], simulate: str) -> list[str]:
    """What was chosen and why, what else there is, and what was not found: lines for a person."""
    lines = [f"default agent: {chosen}"] if chosen else []
    if chosen:
        lines[0] += ": the first of " + ", ".join(PREFERRED) + " that is installed and has a key or a login"
    if simulate:
        lines.append(f"every provider is simulated by {simulate}: no key is used, no answer is a real model's")
    for one in candidates:
        if one is chosen:
            continue
        if one.works:
            lines.append(f"also ready: {one}: `--agent {one.kind}`")
        elif one.installed and one.fault:
            lines.append(f"{one.kind} can't be used: {one.fault}")
        elif one.installed and one.kind in _LOG_IN:
            lines.append(f"{one.kind} has no key and no login: {_LOG_IN[one.kind]}")
    missing = [one.kind for one in candidates if not one.installed]
    if missing:
        lines.append(f"not installed: {', '.join(missing)}")
    return lines if chosen else [*lines, *without_agent(missing)]


def without_agent(missing: Sequence[str]) -> list[str]:
    """What to do where no agent can work."""
    kind = next((one for one in PREFERRED if one in missing and one in INSTALL), "claude")
    return [
        "no agent can be used yet, so tasks must name one:",
        f"  an agent:        {INSTALL[kind]}, then {_LOG_IN[kind]}, then `conductor init --force`",
        "  shell commands:  `conductor init --force --agent command`",
        "  without a key:   `conductor sim`, then `conductor init --force --simulate http://127.0.0.1:8199`",
    ]
