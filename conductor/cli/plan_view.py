"""A plan as lines: waves, steps, who does them, the commands in it, what it will cost and how long it takes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from conductor.cli.waves import forecast, waves_of
from conductor.cli.wording import doer, every_character, many, money, names, one_line
from conductor.domain.durations import format_duration
from conductor.domain.plan import COMMAND_AGENT, Plan, Step
from conductor.ports.orchestration import Candidate, Choice

Choices = Mapping[str, Choice]
"""By step id; steps that are not in it: nobody was asked."""


def plan_lines(plan: Plan, choices: Choices, workers: int) -> Iterator[str]:
    """The whole plan for a person who has to judge it."""
    yield f"{one_line(plan.name)}: {many(len(plan.steps), 'step')}"
    if plan.description and plan.description != plan.name:
        yield f"  {one_line(plan.description)}"
    yield from (f"  note: {one_line(note)}" for note in plan.notes)
    for number, steps in _by_wave(plan.steps).items():
        yield ""
        yield f"wave {number}"
        for step in steps:
            yield from _step_lines(step, choices.get(step.id))
    yield ""
    yield from command_lines(plan)
    yield from expectation(plan.steps, choices, workers)


def _by_wave(steps: Sequence[Step]) -> dict[int, list[Step]]:
    waves = waves_of(steps)
    found: dict[int, list[Step]] = {number: [] for number in sorted(set(waves.values()))}
    for step in steps:
        found[waves[step.id]].append(step)
    return found


def _step_lines(step: Step, choice: Choice | None) -> Iterator[str]:
    yield f"  {step.id}  {one_line(step.title, 200)}"
    facts = [step.category or step.type.value, f"complexity {step.complexity}", _whom(step, choice)]
    if step.estimate_seconds is not None:
        facts.append(format_duration(step.estimate_seconds))
    if step.confidence is not None:
        facts.append(f"confidence {step.confidence:.0%}")
    yield f"      {' · '.join(facts)}"
    if step.depends_on:
        yield f"      after {names(step.depends_on, 12)}"
    if step.files:
        yield f"      files {one_line(names(step.files, 12))}"


def _whom(step: Step, choice: Choice | None) -> str:
    if choice is None:
        return doer(step.agent, step.model, step.thinking) if step.agent else "whoever is set up"
    if not choice.candidates:
        why = f": {one_line(choice.passed_over[0].why, 120)}" if choice.passed_over else ""
        return f"NOBODY can do it{why}"
    best = choice.candidates[0]
    score = f" {best.score}/100" if best.score else ""
    return f"{doer(best.agent, best.model, best.thinking)}{score}"


def command_lines(plan: Plan) -> Iterator[str]:
    """Every command that the plan would run, whole: what a model wrote is approved by reading it here."""
    found = list(commands_of(plan))
    if not found:
        return
    who = "that a model wrote: they run once they are approved or allowed" if plan.from_model else "in the plan"
    yield f"commands {who}"
    for whose, command in found:
        yield f"  {whose}"
        yield from (f"      {line}" for line in every_character(command))
    yield ""


def commands_of(plan: Plan) -> Iterable[tuple[str, str]]:
    """(whose, command) in the order of the plan."""
    if plan.check:
        yield "check before each merge", plan.check
    for step in plan.steps:
        if step.agent == COMMAND_AGENT:
            yield f"{step.id} runs", step.description
        if step.verify:
            yield f"{step.id} is verified by", step.verify


def expectation(steps: Sequence[Step], choices: Choices, workers: int) -> Iterator[str]:
    """The cost and the time, and how much of both nobody knows."""
    firsts = [choice.candidates[0] for step in steps if (choice := choices.get(step.id)) and choice.candidates]
    yield f"cost      {_cost(steps, firsts)}"
    found = forecast(steps)
    if found.unknown < len(steps):
        more = f", {many(found.unknown, 'step')} without an estimate not counted" if found.unknown else ""
        at_least = format_duration(found.seconds(workers))
        yield f"duration  at least {at_least} with {many(workers, 'worker')}{more}"
    else:
        yield "duration  not known: no step has an estimate"
    yield f"longest   {' → '.join(_shortened(found.path))}"


def _cost(steps: Sequence[Step], firsts: Sequence[Candidate]) -> str:
    known = [one.usd_expected for one in firsts if one.usd_expected is not None]
    unknown = len(steps) - len(known)
    if not known:
        return "not known"
    if not unknown and not any(known):
        return "nothing"
    more = f" and what {many(unknown, 'step')} of unknown cost will take" if unknown else ""
    return f"about {money(sum(known))}{more}"


def _shortened(path: Sequence[str], most: int = 8) -> Sequence[str]:
    half = most // 2
    return path if len(path) <= most else [*path[:half], f"({len(path) - 2 * half} more)", *path[-half:]]
