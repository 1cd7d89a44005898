"""Settings: who wins over whom, every fault told in one go, times and sizes as people write them."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conductor.cli.starting import TEMPLATE
from conductor.domain.errors import SettingsInvalid
from conductor.domain.home import Home
from conductor.settings.model import Settings, load_settings
from conductor.settings.source import find_home, raw_settings


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(str(tmp_path))


def write(home: Home, text: str) -> None:
    Path(home.settings_file).write_text(text, encoding="utf-8")


def faults(home: Home, environment: dict[str, str] | None = None, flags: dict[str, Any] | None = None) -> list[str]:
    """The lines under the error's first, each without the place that it begins with."""
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(home, environment or {}, flags)
    first, *rest = str(caught.value).splitlines()
    assert home.path in first
    assert all(re.match(rf"  ({re.escape(home.settings_file)}:\d+|\$[A-Z_]+|--[a-z-]+): ", line) for line in rest)
    return [line.strip().partition(": ")[2] for line in rest]


# -- layers


def test_without_a_file_the_defaults_hold(home: Home) -> None:
    found = load_settings(home, {})

    assert found == Settings()
    assert (found.workers, found.poll_interval, found.max_idle_time) == (3, 5.0, 300.0)
    assert (found.timeout, found.stall_timeout, found.retries, found.agent) == (3600.0, None, 0, "")
    assert (found.retry.max_lost, found.retry.first_wait, found.retry.longest_wait) == (3, 1.0, 60.0)


@pytest.mark.parametrize("text", ["", "\n\n", "# workers: 9\n  # more\n", "---\n", "null\n", "{}\n"])
def test_an_empty_file_is_as_none(home: Home, text: str) -> None:
    write(home, text)

    assert load_settings(home, {}) == Settings()


def test_the_file_wins_over_defaults_variables_over_the_file_and_flags_over_all(home: Home) -> None:
    assert load_settings(home, {}).workers == 3
    write(home, "workers: 4\n")
    assert load_settings(home, {}).workers == 4
    assert load_settings(home, {"WORKERS": "5"}).workers == 5
    assert load_settings(home, {"WORKERS": "5", "CONDUCTOR_WORKERS": "6"}).workers == 6
    assert load_settings(home, {"WORKERS": "5", "CONDUCTOR_WORKERS": "6"}, {"workers": 7}).workers == 7


def test_a_flag_that_was_not_given_says_nothing(home: Home) -> None:
    write(home, "workers: 4\nmax_idle_time: 1m\n")

    found = load_settings(home, {}, {"workers": None, "poll_interval": 2.0, "max_idle_time": None})

    assert (found.workers, found.poll_interval, found.max_idle_time) == (4, 2.0, 60.0)


def test_no_workers_is_a_number_too(home: Home) -> None:
    assert load_settings(home, {"WORKERS": "5"}, {"workers": 0}).workers == 0


def test_the_variables_that_users_of_the_shell_version_know_are_read(home: Home) -> None:
    environment = {
        "WORKERS": "8",
        "POLL_INTERVAL": "7",
        "MAX_IDLE_TIME": "10m",
        "OPENCLAW_BIN": "/opt/openclaw",
        "DISCORD_CHANNEL": "12345",
    }

    found = load_settings(home, environment)

    assert (found.workers, found.poll_interval, found.max_idle_time) == (8, 7.0, 600.0)
    assert (found.openclaw_bin, found.discord_channel) == ("/opt/openclaw", "12345")


def test_an_empty_variable_is_as_none(home: Home) -> None:
    write(home, "workers: 4\n")

    assert load_settings(home, {"WORKERS": "", "CONDUCTOR_WORKERS": ""}).workers == 4


