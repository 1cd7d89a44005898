"""What the settings say of an agent and of a model provider, checked: plain values that nurseries can be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Autonomy(StrEnum):
    """How far an agent may go without being asked; each CLI's own flags follow from it."""

    READ_ONLY = "read-only"
    WORKSPACE = "workspace"
    """It may change what lies in the workspace and run commands there."""
    FULL = "full"
    """Unconfined."""


THINKING_LEVELS = ("off", "minimal", "low", "medium", "high", "xhigh", "adaptive", "max")


@dataclass(frozen=True, slots=True)
class ProviderSetup:
    """Where models are served. `form` is the protocol: anthropic, openai (Responses and Chat Completions) or gemini."""

    name: str
    form: str
    base_url: str
    """With its path up to, not including, `/v1...`."""
    key: str = ""
    """Where the key is: `env:NAME`, `file:PATH`, `credential:NAME`; empty: no key."""
    account: str = "default"
    """Limits belong to a provider and an account."""
    concurrency: int | None = None
    """Most agents at once; None: any number."""


@dataclass(frozen=True, slots=True)
class AgentSetup:
    """One agent as it is used here. `kind` is the adapter: claude, codex, gemini, opencode, openclaw, anthropic, chat,
    generic, command, or a plugin's name."""

    name: str
    kind: str
    binary: str = ""
    """Path or name of its program; empty: the adapter's own name for it."""
    provider: ProviderSetup | None = None
    """None: it finds its own way (a subscription's login), and there is no gate."""
    gate: bool = True
    model: str = ""
    """Used when the task names none; empty: the agent's own default."""
    thinking: str = ""
    autonomy: Autonomy = Autonomy.WORKSPACE
    memory_bytes: int | None = None
    """What it is declared to take; None: the adapter's own figure, then what was learned."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What only its adapter knows: the YAML of `generic`, limits of turns, a warm start."""

    @property
    def lane(self) -> tuple[str, str]:
        """(provider, account) that its limits belong to; its own name where it has no provider."""
        return (self.provider.name, self.provider.account) if self.provider else (self.name, "default")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> AgentSetup:
        provider = fields.get("provider")
        known = {**fields, "provider": ProviderSetup(**provider) if provider else None}
        return cls(**{**known, "autonomy": Autonomy(fields.get("autonomy", Autonomy.WORKSPACE))})
