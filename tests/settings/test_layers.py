"""Layers: who wins over whom, name by name, and where each value was said."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conductor.domain.errors import SettingsInvalid
from conductor.domain.home import Home
from conductor.settings.model import Loaded, load_layers, load_settings
from conductor.settings.places import Key, place_of
from conductor.settings.showing import leaves_of
from conductor.settings.source import SYSTEM_FILE_VARIABLE, Layer, merged, raw_settings


class House:
    """A home and a system's file, both in files."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(str(folder / "home"))
        self.system = folder / "etc" / "conductor.yaml"
        os.makedirs(self.home.path)
        self.system.parent.mkdir(mode=0o755)

    def write(self, home: str = "", system: str = "") -> None:
        Path(self.home.settings_file).write_text(home)
        self.system.write_text(system)
        self.system.chmod(0o644)

    def environment(self, **more: str) -> dict[str, str]:
        return {SYSTEM_FILE_VARIABLE: str(self.system), **more}

    def load(self, flags: Mapping[str, Any] | None = None, **variables: str) -> Loaded:
        return load_layers(self.home, self.environment(**variables), flags)

    def refusal(self, flags: Mapping[str, Any] | None = None, **variables: str) -> str:
        with pytest.raises(SettingsInvalid) as caught:
            self.load(flags, **variables)
        return str(caught.value)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def place(loaded: Loaded, *key: str | int) -> str:
    return str(place_of(key, loaded.layers))


def test_the_system_s_file_is_the_weakest_and_the_home_s_stands_over_it_name_by_name(house: House) -> None:
    house.write(
        system="workers: 2\nretry:\n  max_lost: 7\n  first_wait: 5s\nfallback: [codex, gemini]\n",
        home="retry:\n  first_wait: 6s\nfallback: [claude]\n",
    )

    found = house.load()

    assert (found.settings.workers, found.settings.retry.max_lost, found.settings.retry.first_wait) == (2, 7, 6.0)
    assert found.settings.fallback == ("claude",), "a list is replaced whole"
    assert place(found, "workers") == f"{house.system}:1"
    assert place(found, "retry", "max_lost") == f"{house.system}:3"
    assert place(found, "retry", "first_wait") == f"{house.home.settings_file}:2"
    assert place(found, "fallback", 0) == f"{house.home.settings_file}:3"
    assert place(found, "timeout") == "default"


def test_each_layer_wins_over_those_before_it_and_is_named_for_it(house: House) -> None:
    house.write(system="timeout: 1m\ngrace: 1s\nretries: 1\n", home="timeout: 2m\ngrace: 2s\n")

    found = house.load({"timeout": 240.0}, CONDUCTOR_TIMEOUT="3m", CONDUCTOR_GRACE="3s")

    assert (found.settings.timeout, found.settings.grace, found.settings.retries) == (240.0, 3.0, 1)
    assert place(found, "timeout") == "--timeout"
    assert place(found, "grace") == "$CONDUCTOR_GRACE"
    assert place(found, "retries") == f"{house.system}:3"


def test_what_submit_reads_has_the_same_layers_without_being_checked(house: House) -> None:
    house.write(system="agent: claude\nagents: {claude: {pool: slow}}\n", home="agents: {claude: {model: x}}\n")

    raw = raw_settings(house.home, house.environment(CONDUCTOR_AGENTS__CLAUDE__MODEL="y", WORKERS="many"))

    assert raw["agent"] == "claude"
    assert raw["agents"] == {"claude": {"pool": "slow", "model": "y"}}
    assert raw["workers"] == "many"


# -- variables


def test_two_underscores_go_one_level_down(house: House) -> None:
    found = house.load(
        CONDUCTOR_ORCHESTRATOR__WIP="5",
        CONDUCTOR_ORCHESTRATOR__HEARTBEAT__EVERY="10s",
        CONDUCTOR_LIMITS__PARK="false",
        CONDUCTOR_POOLS__HEAVY__WORKERS="2",
        CONDUCTOR_LOG_CAP="1MiB",
    ).settings

    assert (found.orchestrator.wip, found.orchestrator.heartbeat.every, found.limits.park) == (5, 10.0, False)
    assert (found.pools["heavy"].workers, found.log_cap) == (2, 1 << 20)


def test_a_name_with_a_dash_or_capitals_is_meant_where_a_file_has_it(house: House) -> None:
    house.write(home="projects:\n  My-Shop: {context: /a}\n")

    found = house.load(CONDUCTOR_PROJECTS__MY_SHOP__CONTEXT="/b").settings

    assert {name: one.context for name, one in found.projects.items()} == {"My-Shop": "/b"}