def test_conductor_variables_set_the_settings_of_their_name(home: Home) -> None:
    environment = {
        "CONDUCTOR_AGENT": "command",
        "CONDUCTOR_TIMEOUT": "2h",
        "CONDUCTOR_STALL_TIMEOUT": "90s",
        "CONDUCTOR_RETRIES": "2",
        "CONDUCTOR_STOP_TIMEOUT": "1m",
        "CONDUCTOR_GRACE": "500ms",
        "CONDUCTOR_POLL_INTERVAL": "1",
        "CONDUCTOR_HOME": "/elsewhere",
        "CONDUCTOR_TASK_ID": "t1",
    }

    found = load_settings(home, environment)

    assert (found.agent, found.timeout, found.stall_timeout, found.retries) == ("command", 7200.0, 90.0, 2)
    assert (found.stop_timeout, found.grace, found.poll_interval) == (60.0, 0.5, 1.0)


def test_the_template_of_init_is_the_defaults_and_each_commented_line_is_a_setting(home: Home) -> None:
    text = TEMPLATE.format(agent_line="# agent: command")
    write(home, text)
    assert load_settings(home, {}) == Settings()

    uncommented = "\n".join(
        line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ") and _is_setting(line)
    )
    shown = load_settings_of(home, uncommented)

    assert shown == Settings(agent="command", pools=shown.pools, stall_timeout=600.0)
    assert set(yaml.safe_load(uncommented)) <= set(Settings.model_fields)


def _is_setting(line: str) -> bool:
    body = line.removeprefix("# ")
    return body.split(":")[0].strip().isidentifier() and not body[0].isupper()


def load_settings_of(home: Home, text: str) -> Settings:
    write(home, text)
    return load_settings(home, {})


# -- pools, times and sizes


