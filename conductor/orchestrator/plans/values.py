"""What single values of a plan may be. Each raises ValueError with words that fit behind `steps[3].files: `."""

from __future__ import annotations

import re
from difflib import get_close_matches

from conductor.domain.plan import CATEGORIES, STEP_ID
from conductor.domain.run import StepStatus

STATUSES = (*(status.value for status in StepStatus if status is not StepStatus.NEEDS_REVIEW), "done")
"""That a plan may name: what is completed or cancelled is not run again."""
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
"""What a terminal or a file would take for more than text; half a character pair is no text at all."""


def quoted(value: object) -> str:
    """`value` in a message: short, on one line, nothing in it that a terminal obeys."""
    text = repr(value[:200] if isinstance(value, str) else value)
    return text if len(text) <= 80 else text[:76] + "...'"


def did_you_mean(word: str, known: tuple[str, ...]) -> str:
    near = get_close_matches(word[:80], known, n=1, cutoff=0.6)
    return f": did you mean {near[0]!r}?" if near else ""


def as_text(value: object) -> object:
    """Whole numbers are ids too; what YAML takes for a fraction (3.10) or a truth (no) has lost its spelling."""
    if isinstance(value, bool | float):
        raise ValueError(f"{value!r} is not text: write it in quotes")
    return str(value) if isinstance(value, int) else value


def as_list(value: object) -> object:
    """One alone need not stand in brackets."""
    return [value] if isinstance(value, str | int | float) else value


def no_truth(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(f"{str(value).lower()} is no number")
    return value


def one_line(value: object) -> object:
    return " ".join(value.split()) if isinstance(value, str) else as_text(value)


def check_id(value: str) -> str:
    if not STEP_ID.fullmatch(value):
        raise ValueError(
            f"{quoted(value)} is no id: at most 64 letters, digits, dots, dashes and underscores, a letter or digit "
            "first, no two dots in a row, neither a dot nor .lock last"
        )
    return value


def check_text(value: str) -> str:
    if not value.isprintable() and (found := _CONTROL.search(value)):
        raise ValueError(f"it holds the control character {found[0]!a}")
    return value


def check_command(value: str) -> str:
    check_text(value)
    return value.strip()


def check_category(value: str) -> str:
    if value and value not in CATEGORIES:
        raise ValueError(f"{quoted(value)} is none of the {len(CATEGORIES)}{did_you_mean(value, CATEGORIES)}")
    return value


def check_status(value: str) -> str:
    if value not in STATUSES:
        raise ValueError(f"{quoted(value)} is none of {', '.join(STATUSES)}")
    return value


def check_glob(value: str) -> str:
    """The glob without a leading `./`; below the project, and never git's own folder."""
    check_text(value)
    plain = value.strip().removeprefix("./")
    names = plain.split("/")
    if not plain or "\n" in plain or "\t" in plain or "\r" in plain:
        raise ValueError(f"{quoted(value)} is no path")
    if plain.startswith(("/", "~")) or (len(plain) > 1 and plain[1] == ":"):
        raise ValueError(f"{quoted(value)} must be relative to the project")
    if ".." in names:
        raise ValueError(f"{quoted(value)} leads out of the project")
    if "\\" in plain:
        raise ValueError(f"{quoted(value)}: write / between folders, and no backslash")
    if any(name.lower() == ".git" for name in names):
        raise ValueError(f"{quoted(value)} is git's own")
    return plain
