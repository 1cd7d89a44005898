"""`conductor runs`: what runs and ran, one in full, stopping, trying anew."""

from __future__ import annotations

import json
import os

import pytest

from conductor.domain.run import Asks, DelegationState, RunStatus, StepStatus
from tests.cli.front import Shell
from tests.cli.orchestra import Orchestra
from tests.cli.pictures import BEGAN, RUN_ID, a_run, a_state, a_step, an_open_round


@pytest.fixture
def orchestra(shell: Shell) -> Orchestra:
    shell.ok("list")  # makes the home
    return Orchestra(shell.home)


@pytest.fixture
def calculator(orchestra: Orchestra) -> Orchestra:
    """A run in which one step is done, one moves, one waits, one needs review."""
    states = [
        a_state(a_step("parser"), StepStatus.COMPLETED, 0),
        a_state(a_step("printer", files=("calc/out.py",)), StepStatus.IN_PROGRESS, 1),
        a_state(a_step("cli", "printer"), position=2),
        a_state(a_step("docs"), StepStatus.NEEDS_REVIEW, 3, reason="conflict in README.md"),
    ]
    orchestra.add(a_run(), *states)
    orchestra.hand_out(an_open_round(states[1]))
    orchestra.hand_out(an_open_round(states[3], DelegationState.HELD, work="fedcba9876543210"))
    return orchestra


# -- the list


def test_without_runs_it_says_how_to_start_one(shell: Shell) -> None:
    answer = shell.ok("runs")

    assert answer.out == ""
    assert "conductor build" in answer.err


def test_runs_are_listed_the_latest_first(shell: Shell, orchestra: Orchestra) -> None:
    orchestra.add(a_run(id="r-aaaaaaaa", status=RunStatus.COMPLETED, ended=BEGAN + 60), a_state(a_step("a")))
    orchestra.add(a_run(id="r-bbbbbbbb", created=BEGAN + 5, project="r-bbbbbbbb", title="x\x1b[2J"))

    lines = shell.ok("runs").out.splitlines()

    assert lines[0].split() == ["RUN", "STATUS", "PROJECT", "STEPS", "TIME", "TITLE"]
    assert lines[1].split()[:4] == ["r-bbbbbbbb", "running", "-", "0/0"]
    assert lines[2].split() == ["r-aaaaaaaa", "completed", "calc", "0/1", "1m00s", "Build", "a", "calculator"]
    assert "\x1b" not in "".join(lines)


def test_runs_of_one_project_and_as_json(shell: Shell, orchestra: Orchestra) -> None:
    orchestra.add(a_run(id="r-aaaaaaaa"))
    orchestra.add(a_run(id="r-bbbbbbbb", project="shop", ended=BEGAN))

    (found,) = shell.ok("runs", "--project", "shop", "--json").json

    assert (found["id"], found["status"]) == ("r-bbbbbbbb", "running")
    assert found["ended"] == "2027-01-15T08:00:00.000Z"
    assert found["asks"] == ""


def test_only_the_last_are_listed_unless_all_are_wanted(shell: Shell, orchestra: Orchestra) -> None:
    for number in range(23):
        orchestra.add(a_run(id=f"r-aaaaaa{number:02d}", created=BEGAN + number))

    assert len(shell.ok("runs", "--json").json) == 20
    assert len(shell.ok("runs", "--json", "--all").json) == 23


# -- one of them


def test_a_run_is_shown_with_why_each_step_stands_where_it_stands(shell: Shell, calculator: Orchestra) -> None:
    page = shell.ok("runs", "show", RUN_ID).out

    rows = {line.split()[1]: line for line in page.splitlines() if line.startswith(("1  ", "1 ", "2 "))}
    assert "merged 012345678" in rows["parser"]
    assert "claude:sonnet" in rows["printer"]
    assert rows["printer"].endswith("is submitted"), "its task is not in the queue"
    assert rows["cli"].endswith("waits for printer")
    assert rows["docs"].endswith("conflict in README.md")
    assert "no conductord runs on this home" in page


def test_a_run_is_shown_as_json(shell: Shell, calculator: Orchestra) -> None:
    found = shell.ok("runs", "show", "--json", RUN_ID).json

    assert (found["id"], found["usd"], found["waits_for_approval"]) == (RUN_ID, 0.5, False)
    assert [step["status"] for step in found["steps"]] == ["completed", "in_progress", "pending", "needs_review"]
    assert found["steps"][2]["why"] == "waits for printer"
    assert (found["steps"][2]["wave"], found["steps"][1]["files"]) == (2, ["calc/out.py"])


def test_a_runs_own_branch_is_named_until_it_has_landed(shell: Shell, calculator: Orchestra) -> None:
    assert f"conductor/{RUN_ID}, lands on main" in shell.ok("runs", "show", RUN_ID).out

    calculator.end(RUN_ID)

    assert f"conductor/{RUN_ID}, lands on main" not in shell.ok("runs", "show", RUN_ID).out


