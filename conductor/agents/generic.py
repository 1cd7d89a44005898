"""Any command line agent, from its YAML alone: `conductor.settings.generic` says and checks what stands there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from conductor.agents.asking import bare_model, prompt_file, prompt_path
from conductor.agents.generic_events import DocumentReader, LinesReader
from conductor.agents.judgement import how_ended, is_misused, judge_told, last_line
from conductor.agents.private_state import private_files, private_tmp
from conductor.agents.shape import PlainAgent
from conductor.domain.agent_setup import AgentSetup, Autonomy
from conductor.domain.errors import BadTask
from conductor.domain.failure import Failure, words_failure
from conductor.ports import Abilities, AgentReport, Ending, EventReader, Launch, Prompt

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_LAST_WORDS = 2000
"""Characters of its output in which a failed agent's reason is looked for."""


class GenericAgent(PlainAgent):
    """What `autonomy` means for it stands in its `modes`. Without them nothing confines it, and a task that asks for
    `read-only` is refused."""

    def __init__(self, setup: AgentSetup) -> None:
        super().__init__(setup)
        options = self._options = setup.options
        if not options.get("argv"):
            raise BadTask(f"agent {setup.name}: say its argv in conductor.yaml")
        self._paths: Mapping[str, str] = options.get("paths") or {}
        self._output = options.get("output", "text")
        streams = self._output == "jsonl"
        self.abilities = Abilities(
            stream=streams,
            usage=streams and bool(self._paths.get("input")),
            input_includes_cached=bool(options.get("input_includes_cached")),
            binary=str((options.get("argv") or [""])[0]),
            forms=tuple(options.get("forms") or ()),
            thinking=tuple(options.get("levels") or ()),
        )

    def launch(self, prompt: Prompt) -> Launch:
        values = self._values(prompt)
        by_file = self._options.get("prompt") == "file"
        program, *arguments = self._options["argv"]
        return Launch(
            argv=(self.setup.binary or program, *self._arguments(arguments, values, prompt)),
            env=(*self._environment(values, prompt), ("TMPDIR", private_tmp(prompt))),
            files=(prompt_file(prompt), *private_files(prompt)),
            stdin="" if by_file else prompt_path(prompt),
            structured=self._output != "text",
        )

    def reader(self) -> EventReader | None:
        if self._output == "text":
            return None
        made = LinesReader if self._output == "jsonl" else DocumentReader
        return made(self._paths, input_includes_cached=self.abilities.input_includes_cached)

    def judge(self, prompt: Prompt, ending: Ending) -> AgentReport:
        fine = ending.exit_code in (self._options.get("success_exit") or [0])
        if self._output != "text":
            return judge_told(prompt, replace(ending, exit_code=0) if fine else ending)
        said = last_line(ending.tail)
        told = ending.told
        report = AgentReport(fine, "", ending.tail, said, usage=told.usage, model=told.model, limit=told.limit)
        if not fine:
            words = ending.tail[-_LAST_WORDS:]
            not_started = Failure.BAD_CONFIG if is_misused(said) and not told.calls else Failure.NONE
            failure = Failure.LIMIT if told.limit else words_failure(words) or not_started
            reason = f"{how_ended(ending) or 'exit 0'}: {said}".rstrip(": ")
            return replace(report, reason=reason, preview=reason[:200], failure=failure)
        if not ending.tail.strip():
            reason = "it ended well and said nothing"
            return replace(report, succeeded=False, reason=reason, preview=reason, failure=Failure.EMPTY)
        return replace(report, limit=None)

    def _values(self, prompt: Prompt) -> dict[str, str]:
        endpoint = prompt.endpoint
        return {
            "workspace": prompt.workspace,
            "model": bare_model(prompt, self.setup, self.setup.name),
            "thinking": self._thinking(prompt),
            "prompt_file": prompt_path(prompt),
            "state": prompt.state_directory,
            "endpoint_url": endpoint.url if endpoint else "",
            "endpoint_key": endpoint.key if endpoint else "",
        }

    def _thinking(self, prompt: Prompt) -> str:
        asked = prompt.thinking or self.setup.thinking
        levels: Mapping[str, str] = self._options.get("levels") or {}
        if asked and asked not in levels:
            raise BadTask(f"thinking {asked[:40]!r}: agent {self.setup.name} accepts {', '.join(levels) or 'none'}")
        return levels[asked] if asked else ""

    def _arguments(self, template: Sequence[Any], values: Mapping[str, str], prompt: Prompt) -> Iterator[str]:
        for one in template:
            if one == "{mode}":
                yield from (_filled(part, values) for part in self._mode(prompt))
                continue
            group = [one] if isinstance(one, str) else one
            if all(values.get(name) for part in group for name in _PLACEHOLDER.findall(part)):
                yield from (_filled(part, values) for part in group)
        if prompt.autonomy is Autonomy.READ_ONLY and "{mode}" not in template:
            raise BadTask(f"agent {self.setup.name} can't be kept from writing: it has no mode for read-only")

    def _mode(self, prompt: Prompt) -> Sequence[str]:
        modes: Mapping[str, Sequence[str]] = self._options.get("modes") or {}
        if prompt.autonomy not in modes:
            raise BadTask(f"autonomy {prompt.autonomy}: agent {self.setup.name} has {', '.join(modes) or 'no modes'}")
        return modes[prompt.autonomy]

    def _environment(self, values: Mapping[str, str], prompt: Prompt) -> Iterator[tuple[str, str]]:
        for name, template in (self._options.get("env") or {}).items():
            if all(values.get(one) for one in _PLACEHOLDER.findall(template)):
                yield name, _filled(template, values, may_be_option=True)


def _filled(template: str, values: Mapping[str, str], *, may_be_option: bool = False) -> str:
    """`template` with its values, each put in once. Raises BadTask where a value would become an option."""
    filled = _PLACEHOLDER.sub(lambda found: values.get(found[1], ""), template)
    if filled.startswith("-") and not template.startswith("-") and not may_be_option:
        raise BadTask(f"{filled[:40]!r} would be an option: it stands for {template}")
    return filled
