"""Every agent that a task can name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from conductor.domain.agent_setup import AgentSetup

if TYPE_CHECKING:
    from conductor.settings.model import Settings

_SAYS_NOTHING = ("generic",)
"""Kinds that are an agent only with what the settings say."""


def chosen_setups(settings: Settings, kinds: Mapping[str, str]) -> dict[str, AgentSetup]:
    """Every agent that a task can name: those of the settings, and each installed kind under its own name, where that
    alone says enough."""
    setups = settings.agent_setups()
    named = {name: one for name, one in setups.items() if one.kind in kinds or name in settings.agents}
    plain = (kind for kind in kinds if kind not in setups and kind not in _SAYS_NOTHING)
    return dict(
        sorted({**named, **{kind: AgentSetup(kind, kind, autonomy=settings.autonomy) for kind in plain}}.items())
    )
