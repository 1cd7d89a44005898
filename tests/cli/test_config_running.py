"""`conductor config` and `conductor reload` beside a running conductord: what is in force, what changed."""

from __future__ import annotations

from conductor.domain.home import Home
from tests.cli.front import Shell
from tests.cli.test_config import lines_of
from tests.conftest import DaemonFactory
from tests.support import write_settings


def test_what_conductord_has_in_force_is_shown_and_what_differs_is_told(
    shell: Shell, daemon: DaemonFactory, home: Home
) -> None:
    # given a conductord with a variable and a flag of its own
    daemon("--poll-interval", "300ms", workers=1, env={"CONDUCTOR_GRACE": "3s"})
    assert "others in force" in shell.ok("config", "show").err, "its flag and its variable"

    # when the file changes and nobody reloads
    write_settings(home, workers=2)

    # then
    running = lines_of(shell.ok("config", "show", "--running").out)
    assert running["workers"] == ("1", "conductor.yaml:1")
    assert running["grace"] == ("3s", "$CONDUCTOR_GRACE")
    assert running["poll_interval"] == ("300ms", "--poll-interval")
    told = shell.ok("config", "show").err
    assert "workers: 1  (" in told
    assert "conductor reload" in told

    # and after a reload only what conductord was given otherwise differs
    shell.ok("reload")
    told = shell.ok("config", "show").err
    assert "workers" not in told
    assert "poll_interval" in told


def test_a_reload_says_what_changed_and_what_needs_a_restart(shell: Shell, daemon: DaemonFactory, home: Home) -> None:
    # given
    daemon("--poll-interval", "300ms", workers=1, env={"CONDUCTOR_GRACE": "3s"})
    assert "no settings changed" in shell.ok("reload").err

    # when the file changes in what holds and in what a variable and a flag hold
    write_settings(home, workers=2, timeout="2h", pools={"heavy": {"workers": 0}}, grace="5s", poll_interval="1s")
    told = [line.strip() for line in shell.ok("reload").err.splitlines()]

    # then
    assert told == [
        "reloaded: 4 settings changed",
        "workers: 1 -> 2",
        "pools.heavy.workers: (nothing) -> 0",
        "timeout: 1m -> 2h",
        "pools: {} -> (nothing)",
        "poll_interval: 1s needs a restart: conductord was started with --poll-interval",
        "grace: 5s needs a restart: conductord was started with $CONDUCTOR_GRACE",
    ]
