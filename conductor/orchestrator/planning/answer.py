"""A planner's answer, read into a plan: what it meant is taken where there is no doubt, everything else is a fault."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from conductor.domain.errors import PlanInvalid
from conductor.domain.plan import COMMAND_AGENT, Plan
from conductor.orchestrator.planning.json_in_text import find_json
from conductor.orchestrator.planning.references import unknown_references, with_ids
from conductor.orchestrator.plans import parse_plan

MOST_STEPS = 500
MOST_FAULTS = 40
_LONGEST_FAULT = 400
_LONGEST_NAME = 80
_STEP_LISTS = ("steps", "tasks", "subtasks")
_WHAT = "the plan in the answer"


def read_answer(text: str, *, project: str, request: str, agents: Collection[str] = ()) -> Plan:
    """The plan in `text`. `agents`: those that a step may name beside none; never `command`.

    Raises PlanInvalid, and nothing else, with faults that are fit to be sent back.
    """
    plan = _plan_in(text)
    plan["steps"], faults = with_ids(plan["steps"])
    unknown = unknown_references(plan["steps"])
    if len(unknown) > MOST_FAULTS:  # too many to look for what was meant by each
        raise _invalid(unknown)
    faults += _faults_of_agents(plan["steps"], agents)
    plan["name"] = _name(plan.get("name") or plan.get("title") or request)
    plan["project"], plan["description"] = project, _plain(request)
    try:
        parsed = parse_plan(plan, _WHAT, from_model=True)
    except PlanInvalid as error:
        raise _invalid((*faults, *error.faults)) from None
    if faults:
        raise _invalid(faults)
    return parsed


def _plan_in(text: str) -> dict[str, Any]:
    """The best plan that stands in `text`: the one with the most steps, the last of several."""
    found = find_json(text, lambda value: _unwrapped(value) is not None)
    if found.broke_off or not found.values:
        raise _invalid((found.fault or _nothing_in(text),))
    plans = [plan for value in found.values if (plan := _unwrapped(value)) is not None]
    best = max(enumerate(plans), key=lambda place: (len(place[1]["steps"]), place[0]))[1]
    if not best["steps"]:
        raise _invalid(("the plan has no steps",))
    if len(best["steps"]) > MOST_STEPS:
        raise _invalid((f"the plan has {len(best['steps'])} steps: at most {MOST_STEPS}, in fewer and larger ones",))
    return best


def _nothing_in(text: str) -> str:
    if not text.strip():
        return "the answer is empty: a JSON object with `steps` is wanted"
    return "there is no plan in the answer: a JSON object with `steps`, a list of objects, is wanted"


def _unwrapped(value: Any, levels: int = 2) -> dict[str, Any] | None:
    """As an object with `steps`; None where it is no plan. A bare list and `{"plan": {...}}` are plans too."""
    if isinstance(value, list):
        return {"steps": value} if value and all(_is_step(one) for one in value) else None
    if not isinstance(value, dict):
        return None
    named = next((name for name in _STEP_LISTS if isinstance(value.get(name), list)), None)
    if named:
        return {**{name: one for name, one in value.items() if name not in _STEP_LISTS}, "steps": value[named]}
    return _unwrapped(next(iter(value.values())), levels - 1) if len(value) == 1 and levels else None


def _is_step(value: Any) -> bool:
    return isinstance(value, dict) and ("description" in value or "title" in value)


def _faults_of_agents(steps: list[Any], agents: Collection[str]) -> list[str]:
    named = [(at, step.get("agent")) for at, step in enumerate(steps) if isinstance(step, Mapping)]
    return [
        f"steps[{at}].agent: {_shown(agent)} is not yours to choose: {_choice(agents)}"
        for at, agent in named
        if agent not in (None, "") and (agent == COMMAND_AGENT or agent not in tuple(agents))
    ]


def _choice(agents: Collection[str]) -> str:
    known = sorted(set(agents) - {COMMAND_AGENT})
    return f"one of {', '.join(known)}, or leave it out" if known else "leave it out"


def _shown(value: Any) -> str:
    return ascii(value)[:60]


def _name(value: Any) -> str:
    words = " ".join(_plain(str(value)).split())
    visible = "".join(character for character in words if character.isprintable())
    return visible[:_LONGEST_NAME].strip() or "plan"


def _plain(text: str) -> str:
    """A person may have typed, or pasted, what no plan may hold."""
    clean = text.encode("utf-8", "replace").decode()
    return "".join(one if one.isprintable() or one in "\n\t" else " " for one in clean)[:200_000]


def _invalid(faults: tuple[str, ...] | list[str]) -> PlanInvalid:
    told = [" ".join(fault.split()) for fault in dict.fromkeys(faults)]
    short = [fault if len(fault) <= _LONGEST_FAULT else f"{fault[:_LONGEST_FAULT]}…" for fault in told]
    if len(short) > MOST_FAULTS:
        short = [*short[:MOST_FAULTS], f"and {len(short) - MOST_FAULTS} more faults"]
    return PlanInvalid(_WHAT, tuple(short))
