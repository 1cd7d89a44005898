"""An agent that plays what it is told: a shell script that prints events in our own schema, one JSON object a line."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from conductor.agents.judgement import judge_told
from conductor.agents.reading import JsonLineReader
from conductor.agents.shape import PlainAgent
from conductor.domain.agent_events import AgentEvent, event_from_fields
from conductor.ports import Abilities, AgentReport, Ending, EventReader, Launch, Prompt

ANSWERED = 'echo \'{"event": "text", "text": "the answer"}\'; echo \'{"event": "end", "succeeded": true}\''


class OwnSchema(JsonLineReader):
    def on_object(self, told: dict[str, Any]) -> Iterable[AgentEvent]:
        return (event_from_fields(told),)


class Player(PlainAgent):
    """Its script is the description. What it was asked and how it was left is kept for a look."""

    abilities = Abilities(stream=True, usage=True, limits=True)
    launches: tuple[Prompt, ...] = ()
    settled = 0

    def launch(self, prompt: Prompt) -> Launch:
        self.launches = (*self.launches, prompt)
        inside = f"{prompt.state_directory}/inner/note"
        return Launch(
            ("/bin/sh", "-c", prompt.spec.description),
            env=(("STATE", prompt.state_directory),),
            files=(("prompt.txt", prompt.text), (inside, "private")),
            stdin="prompt.txt",
            structured=True,
        )

    def reader(self) -> EventReader:
        return OwnSchema()

    def judge(self, prompt: Prompt, ending: Ending) -> AgentReport:
        return judge_told(prompt, ending)

    def settle(self, prompt: Prompt) -> None:
        assert os.path.exists(f"{prompt.state_directory}/inner/note")
        self.settled += 1
