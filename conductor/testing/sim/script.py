"""What the simulated model does next: from the prompt's directives, the script, and how far its tools have come."""

from __future__ import annotations

import json
from collections.abc import Sequence

from conductor.testing.sim import samples
from conductor.testing.sim.asked import Answer, Asked, Call
from conductor.testing.sim.directives import USES_TOOL, Rule, Step, steps_for
from conductor.testing.sim.tools import call_for

_STRUCTURED = "StructuredOutput"
"""The tool through which Claude Code takes an answer of a given schema."""
_SHOWN_CHARACTERS = 300
_DEEDS_DONE = {"write": "Wrote", "run": "Ran", "read": "Read"}


def answer_to(asked: Asked, rules: Sequence[Rule], seed: int) -> Answer:
    """One tool call, or the text that ends the exchange. Each result that came back counts as one step done."""
    if not asked.tools and samples.is_side_call(asked.instructions, asked.prompt):
        return Answer(_shaped(asked, samples.title(asked.prompt)))
    steps = steps_for(asked.task, asked.prompt, rules)
    calls = [(step, call) for step in steps if step.deed in USES_TOOL and (call := call_for(step, asked))]
    done = len(asked.results)
    thinking, seconds = _thoughts(asked, steps) if done == 0 else ("", 0.0)
    if done < len(calls):
        return Answer(call=calls[done][1], thinking=thinking, think_seconds=seconds)
    text = _closing_text(asked, steps, [step for step, _ in calls], seed)
    structured = next((tool for tool in asked.tools if tool.name == _STRUCTURED), None)
    if structured and done == len(calls):
        return Answer(call=Call(_STRUCTURED, samples.instance_of(structured.schema, text)), thinking=thinking)
    return Answer(_shaped(asked, text), thinking=thinking, think_seconds=seconds)


def _thoughts(asked: Asked, steps: Sequence[Step]) -> tuple[str, float]:
    """What is thought, and for how long: only before the first answer of an exchange."""
    seconds = sum(step.seconds for step in steps if step.deed == "think")
    told = asked.thinks or any(step.deed == "think" for step in steps)
    return ("This is simulated thinking: I look at what was asked and answer it." if told else ""), seconds


def _closing_text(asked: Asked, steps: Sequence[Step], called: Sequence[Step], seed: int) -> str:
    parts = [text for step in steps if (text := _spoken(step, asked.task))]
    parts += [_told(step, result) for step, result in zip(called, asked.results, strict=False)]
    parts += [
        f"No tool was offered to {step.deed} {step.subject}."
        for step in steps
        if step.deed in USES_TOOL and step not in called
    ]
    return "\n".join(parts) if parts else samples.plain_answer(asked.task, seed)


def _spoken(step: Step, task: str) -> str:
    match step.deed:
        case "say":
            return step.subject
        case "plan":
            return samples.plan(task)
        case "review":
            return samples.REVIEW
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