def test_pools_have_their_own_workers_beside_the_default_pool(home: Home) -> None:
    found = load_settings_of(home, "workers: 2\npools:\n  gpu: {workers: 1, preload: [json]}\n  slow: {}\n")

    pools = found.all_pools()

    assert {name: pool.workers for name, pool in pools.items()} == {"default": 2, "gpu": 1, "slow": 3}
    assert pools["gpu"].preload == ("json",)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90.0), ("1.5", 1.5), ("10m", 600.0), ("1h30m", 5400.0), ("'2 h'", 7200.0)]
)
def test_a_time_is_seconds_or_as_people_write_it(home: Home, text: str, seconds: float) -> None:
    assert load_settings_of(home, f"timeout: {text}\n").timeout == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4096", 4096), ("'4096'", 4096), ("500k", 512_000), ("500KB", 512_000), ("10MiB", 10_485_760),
        ("10 mib", 10_485_760), ("1g", 1 << 30), ("8192b", 8192),
    ],
)  # fmt: skip
def test_a_size_is_bytes_or_as_people_write_it(home: Home, text: str, size: int) -> None:
    assert load_settings_of(home, f"log_cap: {text}\n").log_cap == size


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("workers: -1", "workers: "),
        ("workers: 1001", "workers: "),
        ("workers: 2.5", "workers: "),
        ("workers: many", "workers: "),
        ("workers: null", "workers: "),
        ("workers: [3]", "workers: "),
        ("timeout: 0", "timeout: "),
        ("timeout: -5", "timeout: "),
        ("timeout: soon", "timeout: "),
        ("timeout: yes", "timeout: "),
        ("timeout: .inf", "timeout: "),
        ("timeout: .nan", "timeout: "),
        ("timeout: {h: 1}", "timeout: "),
        ("poll_interval: 0s", "poll_interval: "),
        ("retries: -1", "retries: "),
        ("retries: 1001", "retries: "),
        ("log_cap: 100", "log_cap: "),
        ("log_cap: huge", "log_cap: "),
        ("log_cap: 5TB", "log_cap: "),
        ("agent: 5", "agent: "),
        ("environment: PATH", "environment: "),
        ("pools: 5", "pools: "),
        ("pools: {gpu: 3}", "pools.gpu: "),
        ("pools: {gpu: {workers: -1}}", "pools.gpu.workers: "),
        ("pools: {my pool: {}}", "pools.my pool: "),
        ("pools: {a/b: {}}", "pools.a/b: "),
        ("retry: {max_lost: 0}", "retry.max_lost: "),
        ("restart: {budget: 0}", "restart.budget: "),
        ("restart: always", "restart: "),
    ],
)
def test_a_fault_is_named_by_its_place(home: Home, text: str, named: str) -> None:
    write(home, text + "\n")

    (fault,) = faults(home)

    assert fault.startswith(named)
    assert "unknown" not in fault


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("worker: 3", "worker: unknown, did you mean workers?"),
        ("time_out: 3", "time_out: unknown, did you mean timeout?"),
        ("stall-timeout: 3", "stall-timeout: unknown, did you mean stall_timeout?"),
        ("colour: red", "colour: unknown"),
        ("pools: {gpu: {worker: 3}}", "pools.gpu.worker: unknown, did you mean workers?"),
        ("pools: {gpu: {timeout: 3}}", "pools.gpu.timeout: unknown"),
        ("retry: {first_wat: 3}", "retry.first_wat: unknown, did you mean first_wait?"),
        ("restart: {budgets: 3}", "restart.budgets: unknown, did you mean budget?"),
        ("17: 3", "17: unknown"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest_of_its_place(home: Home, text: str, fault: str) -> None:
    write(home, text + "\n")

    assert faults(home) == [fault]


def test_every_fault_is_told_in_one_go_wherever_it_came_from(home: Home) -> None:
    write(home, "workerz: 3\ntimeout: soon\nretries: -1\npools:\n  bad name: {}\n  gpu: {workers: x}\n")

    found = faults(home, {"POLL_INTERVAL": "often", "CONDUCTOR_GRACE": "-3"}, {"max_idle_time": -1.0})

    assert {fault.partition(":")[0] for fault in found} == {
        "workerz", "timeout", "retries", "pools.bad name", "pools.gpu.workers", "poll_interval", "grace",
        "max_idle_time",
    }  # fmt: skip
    assert any("'often'" in fault for fault in found), "what was given is shown"


# -- files that are no settings


@pytest.mark.parametrize(
    "content",
    [b"- a\n- b\n", b"just words\n", b"42\n", b"workers: [1\n", b"a: b: c\n", b"\xff\xfe\x00", b"workers: 3\n\tx: 1\n",
     b"!!python/object/apply:os.system ['true']\n", b"x: !!python/name:os.system\n"],
)  # fmt: skip
def test_a_file_that_holds_no_settings_is_refused_by_its_path(home: Home, content: bytes) -> None:
    Path(home.settings_file).write_bytes(content)

    with pytest.raises(SettingsInvalid, match=r"conductor\.yaml"):
        load_settings(home, {})


def test_a_settings_file_that_is_a_folder_is_refused(home: Home) -> None:
    os.mkdir(home.settings_file)

    with pytest.raises(SettingsInvalid, match="can't read"):
        load_settings(home, {})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*Settings.model_fields, "other", ""]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
            max_leaves=5,
        ),
        max_size=4,
    )
)
def test_arbitrary_settings_are_taken_or_refused_as_such(home: Home, given_settings: dict[str, Any]) -> None:
    write(home, yaml.safe_dump(given_settings, allow_unicode=False))

    with suppress(SettingsInvalid):
        assert 0 < load_settings(home, {}).timeout < float("inf")


# -- where the home is


def test_the_home_is_the_flag_s_the_variable_s_or_below_the_state_folder() -> None:
    environment = {"CONDUCTOR_HOME": "/srv/c", "XDG_STATE_HOME": "/var/state"}

    assert find_home(environment, "/flag").path == "/flag"
    assert find_home(environment).path == "/srv/c"
    assert find_home({"XDG_STATE_HOME": "/var/state"}).path == "/var/state/conductor"
    assert find_home({}).path == os.path.expanduser("~/.local/state/conductor")
    assert find_home({}, "~/mine").path == os.path.expanduser("~/mine")
    assert find_home({"CONDUCTOR_HOME": "relative"}).path == os.path.abspath("relative")


def test_what_submit_reads_is_unchecked_and_cheap(home: Home) -> None:
    write(home, "agent: command\nworkers: many\n")

    assert raw_settings(home, {"POLL_INTERVAL": "often"}) == {
        "agent": "command",
        "workers": "many",
        "poll_interval": "often",
    }