def test_a_step_is_shown_in_full_with_every_round(shell: Shell, calculator: Orchestra) -> None:
    page = shell.ok("runs", "show", RUN_ID, "--step", "docs").out

    assert "status    needs review: conflict in README.md" in page
    assert "described as\n  As it says.\n" in page
    assert any(line.startswith("1") and "held" in line and f"{RUN_ID}.docs.1" in line for line in page.splitlines())
    assert f"conductor logs {RUN_ID}.docs.1" in page
    assert "not handed out yet" in shell.ok("runs", "show", RUN_ID, "--step", "cli").out
    assert shell("runs", "show", RUN_ID, "--step", "nothing").code == 2


def test_a_run_is_drawn_as_mermaid(shell: Shell, calculator: Orchestra) -> None:
    lines = shell.ok("runs", "show", "--graph", RUN_ID).out.splitlines()

    assert lines[0] == "flowchart LR"
    assert "  s1 --> s2" in lines
    assert any("parser" in line and ":::completed" in line for line in lines)


def test_a_run_that_is_over_says_what_is_kept(shell: Shell, calculator: Orchestra) -> None:
    calculator.end(RUN_ID, RunStatus.NEEDS_REVIEW)

    page = shell.ok("runs", "show", RUN_ID).out

    assert "its work is kept: git -C /home/me/calc show fedcba987654" in page
    assert f"conductor approve {RUN_ID} --step docs" in page


@pytest.mark.parametrize("text", ["r-ab23cd45", "r-ab", "ab23", "r-a"])
def test_an_id_may_be_shortened_while_it_is_the_only_one(shell: Shell, orchestra: Orchestra, text: str) -> None:
    orchestra.add(a_run())
    orchestra.add(a_run(id="r-xy23cd45"))

    assert shell.ok("runs", "show", text, "--json").json["id"] == RUN_ID


def test_an_id_that_means_several_runs_is_refused_with_their_names(shell: Shell, orchestra: Orchestra) -> None:
    orchestra.add(a_run())
    orchestra.add(a_run(id="r-ab99cd45"))

    answer = shell("runs", "show", "r-ab")

    assert answer.code == 2
    assert "r-ab23cd45" in answer.err
    assert "r-ab99cd45" in answer.err


@pytest.mark.parametrize("text", ["r-nothing", "../../etc/passwd", "%", "r-ab23cd45x", "\x1b[2J", ""])
@pytest.mark.parametrize("command", [["runs", "show"], ["runs", "stop"], ["runs", "wait"], ["approve"]])
def test_a_run_that_is_not_there_exits_3(shell: Shell, orchestra: Orchestra, command: list[str], text: str) -> None:
    orchestra.add(a_run())

    answer = shell(*command, text)

    assert answer.code == 3
    assert "`conductor runs` shows them" in answer.err
    assert "\x1b" not in answer.err


# -- steering


def test_stopping_is_wished_and_rung(shell: Shell, calculator: Orchestra) -> None:
    answer = shell.ok("runs", "stop", "ab23")

    assert calculator.wish(RUN_ID).stop
    assert os.path.exists(f"{shell.home.project('calc')}/wanted")
    assert "no conductord runs" in answer.err


def test_what_is_over_is_not_stopped(shell: Shell, calculator: Orchestra) -> None:
    calculator.end(RUN_ID)

    answer = shell("runs", "stop", RUN_ID)

    assert answer.code == 2
    assert "is over" in answer.err


def test_what_needs_review_is_tried_anew_all_or_nothing(shell: Shell, calculator: Orchestra) -> None:
    assert shell("runs", "retry", RUN_ID, "docs", "parser").code == 2
    assert calculator.wish(RUN_ID).again == ()

    shell.ok("runs", "retry", RUN_ID, "docs")

    assert calculator.wish(RUN_ID).again == ("docs",)


def test_without_a_step_all_that_was_given_up_is_tried_anew(shell: Shell, calculator: Orchestra) -> None:
    shell.ok("runs", "retry", RUN_ID)

    given_up = ("failed", "needs_review", "cancelled")
    expected = [one for one, state in calculator.steps(RUN_ID).items() if state.status.value in given_up]
    assert expected
    assert list(calculator.wish(RUN_ID).again) == expected


@pytest.mark.parametrize("ended", [RunStatus.STOPPED, RunStatus.NEEDS_REVIEW])
def test_a_run_whose_steps_are_all_done_goes_on_to_land_and_publish(
    shell: Shell, orchestra: Orchestra, ended: RunStatus
) -> None:
    orchestra.add(a_run(), a_state(a_step("a"), StepStatus.COMPLETED))
    shell.ok("runs", "stop", RUN_ID)
    orchestra.end(RUN_ID, ended, reason="not published")

    shell.ok("runs", "retry", RUN_ID)

    assert orchestra.run(RUN_ID).status is RunStatus.RUNNING
    assert not orchestra.wish(RUN_ID).stop