def test_a_variable_holds_a_list_a_mapping_or_nothing_as_yaml_writes_them(house: House) -> None:
    house.write(home="stall_timeout: 10m\nretry: {max_lost: 9, verify: 9}\n")

    found = house.load(
        CONDUCTOR_FALLBACK="[codex, 'gemini:flash']",
        CONDUCTOR_RETRY="{max_lost: 5}",
        CONDUCTOR_RETRY__TRANSIENT="6",
        CONDUCTOR_STALL_TIMEOUT="null",
    ).settings

    assert found.fallback == ("codex", "gemini:flash")
    assert (found.retry.max_lost, found.retry.transient, found.retry.verify) == (5, 6, 9)
    assert found.stall_timeout is None


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("CONDUCTOR_TIMEOT", "3", "timeot: unknown, did you mean timeout?"),
        ("CONDUCTOR_ORCHESTRATOR__WIPP", "3", "orchestrator.wipp: unknown, did you mean wip?"),
        ("CONDUCTOR_RETRIE__MAX_LOST", "3", "retrie: unknown, did you mean retries?"),
        ("CONDUCTOR_WORKERS", "many", "workers: it must be a whole number from 0 to 1000, not many"),
        ("CONDUCTOR_TIMEOUT__X", "1", "timeout: it must be a time above 0"),
        ("CONDUCTOR_AGENTS__CLAUDE__MODLE", "x", "agents.claude.modle: unknown, did you mean model?"),
        ("CONDUCTOR_FALLBACK", "[a", "it is not YAML"),
        ("CONDUCTOR_FALLBACK", "[&a [*a]]", "a part of itself"),
        ("CONDUCTOR___", "x", "unknown"),
    ],
)
def test_what_is_wrong_with_a_variable_is_told_by_its_name(house: House, variable: str, value: str, told: str) -> None:
    said = house.refusal(**{variable: value})

    assert f"${variable}: " in said
    assert told in said


def test_variables_that_only_begin_like_ours_are_other_people_s(house: House) -> None:
    ours_at_run_time = ("HOME", "TASK_ID", "WORKER_ID", "TASK_DIR", "ATTEMPT", "RUN", "STEP", "ROUND", "PORT_OFFSET")

    found = house.load(**{f"CONDUCTOR_{name}": "x" for name in (*ours_at_run_time, "DEPLOYED_BY", "")})

    assert found.settings == house.load().settings


# -- the system's file is everybody's


@pytest.mark.parametrize("mode", [0o646, 0o606, 0o666])
def test_a_system_s_file_that_others_may_write_is_refused(house: House, mode: int) -> None:
    house.write(system="workers: 2\n")
    house.system.chmod(mode)

    assert f"{house.system} is not trusted: others may write it (mode {mode:o})" in house.refusal()
    with pytest.raises(SettingsInvalid, match="chmod go-w"):
        raw_settings(house.home, house.environment())


def test_a_system_s_file_in_a_folder_that_others_may_write_is_refused(house: House) -> None:
    house.write(system="workers: 2\n")
    house.system.parent.chmod(0o777)

    assert f"of its folder {house.system.parent}, others may write it" in house.refusal()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_system_s_file_of_a_stranger_or_that_a_group_may_write_is_refused(house: House) -> None:
    house.write(system="workers: 2\n")
    os.chown(house.system, 12345, -1)
    assert "user 12345 owns it" in house.refusal()

    os.chown(house.system, 0, 12345)
    house.system.chmod(0o664)
    assert "others may write it (mode 664)" in house.refusal()


def test_there_need_be_no_system_s_file_and_dev_null_does_without_one(house: House) -> None:
    house.write(home="workers: 2\n")
    os.unlink(house.system)
    assert house.load().settings.workers == 2

    house.write(home="workers: 2\n", system="workers: [\n")
    assert load_settings(house.home, {SYSTEM_FILE_VARIABLE: os.devnull}).workers == 2


# -- every fault, in one go, by its place


