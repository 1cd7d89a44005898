"""The prompt of an attempt: templates filled with the task, what belongs to it, and what earlier attempts met.

A template is text with `$names`; nothing in it or in what fills it is ever evaluated. Of its paragraphs (blank lines
between them) one whose names all stand for nothing is left out. `<home>/templates/` may hold others than ours.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from string import Template

import conductor
from conductor.domain.agent_setup import Autonomy
from conductor.domain.errors import BadTask
from conductor.domain.quoting import fenced, head_of, tail_of
from conductor.domain.task import TaskSpec

MOST_SPECIFICATION = 200_000
MOST_PROJECT = 40_000
MOST_CONVENTIONS = 20_000
MOST_CRITERIA = 20_000
MOST_SUMMARY = 2_000
MOST_VERIFY_OUTPUT = 8_000
MOST_REASON = 500
ATTEMPTS_TOLD = 5
"""The latest ones."""

_LARGEST_TEMPLATE = 200_000
_PARAGRAPHS = re.compile(r"\n[ \t]*\n")
_ANSWER = " Your last message is the answer; end it with a summary of at most 2,000 characters."
_AUTONOMY = {
    Autonomy.READ_ONLY: "Only look: change no file, and run nothing that changes anything.",
    Autonomy.WORKSPACE: "You may read and change files in it and run commands there. Change nothing outside of it",
    Autonomy.FULL: "You may do on this machine whatever the task needs, and nothing that it does not need.",
}


@dataclass(frozen=True, slots=True)
class EarlierAttempt:
    """What is known of an attempt that came before."""

    number: int
    ended: str
    """How it counted: RETRY, TIMEOUT, FAILED."""
    agent: str = ""
    model: str = ""
    failure: str = ""
    """The class, of `conductor.domain.failure.Failure`."""
    reason: str = ""
    summary: str = ""
    verify_output: str = ""


@dataclass(frozen=True, slots=True)
class PromptParts:
    """All that a prompt is made of. Texts come from outside and may hold anything."""

    spec: TaskSpec
    attempt: int
    attempt_directory: str
    workspace: str
    autonomy: Autonomy = Autonomy.WORKSPACE
    specification: str = ""
    """The text of `spec.spec_file`."""
    project: str = ""
    """What the project's own context file says."""
    conventions: tuple[str, ...] = ()
    """Names of the files found, such as AGENTS.md."""
    convention_text: str = ""
    """The first one's text, for an agent that reads none of them by itself."""
    history: tuple[EarlierAttempt, ...] = ()
    leaves_files: bool = True
    """It can write RESULT.txt and SUMMARY.txt: for one that is kept from it, trying would be a refused permission."""


@dataclass(frozen=True, slots=True)
class Templates:
    task: str
    retry: str
    context: str


def render(parts: PromptParts, templates_directory: str) -> str:
    """The whole prompt. Raises BadTask where a template can't be used."""
    return compose(parts, load_templates(templates_directory))


def load_templates(directory: str) -> Templates:
    """The user's own templates where `directory` has them, else ours. Raises BadTask with the path and the fault."""
    return Templates(
        task=_template(directory, "task", "task"),
        retry=_template(directory, "retry", "attempts"),
        context=_template(directory, "context", "specification"),
    )


def _template(directory: str, name: str, must_hold: str) -> str:
    ours = os.path.join(os.path.dirname(conductor.__file__), "templates", f"{name}.md")
    for path in (f"{directory}/{name}.md", ours):
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read(_LARGEST_TEMPLATE + 1)
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise BadTask(f"can't read the template {path}: {error}") from None
        if len(text) > _LARGEST_TEMPLATE:
            raise BadTask(f"the template {path} is longer than {_LARGEST_TEMPLATE} characters")
        if must_hold not in Template(text).get_identifiers():
            raise BadTask(f"the template {path} does not hold ${must_hold}: the agent would never see it")
        return text
    raise BadTask(f"the template {ours} is missing: install conductor again")


def compose(parts: PromptParts, templates: Templates) -> str:
    """The whole prompt from templates in hand."""
    spec = parts.spec
    leaves_files = parts.leaves_files and parts.autonomy is not Autonomy.READ_ONLY
    criteria = "\n".join(f"- {' '.join(one.split())}" for one in spec.criteria)
    return _filled(
        templates.task,
        {
            "task": fenced(spec.description, "task"),
            "criteria": fenced(head_of(criteria, MOST_CRITERIA), "criteria"),
            "verify": fenced(spec.verify, "sh"),
            "context": _context(parts, templates.context),
            "earlier": _earlier(parts, templates.retry),
            "workspace": _path(parts.workspace),
            "autonomy": _in_words(parts.autonomy, leaves_files=leaves_files),
            "result_file": _path(f"{parts.attempt_directory}/RESULT.txt") if leaves_files else "",
            "summary_file": _path(f"{parts.attempt_directory}/SUMMARY.txt") if leaves_files else "",
            "task_id": spec.id,
            "attempt": str(parts.attempt),
        },
    )


def _in_words(autonomy: Autonomy, *, leaves_files: bool) -> str:
    words = _AUTONOMY[autonomy]
    if autonomy is Autonomy.WORKSPACE:
        words += " but the two files named below." if leaves_files else "."
    return words if leaves_files else words + _ANSWER


def _context(parts: PromptParts, template: str) -> str:
    return _section(
        template,
        {
            "project": fenced(head_of(parts.project, MOST_PROJECT), "project"),
            "conventions": ", ".join(parts.conventions),
            "convention_text": fenced(head_of(parts.convention_text, MOST_CONVENTIONS), "conventions"),
            "specification": fenced(head_of(parts.specification, MOST_SPECIFICATION), "specification"),
        },
    )


def _earlier(parts: PromptParts, template: str) -> str:
    told = parts.history[-ATTEMPTS_TOLD:]
    if not told:
        return ""
    attempts = [_attempt(one) for one in told]
    if len(parts.history) > len(told):
        attempts.insert(0, f"{len(parts.history) - len(told)} still earlier ones are left out.")
    said = next((one.verify_output for one in reversed(told) if one.verify_output), "")
    output = fenced(tail_of(said, MOST_VERIFY_OUTPUT), "output")
    return _section(
        template, {"attempt": str(parts.attempt), "attempts": "\n\n".join(attempts), "verify_output": output}
    )


def _attempt(one: EarlierAttempt) -> str:
    facts = {
        "agent": one.agent,
        "model": one.model,
        "ended": one.ended,
        "kind of failure": one.failure,
        "why": head_of(one.reason, MOST_REASON),
    }
    lines = "\n".join(f"{name}: {' '.join(value.split())[: 2 * MOST_REASON]}" for name, value in facts.items() if value)
    blocks = (fenced(lines, "facts"), fenced(tail_of(one.summary, MOST_SUMMARY), "summary"))
    return "\n".join((f"Attempt {one.number}:", *(block for block in blocks if block)))


def _section(template: str, values: Mapping[str, str]) -> str:
    """The filled template; nothing at all where there is nothing to fill it with."""
    return _filled(template, values) if any(values.values()) else ""


def _filled(template: str, values: Mapping[str, str]) -> str:
    """`template` with its names replaced, once: what stands in a value stays as it is."""
    paragraphs = []
    for paragraph in _PARAGRAPHS.split(template):
        names = [name for name in Template(paragraph).get_identifiers() if name in values]
        if not names or any(values[name] for name in names):
            paragraphs.append(Template(paragraph).safe_substitute(values).strip("\n"))
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph.strip())


def _path(path: str) -> str:
    """On one line whatever it holds."""
    return json.dumps(path)
