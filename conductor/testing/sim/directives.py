"""`[[write hello.txt hi]]` and its like: what a prompt, or a script, tells the simulated model to do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conductor.domain.errors import UsageError

DEEDS = ("say", "write", "run", "read", "think", "plan", "review", "together")
USES_TOOL = frozenset({"write", "run", "read"})
LONGEST_THINKING_SECONDS = 3600.0
_DIRECTIVE = re.compile(rf"\[\[\s*({'|'.join(DEEDS)})\b[ \t]*(.*?)\]\]", re.S)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. `subject` is a path, a command, words or seconds; `content` is what to write."""

    deed: str
    subject: str = ""
    content: str = ""

    @property
    def seconds(self) -> float:
        """Of a `think`; 0 where the subject is no plain number."""
        found = re.fullmatch(r"[0-9]{1,9}(?:\.[0-9]{0,9})?", self.subject)
        return min(float(found[0]), LONGEST_THINKING_SECONDS) if found else 0.0


@dataclass(frozen=True, slots=True)
class Rule:
    """What is done for prompts that `match` is found in and that say nothing themselves."""

    match: re.Pattern[str]
    steps: tuple[Step, ...]


def steps_in(prompt: str) -> tuple[Step, ...]:
    """The directives of a prompt, in order."""
    return tuple(_step(found[1], found[2].strip()) for found in _DIRECTIVE.finditer(prompt))


def _step(deed: str, rest: str) -> Step:
    if deed != "write":
        return Step(deed, rest)
    path, _, content = rest.partition(" ")
    return Step("write", path, content.replace("\\n", "\n").rstrip("\n") + "\n")


def steps_for(task: str, prompt: str, rules: Sequence[Rule]) -> tuple[Step, ...]:
    """What the task says, else what the first rule says that matches the prompt around it, else nothing."""
    if said := steps_in(task):
        return said
    return next((rule.steps for rule in rules if rule.match.search(prompt)), ())


def read_script(source: str | Path | Sequence[Mapping[str, Any]] | None) -> tuple[Rule, ...]:
    """The rules of a YAML file, or of such a list: `[{match: REGEX, do: ["write a.txt hi", {write: b.txt, content:
    "..."}]}]`. Raises UsageError."""
    if source is None:
        return ()
    entries: Any = _loaded(Path(source)) if isinstance(source, str | Path) else source
    if not isinstance(entries, Sequence):
        raise UsageError(f"script {source}: a list of {{match: REGEX, do: [...]}} is wanted")
    try:
        return tuple(_rule(entry) for entry in entries)
    except (KeyError, TypeError, ValueError, re.error) as error:
        raise UsageError(f"script: an entry is not of the form {{match: REGEX, do: [...]}}: {error!r}") from error


def _loaded(path: Path) -> Any:
    import yaml  # only who has a script pays for it

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) or []
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise UsageError(f"can't read the script {path}: {error}") from error


def _rule(entry: Mapping[str, Any]) -> Rule:
    deeds = entry["do"] if isinstance(entry["do"], list) else [entry["do"]]
    return Rule(re.compile(str(entry["match"]), re.I | re.S), tuple(_scripted(deed) for deed in deeds))


def _scripted(deed: str | Mapping[str, Any]) -> Step:
    if isinstance(deed, str):
        word, _, rest = deed.strip().partition(" ")
        if word not in DEEDS:
            raise ValueError(f"{word!r} is none of {', '.join(DEEDS)}")
        return _step(word, rest.strip())
    named = next((known for known in DEEDS if known in deed), None)
    if named is None:
        raise ValueError(f"{dict(deed)!r} has none of {', '.join(DEEDS)}")
    return Step(named, str(deed[named]), str(deed.get("content", "")))
