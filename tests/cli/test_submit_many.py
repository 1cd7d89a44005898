"""`conductor submit -`: a description or a task line on each line of standard input, all accepted or none."""

from __future__ import annotations

import os

import pytest

from conductor.domain.outcome import Outcome
from conductor.domain.task import TaskSpec
from tests.cli.front import Shell


def specs(shell: Shell) -> list[TaskSpec]:
    """Every queued task as it would be claimed, batches unpacked."""
    shell.unpack()
    return [view.spec for view in shell.queue.tasks()]  # type: ignore[union-attr]


def test_each_line_is_one_description_and_a_bar_in_it_is_literal(shell: Shell) -> None:
    answer = shell.ok("submit", "--agent", "command", "-", stdin="ls | wc -l\n\n   \necho '\\n|'\r\nécho\n")

    assert len(answer.ids) == len(set(answer.ids)) == 3
    found = specs(shell)
    assert [spec.id for spec in found] == answer.ids
    assert [spec.description for spec in found] == ["ls | wc -l", "echo '\\n|'", "écho"]


def test_the_last_line_needs_no_end(shell: Shell) -> None:
    shell.ok("submit", "--agent", "command", "-", stdin="one\ntwo")

    assert [spec.description for spec in specs(shell)] == ["one", "two"]


def test_nothing_on_standard_input_is_nothing_to_do(shell: Shell) -> None:
    for stdin in ("", "\n\n", "  \n"):
        answer = shell.ok("submit", "--agent", "command", "-", stdin=stdin)
        assert (answer.out, answer.err) == ("", "")

    assert specs(shell) == []


def test_options_apply_to_all_and_tags_to_their_line(shell: Shell) -> None:
    shell.ok(
        "submit", "--agent", "command", "--priority", "5", "--env", "A=1", "--thinking", "low", "-",
        stdin="one [model:a]\ntwo [thinking:high]\n",
    )  # fmt: skip

    one, two = specs(shell)
    assert (one.description, one.model, one.thinking, one.priority, one.env) == ("one", "a", "low", 5, (("A", "1"),))
    assert (two.description, two.model, two.thinking, two.priority) == ("two", "", "low", 5)
    assert one.workspace == two.workspace == shell.cwd


def test_with_a_delay_all_of_them_wait(shell: Shell) -> None:
    shell.ok("submit", "--agent", "command", "--delay", "1h", "-", stdin="one\ntwo\n")
    shell.unpack()

    assert shell.queue.counts().waiting == 2


def test_ten_thousand_lines_are_accepted_in_one_batch(shell: Shell) -> None:
    answer = shell.ok("submit", "--agent", "command", "-", stdin="".join(f"echo {n}\n" for n in range(10_000)))

    assert len(set(answer.ids)) == 10_000
    assert len(os.listdir(f"{shell.home.queue}/inbox")) == 1
    assert shell.queue.counts().batched == 10_000


# -- task lines

LINES = """\
# a comment
one|echo 'a\\|b'|coder|high|retries=2|agent=command

|echo two||
three|echo [model:x]||
"""


def test_with_lines_each_line_is_a_task_line(shell: Shell) -> None:
    answer = shell.ok("submit", "--agent", "command", "--lines", "-", stdin=LINES)

    one, two, three = specs(shell)
    assert answer.ids == ["one", two.id, "three"]
    assert (one.description, one.model, one.thinking, one.retries) == ("echo 'a|b'", "coder", "high", 2)
    assert two.description == "echo two"
    assert (three.description, three.model) == ("echo [model:x]", ""), "tags are for plain descriptions"


def test_a_task_line_without_a_workspace_gets_a_folder_of_its_own(shell: Shell) -> None:
    shell.ok("submit", "--agent", "command", "--lines", "-", stdin="a|pwd||\nb|pwd|||workspace=/tmp\n")

    assert [spec.workspace for spec in specs(shell)] == ["", "/tmp"]


def test_an_option_wins_over_what_a_line_says(shell: Shell) -> None:
    shell.ok("submit", "--agent", "command", "--priority", "7", "--lines", "-", stdin="a|x|||agent=oracle|priority=1\n")

    (spec,) = specs(shell)
    assert (spec.agent, spec.priority) == ("command", 7)


