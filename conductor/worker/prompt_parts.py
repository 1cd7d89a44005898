"""Reads what a prompt is made of: the spec file, the project's context, conventions, what earlier attempts left."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Any

from conductor.domain.agent_setup import Autonomy
from conductor.domain.errors import BadTask
from conductor.domain.task import Claim
from conductor.kit.durable import read_bytes
from conductor.worker.prompting import (
    MOST_CONVENTIONS,
    MOST_PROJECT,
    MOST_REASON,
    MOST_SPECIFICATION,
    MOST_SUMMARY,
    MOST_VERIFY_OUTPUT,
    EarlierAttempt,
    PromptParts,
)

CONVENTION_FILES = ("AGENTS.md", "CLAUDE.md", "GEMINI.md")
READ_BY_ITSELF = {
    "claude": ("CLAUDE.md", "AGENTS.md"),
    "codex": ("AGENTS.md",),
    "gemini": ("GEMINI.md",),
    "opencode": ("AGENTS.md", "CLAUDE.md"),
}
"""By kind of agent: the files that its program puts into the model's context unasked."""

REACHES_ITS_ATTEMPT = frozenset({"claude", "codex", "gemini", "generic"})
"""Kinds that are given the attempt's folder beside the workspace; the others reach it only where they are free."""

_BYTES_PER_CHARACTER = 4
_LARGEST_RECORD = 4_194_304
_ATTEMPTS_LOOKED_AT = 50


def read_parts(claim: Claim, workspace: str, autonomy: Autonomy, kind: str, context_file: str = "") -> PromptParts:
    """What the prompt of this attempt is made of, for an agent of `kind`. Raises BadTask where the spec file or the
    project's context file can't be read."""
    spec = claim.spec
    names = tuple(name for name in CONVENTION_FILES if os.path.lexists(f"{workspace}/{name}"))
    reads_some = any(name in READ_BY_ITSELF.get(kind, ()) for name in names)
    return PromptParts(
        spec=spec,
        attempt=claim.attempt,
        attempt_directory=claim.directory,
        workspace=workspace,
        autonomy=autonomy,
        specification=_text(spec.spec_file, MOST_SPECIFICATION, "spec file"),
        project=_text(context_file, MOST_PROJECT, "project's context file"),
        conventions=names,
        convention_text="" if reads_some else _first_text(workspace, names),
        history=read_history(os.path.dirname(claim.directory), claim.attempt),
        leaves_files=autonomy is Autonomy.FULL or kind in REACHES_ITS_ATTEMPT,
    )


def read_history(task_directory: str, attempt: int) -> tuple[EarlierAttempt, ...]:
    """What the attempts before `attempt` left, oldest first; one that left nothing readable is not told."""
    first = max(1, attempt - _ATTEMPTS_LOOKED_AT)
    found = (_earlier(f"{task_directory}/{number}", number) for number in range(first, attempt))
    return tuple(one for one in found if one is not None)


def _earlier(directory: str, number: int) -> EarlierAttempt | None:
    try:
        record: Any = json.loads(read_bytes(f"{directory}/result.json", _LARGEST_RECORD))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    return EarlierAttempt(
        number=number,
        ended=_word(record, "status") or _word(record, "outcome"),
        agent=_word(record, "agent"),
        model=_word(record, "model_used") or _word(record, "model"),
        failure=_word(record, "failure"),
        reason=_word(record, "reason")[: 2 * MOST_REASON],
        summary=_own_text(f"{directory}/SUMMARY.txt", MOST_SUMMARY),
        verify_output=_word(record, "verify_output")[-2 * MOST_VERIFY_OUTPUT :],
    )


def _word(record: dict[str, Any], name: str) -> str:
    value = record.get(name)
    return value if isinstance(value, str) else ""


def _own_text(path: str, most: int) -> str:
    """The beginning of a file that an agent may have touched: no link is followed, no pipe waited for."""
    with suppress(OSError):
        return read_bytes(path, most * _BYTES_PER_CHARACTER).decode("utf-8", "replace")[:most]
    return ""


def _first_text(workspace: str, names: tuple[str, ...]) -> str:
    """The first file's text. A link is left to the agent: it may lead where the agent itself may not look."""
    return next((text for name in names if (text := _own_text(f"{workspace}/{name}", MOST_CONVENTIONS))), "")


def _text(path: str, most: int, what: str) -> str:
    """Somewhat more than `most` characters, so that what is left out can be told."""
    if not path:
        return ""
    if os.path.exists(path) and not os.path.isfile(path):  # a pipe would be read as nothing, a device for ever
        raise BadTask(f"the {what} {path} is no file")
    try:
        raw = read_bytes(os.path.realpath(path), (most + 1) * _BYTES_PER_CHARACTER)
    except OSError as error:
        raise BadTask(f"can't read the {what} {path}: {error.strerror}") from None
    return raw.decode("utf-8", "replace")
