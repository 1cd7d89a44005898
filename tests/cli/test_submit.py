"""`conductor submit`, one task at a time."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from conductor.domain.task import GENERATED_ID
from conductor.domain.view import Queued, Waiting
from tests.cli.front import Shell

NOTE = "no conductord runs on this home"


def spec_of(shell: Shell, *arguments: str, **env: str) -> Any:
    """The task that `conductor submit <arguments>` queued."""
    (task_id,) = shell.ok("submit", *arguments, **env).ids
    return shell.views()[task_id].spec  # type: ignore[union-attr]


# -- what it prints and how it ends


def test_only_the_id_is_printed_and_without_a_daemon_a_note_on_standard_error(shell: Shell) -> None:
    answer = shell("submit", "--agent", "command", "make test")

    assert answer.code == 0
    assert GENERATED_ID.fullmatch(answer.out.removesuffix("\n"))
    assert NOTE in answer.err
    view = shell.views()[answer.ids[0]]
    assert isinstance(view, Queued)
    assert (view.spec.description, view.spec.agent) == ("make test", "command")


def test_the_home_is_made_private_on_the_first_submit(shell: Shell) -> None:
    shell.submit("true")

    assert stat.S_IMODE(os.stat(shell.home.path).st_mode) == 0o700


def test_the_home_may_be_given_as_an_option(shell: Shell, tmp_path: Path) -> None:
    shell.ok("--home", str(tmp_path / "other"), "submit", "--agent", "command", "true")

    assert (tmp_path / "other" / "queue").is_dir()
    assert not os.path.exists(shell.home.path)


def test_without_an_agent_and_a_default_it_says_how_to_choose_and_queues_nothing(shell: Shell) -> None:
    answer = shell("submit", "please fix the tests; rm -rf nothing")

    assert (answer.code, answer.out) == (2, "")
    assert "--agent command" in answer.err
    assert "conductor.yaml" in answer.err
    assert shell.views() == {}


@pytest.mark.parametrize("way", ["file", "variable"])
def test_a_default_agent_is_used_and_an_option_wins(shell: Shell, way: str) -> None:
    env = {"CONDUCTOR_AGENT": "command"} if way == "variable" else {}
    if way == "file":
        shell.ok("init", "--agent", "command")

    assert spec_of(shell, "true", **env).agent == "command"
    assert shell("submit", "--agent", "oracle", "true", **env).code == 2


def test_an_agent_that_is_not_installed_is_refused_with_those_that_are(shell: Shell) -> None:
    answer = shell("submit", "--agent", "oracle", "what is the time?")

    assert (answer.code, answer.out) == (2, "")
    assert "no agent 'oracle': there is" in answer.err
    assert "command" in answer.err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--agent", "command"], "DESCRIPTION"),
        (["--agent", "command", "two", "words"], "unexpected extra argument"),
        (["--agent", "command", "--colour", "red", "x"], "--colour"),
        (["--agent", "command", ""], "description is empty"),
        (["--agent", "command", "  \n "], "description is empty"),
        (["--agent", "command", "--id", "a/b", "x"], "a/b"),
        (["--agent", "command", "--id", "..", "x"], "'..'"),
        (["--agent", "command", "--id", "a|b", "x"], "a|b"),
        (["--agent", "command", "--id", "a\nb", "x"], "task id"),
        (["--agent", "command", "--pool", "my pool", "x"], "my pool"),
        (["--agent", "command", "--priority", "high", "x"], "--priority"),
        (["--agent", "command", "--priority", "1000", "x"], "1000"),
        (["--agent", "command", "--timeout", "soon", "x"], "soon"),
        (["--agent", "command", "--timeout", "0", "x"], "timeout"),
        (["--agent", "command", "--delay", "tomorrow", "x"], "tomorrow"),
        (["--agent", "command", "--retries", "-1", "x"], "retries"),
        (["--agent", "command", "--env", "NAME", "x"], "NAME=VALUE"),
        (["--agent", "command", "--env", "1A=x", "x"], "1A"),
        (["--agent", "command", "--env", "=x", "x"], "is not a name"),
        (["--agent", "command", "--workspace", "/etc/hostname", "x"], "is a file"),
        (["--agent", "command", "--lines", "a|b|c|d"], "standard input"),
        (["--agent", "command", "--id", "x", "-"], "--lines"),
        (["--agent", "command", "x" * 1_048_577], ""),
    ],
)
def test_wrong_usage_exits_2_names_the_fault_and_queues_nothing(shell: Shell, arguments: list[str], named: str) -> None:
    if len(arguments[-1]) > 100_000:  # longer than one argument may be: comes as a line
        answer = shell("submit", *arguments[:-1], "-", stdin=arguments[-1])
    else:
        answer = shell("submit", *arguments, stdin="true\n")

    assert (answer.code, answer.out) == (2, "")
    assert named in answer.err
    assert "Traceback" not in answer.err
    assert shell.views() == {}


# -- options


def test_every_option_reaches_the_task(shell: Shell, tmp_path: Path) -> None:
    spec = spec_of(
        shell, "--agent", "command", "--model", "coder", "--thinking", "high", "--priority", "-5", "--pool", "gpu",
        "--id", "build-7", "--timeout", "1h30m", "--stall-timeout", "90", "--retries", "2",
        "--workspace", str(tmp_path), "--env", "A=1", "--env", "B=x=y|z", "make",
    )  # fmt: skip

    assert (spec.id, spec.model, spec.thinking, spec.priority, spec.pool) == ("build-7", "coder", "high", -5, "gpu")
    assert (spec.timeout_seconds, spec.stall_seconds, spec.retries) == (5400.0, 90.0, 2)
    assert (spec.workspace, spec.env) == (str(tmp_path), (("A", "1"), ("B", "x=y|z")))


def test_without_options_the_settings_decide_when_it_runs(shell: Shell) -> None:
    spec = spec_of(shell, "--agent", "command", "make")

    assert (spec.timeout_seconds, spec.stall_seconds, spec.retries, spec.priority) == (None, None, None, 0)
    assert spec.pool == "default"
    assert spec.submitted_ms > 0


def test_the_workspace_is_where_it_was_submitted(shell: Shell, tmp_path: Path) -> None:
    shell.cwd = str(tmp_path / "here")
    os.mkdir(shell.cwd)

    assert spec_of(shell, "--agent", "command", "make").workspace == shell.cwd
    assert spec_of(shell, "--agent", "command", "--workspace", "..", "make").workspace == str(tmp_path)


def test_a_very_short_timeout_is_still_a_task_that_can_be_read(shell: Shell) -> None:
    spec = spec_of(shell, "--agent", "command", "--timeout", "0.01ms", "true")

    assert spec.timeout_seconds == pytest.approx(1e-05)
    assert shell.claim().spec == spec


def test_a_delayed_task_waits(shell: Shell) -> None:
    task_id = shell.submit("--delay", "2h", "true")

    view = shell.views()[task_id]
    assert isinstance(view, Waiting)
    assert view.due_ms - view.spec.submitted_ms == 7_200_000
    assert shell.queue.claim("default", "w1-1-1-00000000") is None


def test_one_that_waits_for_others_says_so_wherever_it_is_shown(shell: Shell) -> None:
    # given
    for name in ("one", "two"):
        shell.ok("submit", "--agent", "command", "--id", name, "true")

    # when
    task_id = shell.submit("--after", "one, two", "--after", "two", "echo three")

    # then
    view = shell.views()[task_id]
    assert isinstance(view, Waiting)
    assert (view.spec.after, view.awaits) == (("one", "two", "two"), "one")
    assert shell.task(task_id)["awaits"] == "one"
    assert "(after one) echo three" in shell.ok("list").out
    assert "waits for task one to end well" in shell.ok("why", task_id).out
    assert "awaits" in shell.ok("show", task_id).out

    # and runs after them
    assert [shell.run_next() for _ in range(2)] == ["one", "two"]
    shell.unpack()
    assert shell.run_next() == task_id


def test_one_that_waits_for_what_is_not_there_is_refused(shell: Shell) -> None:
    answer = shell("submit", "--agent", "command", "--after", "nowhere", "true")

    assert (answer.code, answer.out) == (2, "")
    assert "nowhere" in answer.err
    assert shell.views() == {}


def test_a_pool_that_no_settings_name_is_warned_of_and_accepted(shell: Shell) -> None:
    answer = shell("submit", "--agent", "command", "--pool", "gpu", "true")

    assert answer.code == 0
    assert "no pool 'gpu' in the settings yet" in answer.err
    assert shell.views()[answer.ids[0]].spec.pool == "gpu"  # type: ignore[union-attr]


def test_a_description_is_taken_as_it_is(shell: Shell) -> None:
    text = "printf 'a|b\\n' | tr '|' '\\t' # é ☃ \u2028\n second line\r"

    assert spec_of(shell, "--agent", "command", text).description == text


# -- inline tags


@pytest.mark.parametrize(
    ("text", "description", "model", "thinking"),
    [
        ("fix it [model:coder] [thinking:high]", "fix it", "coder", "high"),
        ("[model:coder] fix it", "fix it", "coder", ""),
        ("fix [thinking:low] it", "fix it", "", "low"),
        ("fix it [model:a/b-1.5:free]", "fix it", "a/b-1.5:free", ""),
        ("fix it [model:] [thinking]", "fix it [model:] [thinking]", "", ""),
        ("[ -f x ] && echo [other:tag]", "[ -f x ] && echo [other:tag]", "", ""),
        ("  spaces stay  ", "  spaces stay  ", "", ""),
    ],
)
def test_inline_tags_are_taken_out_of_the_text_and_used(
    shell: Shell, text: str, description: str, model: str, thinking: str
) -> None:
    spec = spec_of(shell, "--agent", "command", text)

    assert (spec.description, spec.model, spec.thinking) == (description, model, thinking)


def test_an_option_wins_over_an_inline_tag(shell: Shell) -> None:
    spec = spec_of(shell, "--agent", "command", "--model", "opus", "fix it [model:coder] [thinking:high]")

    assert (spec.model, spec.thinking) == ("opus", "high")


def test_nothing_but_tags_is_no_description(shell: Shell) -> None:
    assert shell("submit", "--agent", "command", "[model:coder]").code == 2


# -- ids


def test_a_taken_id_is_refused(shell: Shell) -> None:
    shell.submit("--id", "nightly", "echo first")

    answer = shell("submit", "--agent", "command", "--id", "nightly", "echo second")

    assert (answer.code, answer.out) == (2, "")
    assert "'nightly' is taken" in answer.err
    assert shell.views()["nightly"].spec.description == "echo first"  # type: ignore[union-attr]


def test_with_if_absent_a_taken_id_is_a_success_that_changes_nothing(shell: Shell) -> None:
    for description in ("echo first", "echo second"):
        answer = shell("submit", "--agent", "command", "--id", "nightly", "--if-absent", description)
        assert (answer.code, answer.ids) == (0, ["nightly"])

    assert shell.views()["nightly"].spec.description == "echo first"  # type: ignore[union-attr]
    assert len(shell.views()) == 1


def test_an_id_stays_taken_after_its_task_has_ended(shell: Shell) -> None:
    shell.submit("--id", "nightly", "true")
    shell.run_next()

    assert shell("submit", "--agent", "command", "--id", "nightly", "true").code == 2
    assert shell.ok("submit", "--agent", "command", "--id", "nightly", "--if-absent", "true").ids == ["nightly"]


# -- waiting, and homes that can't be used


def test_waiting_without_a_daemon_exits_4_and_the_task_is_accepted(shell: Shell) -> None:
    answer = shell("submit", "--agent", "command", "--wait", "true")

    assert answer.code == 4
    assert list(shell.views()) == answer.ids


@pytest.mark.parametrize("content", ["pools: 5\n", "pools: [a]\n", "pools: gpu\n", "pools:\n", "agent: [x]\n"])
def test_settings_that_only_the_daemon_will_refuse_do_not_break_a_submit(shell: Shell, content: str) -> None:
    shell.submit("true")
    Path(shell.home.settings_file).write_text(content)

    assert shell("submit", "--agent", "command", "true").code == 0


@pytest.mark.parametrize("content", [b"agent: [", b"- a list\n", b"\xff\xfe"])
def test_settings_that_cannot_be_read_exit_78_and_queue_nothing(shell: Shell, content: bytes) -> None:
    shell.ok("list")
    Path(shell.home.settings_file).write_bytes(content)

    answer = shell("submit", "--agent", "command", "true")

    assert (answer.code, answer.out) == (78, "")
    assert "conductor.yaml" in answer.err
    assert shell.views() == {}


def test_a_home_that_others_can_write_to_exits_78_with_the_remedy(shell: Shell) -> None:
    shell.submit("true")
    os.chmod(shell.home.path, 0o777)

    answer = shell("submit", "--agent", "command", "true")

    assert (answer.code, answer.out) == (78, "")
    assert "chmod go-w" in answer.err


def test_a_home_that_is_no_folder_exits_78(shell: Shell) -> None:
    Path(shell.home.path).write_text("a file")

    answer = shell("submit", "--agent", "command", "true")

    assert answer.code == 78
    assert shell.home.path in answer.err


def test_a_home_of_a_newer_version_exits_78_and_says_upgrade(shell: Shell) -> None:
    shell.submit("true")
    Path(shell.home.queue, "VERSION").write_text("99\n")

    answer = shell("submit", "--agent", "command", "true")

    assert answer.code == 78
    assert re.search(r"format 99.*upgrade", answer.err)
