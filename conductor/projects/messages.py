"""What commits and pull requests say: conventional commit messages. Git's side adds the trailers behind them.

What is told of a step was written by people and models: it is cut to a size, and no line of it can pass for a trailer,
by which the repository tells what is merged.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from conductor.domain.masking import Masker
from conductor.domain.plan import Step, StepType
from conductor.domain.run import Run

LONGEST_SUBJECT = 72
_LONGEST_BODY = 2000
_LONGEST_CRITERION = 200
_MOST_CRITERIA = 20
_MOST_TASKS = 1000
_TYPES = {
    StepType.FEATURE: "feat",
    StepType.BUG: "fix",
    StepType.REFACTOR: "refactor",
    StepType.TEST: "test",
    StepType.DOCUMENTATION: "docs",
}
_TYPED_ALREADY = re.compile(r"(?i)(feat|fix|refactor|test|docs|chore|style|perf|build|ci)(\([^)]{0,40}\))?!?:\s+")
_TRAILER = re.compile(r"\s*[A-Za-z0-9-]+\s*:|\s*-{3,}\s*$|\s*\(cherry picked from")
_INVISIBLE = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


def step_message(step: Step) -> str:
    """`feat: Add dark mode`, what was asked for, and when it counts as done."""
    title = _TYPED_ALREADY.sub("", one_line(step.title), count=1) or step.id
    parts = [subject(f"{_TYPES[step.type]}: {title}"), _quoted(step.description)]
    if step.criteria:
        told = [f"- {one_line(criterion)[:_LONGEST_CRITERION]}" for criterion in step.criteria[:_MOST_CRITERIA]]
        parts.append("\n".join(["Done when:", *told]))
    return _message(parts)


def run_message(run: Run, task_ids: Sequence[str]) -> str:
    """The run's last commit: `feat: shop - 3 tasks completed`, and which they were."""
    first = subject(f"feat: {one_line(run.project)} - {len(task_ids)} tasks completed")
    told = [f"- {task_id}" for task_id in task_ids[:_MOST_TASKS]]
    if len(task_ids) > _MOST_TASKS:
        told.append(f"- and {len(task_ids) - _MOST_TASKS} more")
    parts = [first, _quoted(run.title), "\n".join(["Tasks:", *told]) if told else ""]
    return _message(parts)


def pull_request(run: Run, task_ids: Sequence[str], report: str = "") -> tuple[str, str]:
    """(title, body) of its pull request. `report`: the reviewer's, as Markdown."""
    title, _, told = run_message(run, task_ids).partition("\n")
    return title, "\n\n".join(part for part in (told.strip(), report.strip(), f"Run {run.id} of conductor.") if part)


def one_line(text: str) -> str:
    """`text` without line ends, control characters and what turns the direction of writing."""
    return " ".join(_INVISIBLE.sub(" ", text.replace("\n", " ")).split())


def subject(text: str) -> str:
    """At most 72 characters, cut between words where there are any."""
    if len(text) <= LONGEST_SUBJECT:
        return text
    cut = text[: LONGEST_SUBJECT - 1]
    words = cut.rpartition(" ")[0]
    return (words if len(words) > LONGEST_SUBJECT // 2 else cut).rstrip() + "…"


def _message(parts: Sequence[str]) -> str:
    """Without keys that somebody wrote into a plan: commits travel far."""
    return Masker().mask("\n\n".join(part for part in parts if part) + "\n")


def _quoted(text: str) -> str:
    """The beginning of `text`, with lines that git could read as something else moved behind a `>`."""
    clean = _INVISIBLE.sub(" ", text.replace("\r\n", "\n").replace("\t", " ")).strip()
    if len(clean) > _LONGEST_BODY:
        clean = clean[:_LONGEST_BODY].rstrip() + " […]"
    lines = (line.rstrip() for line in clean.split("\n"))
    return "\n".join(f"> {line}" if _TRAILER.match(line) else line for line in lines)