def test_a_run_that_came_to_its_end_is_not_tried_anew(shell: Shell, orchestra: Orchestra) -> None:
    orchestra.add(a_run(), a_state(a_step("a"), StepStatus.COMPLETED))
    orchestra.end(RUN_ID, RunStatus.COMPLETED)

    answer = shell("runs", "retry", RUN_ID)

    assert answer.code == 2
    assert "nothing is to be tried anew" in answer.err
    assert orchestra.run(RUN_ID).status is RunStatus.COMPLETED


def test_a_step_that_is_not_there_is_refused_with_a_near_one(shell: Shell, calculator: Orchestra) -> None:
    answer = shell("runs", "retry", RUN_ID, "dogs")

    assert answer.code == 2
    assert "did you mean docs" in answer.err


# -- approving


def test_a_plan_is_shown_and_exactly_that_asking_is_approved(shell: Shell, orchestra: Orchestra) -> None:
    orchestra.add(a_run(), a_state(a_step("a", verify="make test")))
    orchestra.ask(RUN_ID, Asks.PLAN)
    orchestra.ask(RUN_ID, Asks.PLAN)

    answer = shell.ok("approve", "ab23", "--yes")

    assert "a  Make a" in answer.out
    assert "make test" in answer.out
    assert orchestra.wish(RUN_ID).approved == 2
    orchestra.ask(RUN_ID, Asks.PLAN)
    assert shell.ok("runs", "show", RUN_ID, "--json").json["waits_for_approval"], "what was asked later is not approved"


def test_commands_are_shown_one_by_one_with_whose_they_are(shell: Shell, orchestra: Orchestra) -> None:
    steps = (a_step("a", verify="make\x1b[2Ktest"), a_step("b", agent="command"))
    orchestra.add(a_run(check="npm test"), *(a_state(step) for step in steps))
    orchestra.ask(RUN_ID, Asks.COMMANDS, "npm test", "make\x1b[2Ktest", "As it says.")

    out = shell.ok("approve", RUN_ID, "--yes").out

    assert out.splitlines()[1:] == [
        "  1. the check before each merge",
        "       npm test",
        "  2. verifies a",
        "       make\\x1b[2Ktest",
        "  3. is the step b",
        "       As it says.",
    ]


def test_a_wave_is_shown_by_its_steps(shell: Shell, orchestra: Orchestra) -> None:
    orchestra.add(a_run(wave=1), a_state(a_step("a")), a_state(a_step("b")))
    orchestra.ask(RUN_ID, Asks.WAVE, "b")

    assert shell.ok("approve", RUN_ID, "--yes").out == f"{RUN_ID} would start wave 2:\n  b  Make b\n"


def test_without_a_terminal_nothing_is_approved_unless_yes_is_said(shell: Shell, orchestra: Orchestra) -> None:
    orchestra.add(a_run(), a_state(a_step("a")))
    orchestra.ask(RUN_ID, Asks.PLAN)

    answer = shell("approve", RUN_ID, stdin="y\n")

    assert answer.code == 2
    assert f"conductor approve {RUN_ID} --yes" in answer.err
    assert orchestra.wish(RUN_ID).approved == 0


def test_where_nothing_is_asked_nothing_is_approved(shell: Shell, calculator: Orchestra) -> None:
    answer = shell("approve", RUN_ID, "--yes")

    assert answer.code == 2
    assert "asks for nothing: it is running" in answer.err
    assert calculator.wish(RUN_ID).approved == 0


def test_the_work_of_a_step_that_needs_review_is_accepted(shell: Shell, calculator: Orchestra) -> None:
    out = shell.ok("approve", RUN_ID, "--step", "docs", "--yes").out

    assert "held because: conflict in README.md" in out
    assert "show fedcba987654" in out
    assert calculator.wish(RUN_ID).accept == ("docs",)


def test_a_step_that_needs_no_review_is_not_accepted(shell: Shell, calculator: Orchestra) -> None:
    assert shell("approve", RUN_ID, "--step", "parser", "--yes").code == 2
    assert calculator.wish(RUN_ID).accept == ()


def test_a_store_that_cannot_be_read_is_one_line(shell: Shell) -> None:
    shell.ok("list")
    with open(shell.home.database, "w") as file:
        file.write("no database " * 1000)

    answer = shell("runs")

    assert answer.code == 1
    assert "Traceback" not in answer.err
    assert json.dumps(shell.home.database)[1:-1] in answer.err
