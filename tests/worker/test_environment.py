"""What an agent sees of the environment, and what nursery and workers are told."""

from __future__ import annotations

import pytest

from conductor.domain.retry import RetryPolicy
from conductor.domain.task import Claim, TaskSpec, Tries
from conductor.worker.config import WorkerConfig
from conductor.worker.environment import agent_environment

OWN = {
    "CONDUCTOR_TASK_ID": "t1",
    "CONDUCTOR_ATTEMPT": "2",
    "CONDUCTOR_WORKER_ID": "w1-2-3-0123abcd",
    "CONDUCTOR_HOME": "/srv/home",
    "CONDUCTOR_TASK_DIR": "/srv/home/tasks/t1/2",
}


def seen(
    daemon: dict[str, str],
    also_pass: tuple[str, ...] = (),
    env: tuple[tuple[str, str], ...] = (),
    more: tuple[tuple[str, str], ...] = (),
) -> dict[str, str]:
    """What the agent of attempt 2 of t1 sees, apart from who it is."""
    claim = Claim(TaskSpec("t1", "x", env=env), Tries(started=2), OWN["CONDUCTOR_WORKER_ID"], OWN["CONDUCTOR_TASK_DIR"])
    found = agent_environment(daemon, also_pass, claim, OWN["CONDUCTOR_HOME"], more)
    assert {name: found.pop(name) for name in OWN} == OWN
    return found


def test_an_agent_is_told_who_it_is_and_has_a_path() -> None:
    assert seen({}) == {"PATH": "/usr/local/bin:/usr/bin:/bin"}


def test_only_what_is_on_the_list_is_inherited() -> None:
    allowed = {
        "PATH": "/bin", "HOME": "/root", "USER": "me", "LANG": "C.UTF-8", "LC_TIME": "C", "TZ": "UTC",
        "XDG_RUNTIME_DIR": "/run/user/0", "HTTPS_PROXY": "http://proxy", "SSL_CERT_FILE": "/c", "TMPDIR": "/t",
    }  # fmt: skip
    refused = {
        "ANTHROPIC_API_KEY": "x", "GITHUB_TOKEN": "x", "PYTHONPATH": "/x", "LD_PRELOAD": "/x", "VIRTUAL_ENV": "/x",
        "NOTIFY_SOCKET": "/x", "INVOCATION_ID": "x", "OLDPWD": "/", "SSH_AUTH_SOCK": "/x", "WORKERS": "3",
    }  # fmt: skip

    assert seen({**allowed, **refused}) == allowed


def test_nothing_of_the_daemon_s_own_variables_is_inherited_whatever_is_passed() -> None:
    daemon = {"PATH": "/bin", "CONDUCTOR_TASK_ID": "other", "CONDUCTOR_AGENT": "x", "CONDUCTOR_SECRET": "x"}

    assert seen(daemon, also_pass=("CONDUCTOR_*", "CONDUCTOR_AGENT")) == {"PATH": "/bin"}


def test_the_settings_pass_more_by_name_or_by_beginning() -> None:
    daemon = {"PATH": "/bin", "OPENAI_API_KEY": "k", "MY_A": "1", "MY_B": "2", "YOUR_A": "3", "MY": "4"}

    assert seen(daemon, also_pass=("OPENAI_API_KEY", "MY_*", "ABSENT")) == {
        "PATH": "/bin", "OPENAI_API_KEY": "k", "MY_A": "1", "MY_B": "2",
    }  # fmt: skip


def test_the_agent_wins_over_what_is_inherited_and_the_task_over_the_agent() -> None:
    found = seen({"PATH": "/bin", "HOME": "/root"}, more=(("HOME", "/agent"), ("MODE", "a")), env=(("MODE", "t"),))

    assert found == {"PATH": "/bin", "HOME": "/agent", "MODE": "t"}


@pytest.mark.parametrize("name", OWN)
def test_nobody_takes_another_s_name(name: str) -> None:
    assert name not in seen({name: "daemon"}, env=((name, "task"),), more=((name, "agent"),), also_pass=(name,))


def test_a_later_value_of_the_same_variable_wins() -> None:
    assert seen({"PATH": "/bin"}, env=(("A", "1"), ("A", "2")))["A"] == "2"


def test_what_a_nursery_is_told_is_read_back() -> None:
    config = WorkerConfig(
        home="/srv/home",
        pool="gpu",
        kinds={"command": "conductor.agents.command:CommandAgent"},
        preload=("json", "csv"),
        max_idle_seconds=1.5,
        timeout_seconds=2.5,
        stall_seconds=0.5,
        grace_seconds=3.5,
        log_bytes=4096,
        env_pass=("A", "B*"),
        cgroup="/sys/fs/cgroup/x",
        retry=RetryPolicy(1, 2, 3.0, 4.0),
    )

    line = config.to_json()

    assert "\n" not in line
    assert WorkerConfig.from_json(line) == config


@pytest.mark.parametrize("line", ["", "{}", "[]", '{"home": "/h"}', '{"retry": {"colour": 1}}'])
def test_what_is_no_configuration_is_refused_as_the_nursery_expects(line: str) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        WorkerConfig.from_json(line)
