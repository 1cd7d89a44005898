"""The turn loop: asks, runs the tools that the answer calls, asks again, until the model is done or may not go on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from conductor.agents.loop.context import Window, compacted, size
from conductor.agents.loop.exchange import (
    Answer,
    Asked,
    Model,
    ModelRefused,
    Returned,
    Stop,
    ToolOutcome,
    ToolUse,
    Turn,
)
from conductor.agents.loop.persistence import Again, Compact, GiveUp, Troubles, remedy
from conductor.agents.loop.tools import Toolbox
from conductor.agents.loop.voice import Voice
from conductor.domain.agent_events import End, Error, LimitHit, Progress, Retry, Text, ToolCall, ToolResult
from conductor.domain.failure import Failure


@dataclass(frozen=True, slots=True)
class Bounds:
    """`turns`: answers; `budget`: tokens of all calls, 0 for no limit; `window`: tokens of one call."""

    turns: int
    budget: int
    window: int


class Conversation:
    """One prompt to its end. `wait` takes seconds."""

    def __init__(
        self, model: Model, tools: Toolbox, voice: Voice, bounds: Bounds, wait: Callable[[float], None]
    ) -> None:
        self._model = model
        self._tools = tools
        self._voice = voice
        self._bounds = bounds
        self._wait = wait
        self._turns: list[Turn] = []
        self._window = Window(bounds.window)
        self._last_text = ""
        self._answers = 0

    def run(self, prompt: str) -> End:
        """How it ended; told already, but for the End itself."""
        self._turns = [Asked(prompt)]
        try:
            end = self._go_on()
        except ModelRefused as refused:
            end = self._refused(refused)
        if end.succeeded:
            self._voice.tell(Text(self._last_text, final=True))
        return end

    def _go_on(self) -> End:
        while True:
            stopped = self._why_stop()
            if stopped:
                return self._end(stopped, Failure.BUDGET)
            if self._window.is_full(self._turns):
                self._compact(self._window.target)
            answer = self._answer()
            self._answers += 1
            self._last_text = answer.text.strip() or self._last_text
            self._turns.append(answer)
            if answer.uses:
                self._turns.append(Returned(tuple([self._use(use) for use in answer.uses])))
            elif answer.stop is not Stop.PAUSED:
                return self._ended(answer)

    def _why_stop(self) -> str:
        if self._answers >= self._bounds.turns:
            return f"the limit of {self._bounds.turns} turns is reached, and it is not done"
        used = self._voice.used.total
        if self._bounds.budget and used >= self._bounds.budget:
            return f"the budget is used up: {used} of {self._bounds.budget} tokens"
        return ""

    def _ended(self, answer: Answer) -> End:
        match answer.stop:
            case Stop.LENGTH:
                return self._end("the answer broke off at the most tokens that one may have (max_tokens)", Failure.CUT)
            case Stop.WINDOW:
                return self._end("the context window is full", Failure.CONTEXT)
            case Stop.REFUSED:
                return self._end("the provider's policy refused an answer", Failure.BAD_REQUEST)
        return End(True, turns=self._answers)

    def _end(self, reason: str, failure: Failure) -> End:
        self._voice.tell(Error(reason, failure, final=True))
        return End(False, reason, failure, turns=self._answers)

    def _refused(self, refused: ModelRefused) -> End:
        if refused.limit is not None:
            self._voice.tell(LimitHit(refused.limit))
        self._voice.tell(Error(str(refused), refused.failure, refused.status, final=True))
        return End(False, str(refused), refused.failure, turns=self._answers)

    def _answer(self) -> Answer:
        """Asks until there is an answer, as often as is worth it. Raises ModelRefused."""
        troubles = Troubles(answers=self._answers)
        while True:
            asked, used = size(self._turns), self._voice.used
            try:
                answer = self._model.answer(self._turns, self._voice)
            except ModelRefused as refused:
                troubles = self._get_over(refused, troubles)
                continue
            self._window = Window(self._bounds.window, asked, (self._voice.used - used).total)
            return answer

    def _get_over(self, refused: ModelRefused, troubles: Troubles) -> Troubles:
        """Does what `remedy` says; the troubles then. Raises `refused` where nothing helps."""
        deed, troubles = remedy(refused, troubles)
        match deed:
            case Again():
                self._voice.tell(Retry(str(refused), refused.status, deed.wait_seconds))
                self._wait(deed.wait_seconds)
            case Compact():
                if not self._compact(size(self._turns) // 2):
                    raise refused
                self._voice.tell(Retry(str(refused), refused.status))
            case GiveUp():
                raise refused
        return troubles

    def _compact(self, target: int) -> bool:
        """Whether anything could be left out."""
        before = size(self._turns)
        self._turns = compacted(self._turns, target)
        after = size(self._turns)
        if after < before:
            self._voice.tell(Progress(f"context: {before} characters shortened to {after}"))
        return after < before

    def _use(self, use: ToolUse) -> ToolOutcome:
        self._voice.tell(ToolCall(use.id, use.name, shown(use)))
        outcome = self._tools.use(use)
        self._voice.tell(ToolResult(use.id, outcome.ok, outcome.text, outcome.denied))
        return outcome


def shown(use: ToolUse) -> str:
    """A call's input as JSON."""
    return "" if use.input is None else json.dumps(use.input, ensure_ascii=False)