# -- names of models


def test_a_name_for_models_is_one_for_every_kind_or_one_for_each(home: Home) -> None:
    write(home, "models:\n  cheap: {codex: mini, '*': qwen3}\n  local: qwen3\n")
    aliases = load_settings(home, {}).aliases()
    assert (aliases["cheap"]["codex"], aliases["cheap"]["claude"], aliases["local"]["*"]) == ("mini", "haiku", "qwen3")


@pytest.mark.parametrize("models", ["{cheap: --flag}", "{cheap: ''}", "{cheap: {claude: '-x'}}", "{-x: y}", "[a]"])
def test_a_model_can_t_be_an_option(home: Home, models: str) -> None:
    write(home, f"models: {models}\n")
    assert all(fault.startswith("models") for fault in faults(home))


def test_the_model_of_an_agent_can_t_be_an_option_either(home: Home) -> None:
    write(home, "agents: {claude: {model: --flag}}\n")
    (fault,) = faults(home)
    assert fault.startswith("agents.claude.model: ")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("prompt: file", "agents.aider.argv: must be given"),
        ("argv: [aider], prmpt: file", "agents.aider.prmpt: unknown, did you mean prompt?"),
        ("argv: [aider], modl: x", "agents.aider.modl: unknown, did you mean model?"),
        ("argv: ['{model}']", "agents.aider: argv begins with the program, without a placeholder"),
        ("argv: [aider], prompt: tty", "agents.aider.prompt: it must be one of stdin, file, not tty"),
        ("argv: [aider], paths: {txt: x}", "agents.aider.paths.txt: unknown, did you mean text?"),
    ],
)
def test_what_is_wrong_with_a_generic_agent_is_told_with_its_name(home: Home, options: str, said: str) -> None:
    write(home, f"agents: {{aider: {{kind: generic, {options}}}}}\n")

    assert faults(home) == [said]


def test_a_key_that_stands_where_its_place_belongs_is_refused_unseen(home: Home) -> None:
    write(home, "providers: {anthropic: {key: sk-ant-api03-abcdefghijklmnopqrstuvwx}}\n")
    (fault,) = faults(home)
    assert "env:NAME" in fault
    assert "abcdefgh" not in fault


def test_a_project_has_a_context_and_secrets_of_its_own(home: Home) -> None:
    write(home, "projects:\n  shop: {context: /srv/shop/context.md, secrets: /srv/shop/secrets}\n")
    shop = load_settings(home, {}).projects["shop"]
    assert (shop.context, shop.secrets) == ("/srv/shop/context.md", "/srv/shop/secrets")
    write(home, "projects:\n  shop: {context: context.md, secret: /x}\n")
    assert [fault.split(":")[0] for fault in faults(home)] == ["projects.shop.context", "projects.shop.secret"]


def test_the_key_of_the_simulated_model_is_no_word_that_answers_would_lose_to_masking(home: Home) -> None:
    setups = load_settings(home, {}, {"simulate": "http://127.0.0.1:8199"}).agent_setups()
    keys = {one.provider.key for one in setups.values() if one.provider}
    assert len(keys) == 1
    assert all(
        key.startswith("literal:") and len(key) > 30 and not key.removeprefix("literal:").isalnum() for key in keys
    )


@pytest.mark.parametrize(
    ("agents", "told"),
    [
        ({"claude": {"modle": "opus"}}, "agents.claude.modle: unknown, did you mean model?"),
        ({"mine": {"kind": "codex", "netwrok": True}}, "agents.mine.netwrok: unknown, did you mean network?"),
        ({"anthropic": {"max_trns": 3}}, "agents.anthropic.max_trns: unknown, did you mean max_turns?"),
    ],
)
def test_an_option_that_its_kind_does_not_know_is_named_with_the_nearest(agents: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsInvalid, match=re.escape(told)):
        Settings.model_validate({"agents": agents}).agent_setups()
