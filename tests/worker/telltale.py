"""An agent that repeats every secret it was told, wherever it can."""

from __future__ import annotations

from conductor.agents.shape import PlainAgent
from conductor.ports import AgentReport, Ending, Launch, Prompt


class Telltale(PlainAgent):
    """Its process says nothing; its judgement says all."""

    def launch(self, prompt: Prompt) -> Launch:
        return Launch(("true",))

    def judge(self, prompt: Prompt, ending: Ending) -> AgentReport:
        secret = prompt.spec.env[0][1]
        return AgentReport(False, f"why {secret}", f"answer {secret}", f"preview {secret}")
