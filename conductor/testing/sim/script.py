"""What the simulated model does next: from the prompt's directives, the script, and how far its tools have come."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from conductor.testing.sim import planning, samples
from conductor.testing.sim.asked import Answer, Asked, Call
from conductor.testing.sim.directives import USES_TOOL, Rule, Step, steps_for
from conductor.testing.sim.meter import CHARACTERS_PER_TOKEN
from conductor.testing.sim.tools import call_for

_STRUCTURED = "StructuredOutput"
"""The tool through which Claude Code takes an answer of a given schema."""
_SHOWN_CHARACTERS = 300
_DEEDS_DONE = {"write": "Wrote", "run": "Ran", "read": "Read"}


def answer_to(asked: Asked, rules: Sequence[Rule], seed: int) -> Answer:
    """The next tool call (all of them where they are to be made together), or the text that ends the exchange.

    Each result that came back counts as one step done.
    """
    if not asked.tools and samples.is_side_call(asked.instructions, asked.prompt):
        return Answer(_shaped(asked, samples.title(asked.prompt)))
    role = planning.role_of(asked.task)
    told = steps_for(role.task if role else asked.task, asked.prompt, rules)
    steps = planning.steps_in_role(role, asked.task, told)
    calls = [(step, call) for step in steps if step.deed in USES_TOOL and (call := call_for(step, asked))]
    done = len(asked.results)
    thinking, seconds = _thoughts(asked, steps) if done == 0 else ("", 0.0)
    if done < len(calls):
        last = len(calls) if any(step.deed == "together" for step in steps) else done + 1
        return Answer(calls=tuple(call for _, call in calls[done:last]), thinking=thinking, think_seconds=seconds)
    text = _closing_text(asked, steps, [step for step, _ in calls], seed)
    structured = next((tool for tool in asked.tools if tool.name == _STRUCTURED), None)
    if structured and done == len(calls):
        call = Call(_STRUCTURED, samples.instance_of(structured.schema, text))
        return Answer(calls=(call,), thinking=thinking, think_seconds=seconds)
    return _bounded(Answer(_shaped(asked, text), thinking=thinking, think_seconds=seconds), asked.most_output)


def _bounded(answer: Answer, most_tokens: int | None) -> Answer:
    """`answer` within the tokens that the request allows it."""
    most = len(answer.text) if most_tokens is None else max(0, most_tokens * CHARACTERS_PER_TOKEN)
    return replace(answer, text=answer.text[:most], cut=True) if most < len(answer.text) else answer


def _thoughts(asked: Asked, steps: Sequence[Step]) -> tuple[str, float]:
    """What is thought, and for how long: only before the first answer of an exchange."""
    seconds = sum(step.seconds for step in steps if step.deed == "think")
    told = asked.thinks or any(step.deed == "think" for step in steps)
    return ("This is simulated thinking: I look at what was asked and answer it." if told else ""), seconds


def _closing_text(asked: Asked, steps: Sequence[Step], called: Sequence[Step], seed: int) -> str:
    parts = [text for step in steps if (text := _spoken(step, asked))]
    parts += [_told(step, result) for step, result in zip(called, asked.results, strict=False)]
    parts += [
        f"No tool was offered to {step.deed} {step.subject}."
        for step in steps
        if step.deed in USES_TOOL and step not in called
    ]
    return "\n".join(parts) if parts else samples.plain_answer(asked.task, seed)


def _spoken(step: Step, asked: Asked) -> str:
    match step.deed:
        case "say":
            return step.subject
        case "plan":
            role = planning.role_of(asked.task) or planning.Role("plan", asked.task)
            return planning.plan(role.task, step.subject, role.times, asked.model)
        case "review":
            return planning.REVIEW if step.subject == "json" else samples.REVIEW
    return ""


def _told(step: Step, result: str) -> str:
    shown = " ".join(result.split())[:_SHOWN_CHARACTERS]
    return f"{_DEEDS_DONE[step.deed]} {step.subject}: {shown}" if shown else f"{_DEEDS_DONE[step.deed]} {step.subject}."


def _shaped(asked: Asked, text: str) -> str:
    """As JSON where the request wants JSON, unless the text is JSON already."""
    if asked.schema is None:
        return text
    if asked.schema.get("properties") or asked.schema.get("type"):
        return json.dumps(samples.instance_of(asked.schema, text))
    return text if text.startswith("{") else json.dumps({"answer": text})
