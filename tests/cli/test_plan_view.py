"""A plan as a person reads it before anything runs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.cli.plan_view import plan_lines
from conductor.cli.waves import forecast, waves_of
from conductor.domain.plan import Plan, Step
from conductor.ports.orchestration import Candidate, Choice, PassedOver
from tests.cli.pictures import a_step

CLAUDE = Choice((Candidate("claude", "sonnet", score=92, usd_expected=0.5), Candidate("codex", score=80)))


def text(plan: Plan, choices: dict[str, Choice] | None = None, workers: int = 3) -> str:
    return "\n".join(plan_lines(plan, choices or {}, workers))


def test_a_plan_shows_waves_steps_who_does_them_cost_and_duration() -> None:
    steps = (
        a_step("parser", category="backend-development", files=("calc/parser.py",), estimate_seconds=600.0),
        a_step("tests", "parser", complexity=2, confidence=0.8, estimate_seconds=120.0),
    )

    assert text(Plan("Calculator", steps, "Build a calculator"), {"parser": CLAUDE, "tests": CLAUDE}) == "\n".join(
        [
            "Calculator: 2 steps",
            "  Build a calculator",
            "",
            "wave 1",
            "  parser  Make parser",
            "      backend-development · complexity 3 · claude:sonnet 92/100 · 10m00s",
            "      files calc/parser.py",
            "",
            "wave 2",
            "  tests  Make tests",
            "      feature · complexity 2 · claude:sonnet 92/100 · 2m00s · confidence 80%",
            "      after parser",
            "",
            "cost      about $1.00",
            "duration  at least 12m00s with 3 workers",
            "longest   parser → tests",
        ]
    )


def test_what_nobody_knows_is_said_and_not_counted_as_nothing() -> None:
    steps = (a_step("a", estimate_seconds=60.0), a_step("b"))

    told = text(Plan("p", steps), {"a": CLAUDE, "b": Choice((Candidate("codex"),))})

    assert "cost      about $0.50 and what 1 step of unknown cost will take" in told
    assert "duration  at least 1m00s with 3 workers, 1 step without an estimate not counted" in told
    assert "cost      nothing" in text(Plan("p", steps[:1]), {"a": Choice((Candidate("command", usd_expected=0.0),))})
    unknown = text(Plan("p", (a_step("a"),)))
    assert "cost      not known" in unknown
    assert "duration  not known: no step has an estimate" in unknown


def test_a_step_that_nobody_can_do_says_why() -> None:
    nobody = Choice((), (PassedOver("claude", "sonnet", "not logged in"),))

    assert "NOBODY can do it: not logged in" in text(Plan("p", (a_step("a"),)), {"a": nobody})


def test_every_command_is_shown_whole_with_what_a_terminal_would_hide() -> None:
    hidden = "pytest -q\n" + "x" * 500 + "\r\x1b[2Kok \u202etxt.exe"
    steps = (Step("a", "A", "rm -rf build", agent="command"), a_step("b", verify=hidden))

    told = text(Plan("p", steps, check="make test", from_model=True))

    assert "commands that a model wrote: they run once they are approved or allowed" in told
    assert "  check before each merge\n      make test\n" in told
    assert "  a runs\n      rm -rf build\n" in told
    assert "  b is verified by\n      pytest -q\n      " + "x" * 500 + "\\r\\x1b[2Kok \\u202etxt.exe\n" in told
    assert "commands in the plan" in text(Plan("p", steps))


@pytest.mark.parametrize(("workers", "seconds"), [(1, 40.0), (2, 30.0), (9, 30.0)])
def test_the_duration_is_the_longest_chain_or_the_work_shared_among_the_workers(workers: int, seconds: float) -> None:
    steps = [a_step("a", estimate_seconds=10), a_step("b", "a", estimate_seconds=20), a_step("c", estimate_seconds=10)]

    found = forecast(steps)

    assert found.path == ("a", "b")
    assert found.seconds(workers) == seconds


def test_a_chain_of_ten_thousand_steps_is_no_trouble() -> None:
    steps = [a_step(f"s{number}", *([f"s{number - 1}"] if number else [])) for number in range(10_000)]

    assert waves_of(steps)["s9999"] == 10_000
    assert len(forecast(steps).path) == 10_000


@given(st.lists(st.lists(st.integers(0, 30), max_size=4), max_size=30))
def test_each_step_is_in_a_later_wave_than_all_that_it_depends_on(graph: list[list[int]]) -> None:
    steps = [
        a_step(f"s{number}", *{f"s{needed}" for needed in needs if needed < number})
        for number, needs in enumerate(graph)
    ]

    waves = waves_of(steps)

    assert all(waves[step.id] > waves[needed] for step in steps for needed in step.depends_on)
    assert all(waves[step.id] == 1 for step in steps if not step.depends_on)
