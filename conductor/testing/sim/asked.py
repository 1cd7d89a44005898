"""What a request asks and what the simulated model answers, the same for every protocol."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from conductor.domain.usage import Usage

Json = dict[str, Any]

_INJECTED = re.compile(
    r"<(system-reminder|environment_context|user_instructions|INSTRUCTIONS|session_context)>.*?</\1>"
    r"|<<<BEGIN_(OPENCLAW_\w+)>>>.*?<<<END_\2>>>",
    re.S,
)
_TASK = re.compile(r"^## Task\n(?P<fence>`{3,}|~{3,})[^\n]*\n(?P<task>.*?)^(?P=fence)$", re.S | re.M)
"""Where the task stands in a prompt that conductor made."""
_FOLDER = re.compile(
    r"<cwd>\s*(?P<tag>/[^<\n]*?)\s*</cwd>"
    r"|(?:working directory(?: is)?|working in the directory|workspace(?: root)?)[:\s]+[`\"']?(?P<words>/[^\s`\"',]+)",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that the request offers. `custom`: its input is free text, no JSON (Codex has such)."""

    name: str
    schema: Mapping[str, Any] = field(default_factory=dict)
    custom: bool = False

    @property
    def properties(self) -> Mapping[str, Any]:
        found = self.schema.get("properties")
        return found if isinstance(found, Mapping) else {}


@dataclass(frozen=True, slots=True)
class Turn:
    """One message. `results`: what tools gave back, in a user's turn; `calls`: how many tools a model's turn called."""

    by_model: bool
    text: str = ""
    calls: int = 0
    results: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    model: str
    turns: tuple[Turn, ...]
    streamed: bool = False
    instructions: str = ""
    tools: tuple[Tool, ...] = ()
    schema: Mapping[str, Any] | None = None
    """The answer is to be JSON of this schema; empty: of any."""
    thinks: bool = False
    """The client wants to see the thinking."""
    most_output: int | None = None
    counts_stream: bool = False
    """Chat Completions: usage is wanted at the stream's end."""

    @property
    def exchange(self) -> tuple[Turn, ...]:
        """The turns since the model last ended with a text: one prompt, and what its tools gave so far."""
        turns = list(self.turns)
        while turns and turns[-1].by_model:  # a beginning that the client wants continued
            turns.pop()
        ends = [number for number, turn in enumerate(turns) if turn.by_model and not turn.calls]
        return tuple(turns[ends[-1] + 1 :] if ends else turns)

    @property
    def prompt(self) -> str:
        """What the user said in this exchange, without what the CLIs put in between."""
        texts = (_INJECTED.sub("", turn.text).strip() for turn in self.exchange if not turn.by_model)
        return "\n".join(text for text in texts if text)

    @property
    def task(self) -> str:
        """The part of the prompt that says what to do: all of it, unless conductor made it and marked that part."""
        found = _TASK.search(self.prompt)
        return found["task"].strip() if found else self.prompt

    @property
    def results(self) -> tuple[str, ...]:
        """What tools gave back in this exchange, in order."""
        return tuple(result for turn in self.exchange for result in turn.results)

    @property
    def folder(self) -> str:
        """The working directory that the CLI told the model; empty when it told none."""
        for text in (*(turn.text for turn in self.turns if not turn.by_model), self.instructions):
            if found := _FOLDER.search(text):
                return (found["tag"] or found["words"]).rstrip(".")
        return ""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call; `input` is a text for a custom tool."""

    name: str
    input: Json | str

    @property
    def custom(self) -> bool:
        return isinstance(self.input, str)

    @property
    def object(self) -> Json:
        """The input where the protocol knows none but JSON objects."""
        return self.input if isinstance(self.input, dict) else {"input": self.input}

    @property
    def arguments(self) -> str:
        return self.input if isinstance(self.input, str) else json.dumps(self.input)


@dataclass(frozen=True, slots=True)
class Answer:
    """Either tool calls or a text, after some thinking perhaps. `cut`: the text was longer than it may be."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    thinking: str = ""
    think_seconds: float = 0.0
    cut: bool = False

    @property
    def size(self) -> int:
        """Characters, thinking left out."""
        return sum(len(call.arguments) + len(call.name) for call in self.calls) if self.calls else len(self.text)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer made ready to be told: `id` is the same for the same seed and question, `created` in seconds."""

    id: str
    created: int
    asked: Asked
    answer: Answer
    usage: Usage

    @property
    def calls(self) -> list[tuple[str, Call]]:
        """The tool calls, each with an id of its own."""
        return [(f"{self.id}{number or ''}", call) for number, call in enumerate(self.answer.calls)]

    @property
    def pieces(self) -> list[str]:
        """The text as it streams, word by word."""
        return re.findall(r"\S+\s*|^\s+", self.answer.text) or [self.answer.text]


def identity(seed: int, *parts: str) -> str:
    """24 characters that are the same for the same seed and parts."""
    return hashlib.blake2b("\0".join((str(seed), *parts)).encode("utf-8", "replace"), digest_size=12).hexdigest()


def texts_of(content: object) -> str:
    """The text of a message's content: a string, or blocks of which some have text."""
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    found = (
        block if isinstance(block, str) else block.get("text") for block in blocks if isinstance(block, str | dict)
    )
    return "\n".join(text for text in found if isinstance(text, str))


def records_of(items: object) -> list[Json]:
    """The JSON objects in `items`; whatever else stands there is left out."""
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
