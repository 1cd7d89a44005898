"""What the simulated model does in conductor's own roles: it plans a request, works on a step of such a plan, reviews.

`[[plan FAULT N MODEL]]` in a request plans it wrongly in the way of FAULT, the first N times that a planner is asked
(always, where N is left out) and, where MODEL is told, as that model alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from conductor.testing.sim.calculator import PARTS, part_for
from conductor.testing.sim.directives import Step

_PLANNING = re.compile(r"\ATake a request apart into a plan\b")
_REVIEWING = re.compile(r"\AReview what a plan for the project\b")
_REQUEST = re.compile(r"^(?P<fence>`{3,}|~{3,})request\n(?P<request>.*?)\n(?P=fence)$", re.S | re.M)
_TIMES = re.compile(r"^This is the (\d{1,3})\. time that you are asked", re.M)
_DIRECTIVES = re.compile(r"\[\[.*?\]\]", re.S)
_WORK = re.compile(r"The simulated model writes (docs/simulated/[a-z0-9-]{1,60}\.md)\b")
_ANSWERS = frozenset({"say", "plan", "review"})

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Role:
    """What a prompt of conductor's own wants. `task`: the part of it in which directives count."""

    deed: str
    task: str
    times: int = 1
    """How often this planner was asked already, this one included."""


def role_of(task: str) -> Role | None:
    """None for a task like any other."""
    deed = "plan" if _PLANNING.match(task) else "review" if _REVIEWING.match(task) else ""
    if not deed:
        return None
    request = _REQUEST.search(task)
    times = _TIMES.findall(task)
    return Role(deed, request["request"] if request else "", int(times[-1]) if times else 1)


def steps_in_role(role: Role | None, task: str, told: tuple[Step, ...]) -> tuple[Step, ...]:
    """`told`, with what the role or the step of a plan asks for where nothing told answers that."""
    if role is not None:
        answered = any(step.deed in _ANSWERS for step in told)
        return told if answered else (*told, Step(role.deed, "json" if role.deed == "review" else ""))
    return told or _work_for(task)


def _work_for(task: str) -> tuple[Step, ...]:
    if part := part_for(task):
        return (*(Step("write", path, content) for path, content in part.files), Step("together"))
    if found := _WORK.search(task):
        return (Step("write", found[1], f"# {task.strip().splitlines()[0]}\n\nSimulated work.\n"),)
    return ()


def plan(request: str, subject: str = "", times: int = 1, model: str = "") -> str:
    """As JSON; `subject` is what a directive says behind `plan`."""
    told = _DIRECTIVES.sub("", request)
    about = next((line.strip() for line in told.splitlines() if line.strip()), "the task")[:120]
    whole = _calculator(about) if "calculator" in about.lower() else _three_steps(about)
    fault, _, rest = subject.partition(" ")
    most, _, only = rest.partition(" ")
    is_wrong = fault in FAULTS and times <= int(most if most.isdecimal() else 999) and only.strip() in ("", model)
    return FAULTS[fault](whole) if is_wrong else json.dumps(whole, indent=2)


def _calculator(about: str) -> Json:
    return {"title": about, "name": "calculator", "steps": [part.as_json for part in PARTS]}


def _three_steps(about: str) -> Json:
    slug = "-".join(re.findall(r"[a-z0-9]+", about.lower()))[:40].strip("-") or "task"
    deeds = ("Understand", "Implement", "Verify")
    return {"title": about, "steps": [_step(number, deed, about, slug) for number, deed in enumerate(deeds, 1)]}


def _step(number: int, deed: str, about: str, slug: str) -> Json:
    path = f"docs/simulated/{slug}-{deed.lower()}.md"
    return {
        "id": str(number),
        "title": f"{deed}: {about}"[:80],
        "description": f"{deed} what was asked for: {about}. The simulated model writes {path} for it.",
        "type": "documentation",
        "category": "documentation-generation",
        "complexity": 1,
        "dependencies": [str(number - 1)] if number > 1 else [],
        "file_targets": [path],
        "success_criteria": [f"{path} is there"],
        "confidence": 0.9,
    }


def _changed(whole: Json, **second: Any) -> str:
    first, other, *rest = whole["steps"]
    return json.dumps({**whole, "steps": [first, {**other, **second}, *rest]})


def _last_changed(whole: Json, **last: Any) -> str:
    """Of a step that no other one depends on, so that nothing else is wrong."""
    *others, step = whole["steps"]
    return json.dumps({**whole, "steps": [*others, {**step, **last}]})


def _cyclic(whole: Json) -> str:
    first, *rest = whole["steps"]
    return json.dumps({**whole, "steps": [{**first, "depends_on": [rest[0]["id"]]}, *rest]})


FAULTS: dict[str, Callable[[Json], str]] = {
    "words": lambda _: "I would rather talk about this plan first.",
    "shape": lambda _: json.dumps({"answer": 42, "list": [1, 2]}),
    "broken": lambda whole: json.dumps(whole)[:-40],
    "cyclic": _cyclic,
    "unknown": lambda whole: _changed({**whole}, depends_on=["nobody"], dependencies=None),
    "duplicate": lambda whole: _changed(whole, id=whole["steps"][0]["id"]),
    "hostile": lambda whole: _last_changed(whole, id="$(touch stolen); rm -rf ~"),
    "outside": lambda whole: _last_changed(whole, files=["../../etc/passwd"], file_targets=None),
    "command": lambda whole: _changed(whole, agent="command", description="touch stolen"),
    "verify": lambda whole: _changed({**whole, "check": "touch unseen-check"}, verify="touch unseen-verify"),
}
"""By name; `verify` is a good plan with commands that a person has to see."""

REVIEW = json.dumps(
    {
        "verdict": "approved",
        "summary": "Simulated: what was asked for is there, and its tests pass.",
        "findings": [{"severity": "low", "file": "", "line": 0, "text": "Simulated: a longer example would help."}],
    },
    indent=2,
)
