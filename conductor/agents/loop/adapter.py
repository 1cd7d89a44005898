"""What the adapters of our own loop have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conductor.agents.judgement import judge_told
from conductor.agents.loop.assignment import Assignment
from conductor.agents.loop.voice import EventLines
from conductor.agents.shape import PlainAgent
from conductor.domain.budget import parse_budget
from conductor.domain.errors import BadTask
from conductor.domain.models import check_thinking
from conductor.ports import AgentReport, Ending, EventReader, Launch, Prompt

_WHOLE = ("max_turns", "budget_tokens", "window", "max_tokens")
_KNOWN = (*_WHOLE, "silence_seconds", "tools", "path", "extra")


class LoopAgent(PlainAgent):
    """The loop runs in the worker's forked child: no program starts, no import is paid there."""

    protocol = ""
    default_model = ""
    default_window = 128_000

    def launch(self, prompt: Prompt) -> Launch:
        """Raises BadTask."""
        thinking = check_thinking(prompt.thinking or self.setup.thinking, self.abilities.thinking, self.setup.name)
        model = prompt.model or self.setup.model or self.default_model
        if not model:
            raise BadTask(f"agent {self.setup.name}: say which model, with --model or in its settings")
        url, key = self._endpoint(prompt)
        options = self._options()
        budget = parse_budget(prompt.spec.budget).tokens if prompt.spec.budget else None
        assignment = Assignment(
            protocol=self.protocol,
            url=url,
            key=key,
            model=model.removeprefix(f"{self.setup.provider.name}/") if self.setup.provider else model,
            thinking=thinking,
            autonomy=prompt.autonomy,
            workspace=prompt.workspace,
            text=prompt.text or prompt.spec.description,
            budget=min(filter(None, (budget, options.pop("budget_tokens", 0))), default=0),
            **options,
        )
        return Launch(call=("conductor.agents.loop.main:run", assignment.to_json()), structured=True)

    def reader(self) -> EventReader:
        return EventLines()

    def judge(self, prompt: Prompt, ending: Ending) -> AgentReport:
        return judge_told(prompt, ending)

    def _endpoint(self, prompt: Prompt) -> tuple[str, str]:
        """(url, key). The worker gives no endpoint where it found no key. Raises BadTask."""
        if prompt.endpoint is not None:
            return prompt.endpoint.url, prompt.endpoint.key
        if self.setup.provider is None:
            raise BadTask(f"agent {self.setup.name}: it needs a provider: name one in its settings")
        return self.setup.provider.base_url, ""

    def _options(self) -> dict[str, Any]:
        """Those of the settings. Raises BadTask."""
        options = {"window": self.default_window, **self.setup.options}
        for name, value in options.items():
            if name not in _KNOWN:
                raise BadTask(f"agent {self.setup.name}: no option {name!r}: there is {', '.join(_KNOWN)}")
            if not _fits(name, value):
                raise BadTask(f"agent {self.setup.name}: option {name} can't be {value!r}")
        return options


def _fits(name: str, value: object) -> bool:
    if name == "tools":
        return isinstance(value, bool)
    if name == "path":
        return isinstance(value, str) and value.startswith("/")
    if name == "extra":
        return isinstance(value, Mapping)
    kinds = (int, float) if name == "silence_seconds" else (int,)
    return isinstance(value, kinds) and not isinstance(value, bool) and value > 0
