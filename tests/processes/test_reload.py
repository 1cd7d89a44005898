"""Settings that change under a running conductord: told, taken at once, refused whole, and nothing is lost by it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conductor.domain.home import Home
from tests.conftest import DaemonFactory
from tests.support import (
    Gate,
    eventually,
    final_line,
    named_processes,
    run_cli,
    said,
    submit,
    wait_for_end,
    write_settings,
)

HUP = signal.SIGHUP


def events(home: Home, action: str) -> list[dict[str, Any]]:
    lines = map(json.loads, Path(home.events).read_text().splitlines())
    return [line for line in lines if line["action"] == action]


def test_what_a_reload_changed_is_in_the_log_and_in_the_events_with_secrets_masked(
    daemon: DaemonFactory, home: Home
) -> None:
    # given
    conductord = daemon(workers=1)

    # when
    aider = {"kind": "generic", "argv": ["aider"], "env": {"A_TOKEN": "correct-horse"}}
    write_settings(home, workers=2, agents={"aider": aider})
    conductord.send(HUP)

    # then
    (logged,) = eventually(lambda: conductord.log_lines("settings_reloaded"))
    (event,) = events(home, "settings_reloaded")
    for told in (logged, event):
        assert {"key": "workers", "old": "1", "new": "2"} in told["changed"]
        assert {"key": "agents.aider.env.A_TOKEN", "old": "", "new": "[masked]"} in told["changed"]
    assert "correct-horse" not in conductord.log_text() + Path(home.events).read_text()


def test_a_refused_reload_is_an_event_and_the_file_s_line_is_told(daemon: DaemonFactory, home: Home) -> None:
    conductord = daemon(workers=1)

    Path(home.settings_file).write_text("workers: 2\ntime_out: 3\n")
    refused = conductord.ask("reload")

    assert f"{home.settings_file}:2: time_out: unknown, did you mean timeout?" in refused["refused"]
    (event,) = events(home, "reload_refused")
    assert "time_out" in event["error"]


def test_a_home_whose_file_is_a_bomb_is_refused_and_conductord_lives(daemon: DaemonFactory, home: Home) -> None:
    conductord = daemon(workers=1)

    Path(home.settings_file).write_text("a: " + "[" * 100_000)

    assert "nested deeper" in conductord.ask("reload")["refused"]
    assert wait_for_end(home, submit(home, "true")).status.value == "SUCCESS"


def test_what_agents_get_by_way_of_a_setting_is_new_after_a_reload_and_gone_after_another(
    daemon: DaemonFactory, home: Home
) -> None:
    conductord = daemon(workers=1, discord_channel="one")

    def seen() -> str:
        task = submit(home, "echo channel=$DISCORD_CHANNEL.")
        wait_for_end(home, task)
        return said(home, task)

    assert "channel=one." in seen()
    for channel in ("two", ""):
        write_settings(home, workers=1, discord_channel=channel)
        assert "discord_channel" in {one["key"] for one in conductord.ask("reload")["changed"]}
        eventually(lambda: len(conductord.nurseries()) == 1 and conductord.slots("idle"))
        assert f"channel={channel}." in seen()


def test_what_conductord_looks_at_only_as_it_starts_is_told_until_it_is_started_again(
    daemon: DaemonFactory, home: Home
) -> None:
    conductord = daemon(workers=1)

    write_settings(home, workers=1, shared={"group": "daemon"})

    held = [{"key": "shared.group", "says": "daemon", "by": '""'}]
    for _ in range(2):
        answer = conductord.ask("reload")
        assert (answer["changed"], answer["held"]) == ([], held)
    write_settings(home, workers=1)
    assert conductord.ask("reload")["held"] == []


def test_prices_that_changed_are_told_too(daemon: DaemonFactory, home: Home) -> None:
    conductord = daemon(workers=1)

    Path(home.path, "prices.yaml").write_text("gpt-x: {input: 1, output: 2}\n")

    changed = conductord.ask("reload")["changed"]
    assert {"key": "prices.yaml.gpt-x.input", "old": "", "new": "1.0"} in changed


def test_a_system_s_file_is_read_again_too(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    system = tmp_path / "system.yaml"
    system.write_text("log_cap: 1MiB\n")
    system.chmod(0o644)
    conductord = daemon(workers=1, env={"CONDUCTOR_SYSTEM_CONFIG": str(system)})

    system.write_text("log_cap: 2MiB\n")

    assert conductord.ask("reload")["changed"] == [{"key": "log_cap", "old": "1MiB", "new": "2MiB"}]


# -- a hundred times, under load

WRONG: list[Callable[[Home], None]] = [
    lambda home: Path(home.settings_file).write_text("workers: [") and None,
    lambda home: Path(home.settings_file).write_text("wrokers: 3\n") and None,
    lambda home: Path(home.settings_file).write_bytes(b"\xff\0") and None,
    lambda home: write_settings(home, workers="many"),
    lambda home: write_settings(home, agents={"claude": {"modle": "x"}}),
]


def change(home: Home, turn: int) -> str:
    """Changes the settings in one of many ways; whether they are `good` or `wrong`."""
    if turn % 5 == 4:
        WRONG[turn // 5 % len(WRONG)](home)
        return "wrong"
    write_settings(
        home,
        workers=1 + turn % 4,
        grace=f"{2 + turn % 3}s",
        timeout=f"{60 + turn}s",
        poll_interval=f"{200 + turn}ms",
        discord_channel=str(turn),
        **({"pools": {"other": {"workers": 1}}} if turn % 3 else {}),
    )
    return "good"


def test_settings_that_change_a_hundred_times_under_load_lose_no_task_and_leave_no_worker(
    daemon: DaemonFactory, home: Home, tmp_path: Path
) -> None:
    # given a task that runs all the time, and many short ones
    conductord = daemon(workers=2)
    gate = Gate(tmp_path)
    long_one = submit(home, gate.command)
    gate.wait_for()
    short: list[str] = []

    # when the settings change a hundred times, every fifth time into something wrong
    answers = []
    for turn in range(100):
        short.append(submit(home, f"echo {turn} >>{tmp_path}/ran", pool="default"))
        answers.append((change(home, turn), conductord.ask("reload")))

    # then each wrong one was refused, each good one taken
    assert [("wrong" if answer["refused"] else "good") for _, answer in answers] == [kind for kind, _ in answers]
    assert len(conductord.log_lines("settings_reloaded")) == 80
    assert len(conductord.log_lines("reload_refused")) == 20
    assert {row["key"]: row["value"] for row in conductord.ask("settings")["settings"]}["discord_channel"] == "98"

    # and every task ran once and was recorded once, the long one in its first attempt
    eventually(lambda: all(final_line(home, task) for task in short), what="the end of every short task")
    assert {final_line(home, task).status.value for task in short} == {"SUCCESS"}  # type: ignore[union-attr]
    assert sorted(map(int, Path(tmp_path, "ran").read_text().split())) == list(range(100))
    gate.open()
    assert wait_for_end(home, long_one).status.value == "SUCCESS"
    assert gate.attempts() == [1]

    # and what is left is what the last good settings ask for
    write_settings(home, workers=2)
    assert run_cli(home, "reload").returncode == 0
    eventually(lambda: len(conductord.slots()) == 2 and len(conductord.slots("idle")) == 2, what="two idle workers")
    eventually(lambda: len(conductord.nurseries()) == 1, what="one nursery")
    eventually(lambda: len(named_processes(home, "conductor-work")) == 2, what="two worker processes")
    assert len(os.listdir(f"/proc/{conductord.pid}/fd")) < 60
