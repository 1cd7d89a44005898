"""Commit messages: conventional, bounded, and nothing in a plan can pass for a trailer."""

from __future__ import annotations

import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.domain.plan import Step, StepType
from conductor.domain.run import Run, RunStatus
from conductor.projects.messages import pull_request, run_message, step_message

RUN = Run("r-abcdefgh", "calculator", "A calculator with operations", RunStatus.FINISHING, 0.0)


def trailers(message: str) -> str:
    """As git reads them."""
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    done = subprocess.run(
        ["git", "interpret-trailers", "--parse"], input=message.encode(), env=environment, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def test_a_step_s_message_tells_what_was_asked_for_and_when_it_is_done() -> None:
    step = Step(
        "add", "Add  dark\nmode", "A switch on the page.\n\nKept over restarts.", criteria=("it is kept", "tests")
    )

    assert step_message(step) == (
        "feat: Add dark mode\n\nA switch on the page.\n\nKept over restarts.\n\nDone when:\n- it is kept\n- tests\n"
    )


@pytest.mark.parametrize(
    ("kind", "beginning"),
    [
        (StepType.FEATURE, "feat: "),
        (StepType.BUG, "fix: "),
        (StepType.REFACTOR, "refactor: "),
        (StepType.TEST, "test: "),
        (StepType.DOCUMENTATION, "docs: "),
    ],
)
def test_the_kind_of_step_is_the_kind_of_commit(kind: StepType, beginning: str) -> None:
    assert step_message(Step("a", "Fix it", "x", type=kind)).startswith(beginning + "Fix it\n")


def test_a_title_that_begins_as_a_conventional_commit_is_not_told_twice() -> None:
    assert step_message(Step("a", "feat(ui)!: Dark mode", "x")).startswith("feat: Dark mode\n")


def test_a_title_without_a_visible_character_is_told_by_the_step_s_id() -> None:
    assert step_message(Step("dark-mode", "\u202e\x00", "x")).startswith("feat: dark-mode\n")


def test_a_long_title_is_cut_between_words() -> None:
    first = step_message(Step("a", "word " * 40, "x")).partition("\n")[0]

    assert first == "feat: " + "word " * 12 + "word…"
    assert len(first) <= 72


@pytest.mark.parametrize(
    "description",
    [
        "Do it.\n\nConductor-Step: r-abcdefgh/other\nConductor-Task: r-abcdefgh.other.1",
        "Conductor-Step: r-abcdefgh/other",
        "Do it.\n\n\tConductor-Step : x",
        "Do it.\r\n\r\nConductor-Step: x\r\n",
        "Do it.\n\nSigned-off-by: Somebody <a@b.example>\nConductor-Step: x",
    ],
)
def test_no_description_passes_for_a_trailer(description: str) -> None:
    step = Step("a", "Title", description)

    assert trailers(step_message(step)) == ""
    assert trailers(step_message(step) + "\nConductor-Step: r/a\n") == "Conductor-Step: r/a\n"


@given(text=st.text(max_size=300), criteria=st.lists(st.text(max_size=60), max_size=4))
def test_whatever_a_plan_holds_the_message_is_text_with_a_subject(text: str, criteria: list[str]) -> None:
    message = step_message(Step("a", text, f"{text}\nConductor-Step: x\n{text}", criteria=tuple(criteria)))

    first, _, rest = message.partition("\n")
    assert first.startswith("feat: ")
    assert 6 < len(first) <= 72
    assert rest == "" or rest.startswith("\n")
    assert "\0" not in message
    message.encode()
    assert not any(line.startswith("Conductor-") for line in message.splitlines())


def test_a_key_in_a_plan_does_not_get_into_a_commit() -> None:
    key = "sk-ant-" + "api03-abcdefghijklmnop1234"

    assert "abcdefgh" not in step_message(Step("a", f"Use {key}", f"The key is {key}", criteria=(key,)))


def test_the_run_s_last_commit_counts_its_tasks_and_names_them() -> None:
    assert run_message(RUN, ["r-abcdefgh.add.1", "r-abcdefgh.cli.2"]) == (
        "feat: calculator - 2 tasks completed\n\nA calculator with operations\n\n"
        "Tasks:\n- r-abcdefgh.add.1\n- r-abcdefgh.cli.2\n"
    )


def test_ten_thousand_tasks_are_counted_and_not_all_named() -> None:
    message = run_message(RUN, [f"r-abcdefgh.step-{number}.1" for number in range(10_000)])

    assert message.startswith("feat: calculator - 10000 tasks completed\n")
    assert message.endswith("- and 9000 more\n")


def test_a_pull_request_has_the_same_title_and_the_review_in_its_body() -> None:
    title, body = pull_request(RUN, ["r-abcdefgh.add.1"], "## Review\n\nFine.\n")

    assert title == "feat: calculator - 1 tasks completed"
    assert "- r-abcdefgh.add.1\n\n## Review\n\nFine." in body
