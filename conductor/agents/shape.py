"""The shape of an agent: what each adapter has unless it says otherwise."""

from __future__ import annotations

from conductor.domain.agent_setup import AgentSetup
from conductor.ports import Abilities, EventReader, Prompt


class PlainAgent:
    """An agent whose output is plain text and that keeps nothing between runs. Adapters add `launch` and `judge`."""

    abilities = Abilities()

    def __init__(self, setup: AgentSetup) -> None:
        self.setup = setup

    def reader(self) -> EventReader | None:
        return None

    def settle(self, prompt: Prompt) -> None:
        """Nothing to take home."""