def test_a_line_without_an_agent_is_refused_where_there_is_no_default(shell: Shell) -> None:
    answer = shell("submit", "--lines", "-", stdin="a|x|||agent=command\nb|please do it||\n")

    assert (answer.code, answer.out) == (2, "")
    assert "--agent command" in answer.err
    assert specs(shell) == []


@pytest.mark.parametrize(
    ("arguments", "stdin", "named"),
    [
        (["--lines"], "a|x||\nb|y|\n", "line 2: "),
        (["--lines"], "a|x||\n\nb|\\q||\n", "line 3: "),
        (["--lines"], "a|x||\na/b|y||\n", "line 2: "),
        (["--lines"], "a|x||\nb|y|||colour=red\n", "line 2: unknown option 'colour'"),
        (["--lines"], "a|x||\na|y||\n", "'a' is taken"),
        ([], "ok\n[model:coder]\n", "line 2: the description is empty"),
        ([], "ok\n" + "x" * 1_048_577 + "\n", "line 2: the description is longer"),
        ([], "ok\na\0b\n", "line 2: the description holds a NUL"),
    ],
)
def test_one_bad_line_refuses_all_by_its_number(shell: Shell, arguments: list[str], stdin: str, named: str) -> None:
    answer = shell("submit", "--agent", "command", *arguments, "-", stdin=stdin)

    assert (answer.code, answer.out) == (2, "")
    assert named in answer.err
    assert specs(shell) == []
    assert os.listdir(shell.home.tasks) == [], "no id stays taken"


def test_input_that_is_not_utf_8_is_refused_by_its_place(shell: Shell) -> None:
    answer = shell("submit", "--agent", "command", "-", stdin=b"ok\n\xff\xfe\n")

    assert (answer.code, answer.out) == (2, "")
    assert "not UTF-8 (byte 3)" in answer.err
    assert specs(shell) == []


# -- ids that are there already


def test_one_taken_id_refuses_all(shell: Shell) -> None:
    shell.submit("--id", "b", "echo first")

    answer = shell("submit", "--agent", "command", "--lines", "-", stdin="a|x||\nb|y||\nc|z||\n")

    assert (answer.code, answer.out) == (2, "")
    assert [spec.id for spec in specs(shell)] == ["b"]
    shell.ok("submit", "--agent", "command", "--lines", "-", stdin="a|x||\nc|z||\n")


def test_with_if_absent_only_what_is_absent_is_accepted_and_every_id_is_printed(shell: Shell) -> None:
    shell.submit("--id", "b", "echo first")
    shell.submit("--id", "d", "echo ended")
    shell.run_next()
    shell.run_next(Outcome.FAILED)

    for _ in range(2):
        answer = shell.ok(
            "submit", "--agent", "command", "--if-absent", "--lines", "-", stdin="a|x||\nb|y||\nc|z||\nd|w||\n"
        )
        assert answer.ids == ["a", "b", "c", "d"]

    shell.unpack()
    assert (shell.run_next(), shell.run_next()) == ("a", "c")
    assert shell.queue.counts().pending == 0


def test_with_if_absent_the_first_of_two_lines_with_one_id_is_accepted(shell: Shell) -> None:
    answer = shell.ok("submit", "--agent", "command", "--if-absent", "--lines", "-", stdin="a|one||\na|two||\nb|x||\n")

    assert answer.ids == ["a", "a", "b"]
    assert [(spec.id, spec.description) for spec in specs(shell)] == [("a", "one"), ("b", "x")]


def test_thousands_of_taken_ids_are_no_trouble(shell: Shell) -> None:
    lines = "".join(f"n{number}|true||\n" for number in range(3000))
    shell.ok("submit", "--agent", "command", "--lines", "-", stdin=lines)

    answer = shell.ok("submit", "--agent", "command", "--if-absent", "--lines", "-", stdin=lines + "new|true||\n")

    assert len(answer.ids) == 3001
    assert shell.queue.counts().pending == 3001