def test_faults_of_all_layers_are_told_in_one_go_by_file_and_line(house: House) -> None:
    house.write(
        system="# ours\ntime_out: 3\ngrace: soon\n",
        home="workers: 2.5\nagents:\n  mine: {kind: generic, argv: [x], prompt: tty}\n  aider:\n    modle: x\n",
    )

    said = house.refusal({"poll_interval": -1.0}, CONDUCTOR_RETRIES="-1")

    assert [line.strip() for line in said.splitlines()[1:]] == [
        f"{house.system}:2: time_out: unknown, did you mean timeout?",
        f"{house.system}:3: grace: can't read 'soon' as a time: write 30s, 10m, 2h or 1h30m",
        f"{house.home.settings_file}:1: workers: it must be a whole number from 0 to 1000, not 2.5",
        f"{house.home.settings_file}:3: agents.mine.prompt: it must be one of stdin, file, not tty",
        "$CONDUCTOR_RETRIES: retries: it must be a whole number from 0 to 1000, not -1",
        "--poll-interval: poll_interval: it must be a time above 0 such as 30s, 10m or 2h, not -1",
    ]


def test_a_name_with_nothing_after_it_is_told_with_what_belongs_there(house: House) -> None:
    house.write(home="workers: 3\nretry:\nagent:\n")

    said = house.refusal()

    file = house.home.settings_file
    assert f"{file}:2: retry: nothing stands after it: it must be a mapping of max_lost, first_wait," in said
    assert f"{file}:3: agent: nothing stands after it: it must be text, or be left out" in said


def test_of_several_kinds_that_a_value_is_not_only_the_one_it_nearly_is_is_told(house: House) -> None:
    house.write(home="models:\n  cheap: {claude: --flag}\n  local: [a]\n")

    lines = [line.strip() for line in house.refusal().splitlines()[1:]]

    file, name = house.home.settings_file, r"text of the form ^[^\s-]\S*$"
    assert lines == [
        f"{file}:2: models.cheap.claude: it must be {name}, not --flag",
        f'{file}:3: models.local: it must be {name} or a mapping of names, not ["a"]',
    ]


def test_a_thousand_faults_are_not_all_told(house: House) -> None:
    house.write(home="".join(f"x{one}: 1\n" for one in range(1000)))

    lines = house.refusal().splitlines()

    assert lines[0].startswith("1000 faults")
    assert len(lines) < 110
    assert lines[-1].strip() == "and 900 more"


def test_a_secret_where_none_belongs_is_never_said(house: House) -> None:
    house.write(home="providers: {openai: {key: correct-horse}}\nworkers: sk-ant-api03-abcdefghijklmnopqrst\n")

    said = house.refusal()

    assert "providers.openai.key: say where the key is" in said
    assert "correct-horse" not in said
    assert "abcdefgh" not in said


def test_what_a_file_holds_does_not_steer_the_terminal(house: House) -> None:
    house.write(home='"a\\e[2J": 1\nagent: ["\\e[31m"]\n')

    assert "\x1b" not in house.refusal()


# -- merging, whatever the layers hold

_VALUES = st.recursive(
    st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
_MAPPINGS = st.dictionaries(st.sampled_from("abc"), _VALUES, max_size=3)


def leaves(values: Any, way: Key = ()) -> dict[Key, Any]:
    if not isinstance(values, dict) or not values:
        return {way: values} if way else {}
    return {key: value for name, one in values.items() for key, value in leaves(one, (*way, name)).items()}


@given(st.lists(_MAPPINGS, max_size=4))
def test_each_value_that_holds_is_that_of_the_layer_that_is_named_for_it(mappings: list[dict[str, Any]]) -> None:
    layers = tuple(
        Layer("file", values, dict.fromkeys(leaves(values), index + 1), "f") for index, values in enumerate(mappings)
    )

    for key, value in leaves(merged(layers)).items():
        where = place_of(key, layers)
        if value != {}:  # an empty mapping says nothing: whoever said it, nothing of it holds
            assert leaves(mappings[where.line - 1])[key] == value


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text("CONDUTR_WKESAIP", max_size=24).map("CONDUCTOR_".__add__), st.text(max_size=9)))
def test_whatever_variables_there_are_they_are_taken_or_refused_by_their_name(
    house: House, variables: dict[str, str]
) -> None:
    said = ""
    try:
        load_settings(house.home, {**house.environment(), **variables})
    except SettingsInvalid as error:
        said = str(error)
    assert not said or re.search(r"\$CONDUCTOR_", said)


def test_every_setting_is_known_by_its_way_to_it(house: House) -> None:
    house.write(home="agents: {aider: {kind: generic, argv: [aider], paths: {text: a.b}}}\n")

    found = leaves_of(house.load().settings)

    assert found["agents", "aider", "paths", "text"] == "a.b"
    assert found["orchestrator", "heartbeat", "every"] == 30.0
    assert ("agents", "aider", "memory") not in found, "nothing was said of it, and nothing holds"
