"""`conductor config`: each value with where it came from, the schema, and files that are checked without a home."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conductor.domain.home import Home
from tests.cli.front import Shell
from tests.support import clean_environment, eventually, write_settings


@pytest.fixture
def house(shell: Shell) -> Shell:
    """A home with a settings file, and a system's file that the shell knows of."""
    os.makedirs(shell.home.path, mode=0o700)
    system = Path(shell.cwd, "system.yaml")
    system.write_text("# the machine's\nretries: 2\ntimeout: 1h30m\n")
    system.chmod(0o644)
    shell.env["CONDUCTOR_SYSTEM_CONFIG"] = str(system)
    Path(shell.home.settings_file).write_text(
        "timeout: 2h\nfallback: [codex, gemini]\nagents:\n  aider:\n    kind: generic\n    argv: [aider]\n"
        "    env: {MY_TOKEN: correct-horse, PLACE: /srv}\n"
    )
    return shell


def lines_of(text: str) -> dict[str, tuple[str, str]]:
    """Key to (value, place) of what `config show` prints."""
    rows = [line.partition(": ") for line in text.splitlines() if not line.startswith("#")]
    return {key: (rest.rsplit(None, 1)[0].strip(), rest.rsplit(None, 1)[1]) for key, _, rest in rows}


# -- show


def test_each_setting_is_shown_with_where_it_came_from(house: Shell) -> None:
    shown = lines_of(house.ok("config", "show", CONDUCTOR_ORCHESTRATOR__WIP="4", CONDUCTOR_GRACE="500ms").out)

    assert shown["timeout"] == ("2h", "conductor.yaml:1")
    assert shown["retries"] == ("2", f"{house.cwd}/system.yaml:2")
    assert shown["fallback"] == ('["codex", "gemini"]', "conductor.yaml:2")
    assert shown["orchestrator.wip"] == ("4", "$CONDUCTOR_ORCHESTRATOR__WIP")
    assert shown["grace"] == ("500ms", "$CONDUCTOR_GRACE")
    assert shown["limits.longest_park"] == ("7d", "default")
    assert shown["log_cap"] == ("10MiB", "default")


def test_lines_about_defaults_fit_80_columns_and_a_terminal_is_never_wrapped(house: Shell) -> None:
    shown = house.ok("config", "show").out.splitlines()

    assert all(len(line) <= 80 for line in shown if line.endswith(" default"))


def test_secrets_are_masked_and_their_places_are_not(house: Shell) -> None:
    answer = house.ok("config", "show", CONDUCTOR_PROVIDERS__OPENAI__KEY="env:OPENAI_API_KEY")
    shown = lines_of(answer.out)

    assert shown["agents.aider.env.MY_TOKEN"][0] == "[masked]"
    assert shown["agents.aider.env.PLACE"][0] == "/srv"
    assert shown["providers.openai.key"][0] == "env:OPENAI_API_KEY"
    assert "correct-horse" not in house.ok("config", "show", "--json").out


def test_one_setting_a_section_or_what_is_no_default_can_be_chosen(house: Shell) -> None:
    assert set(lines_of(house.ok("config", "show", "timeout").out)) == {"timeout"}
    assert set(lines_of(house.ok("config", "show", "orchestrator.heartbeat").out)) == {
        "orchestrator.heartbeat.every", "orchestrator.heartbeat.stale", "orchestrator.heartbeat.stopped",
    }  # fmt: skip
    changed = lines_of(house.ok("config", "show", "--changed").out)
    assert {key.partition(".")[0] for key in changed} == {"timeout", "retries", "fallback", "agents"}


def test_json_has_values_as_programs_want_them(house: Shell) -> None:
    (row,) = house.ok("config", "show", "--json", "timeout").json["settings"]

    assert row["value"] == 7200
    assert row["from"] == {"kind": "file", "name": house.home.settings_file, "line": 1}


def test_what_is_no_setting_is_told_with_the_nearest(house: Shell) -> None:
    answer = house("config", "show", "time_out")

    assert answer.code == 2
    assert "did you mean timeout?" in answer.err
    assert house.ok("config", "show", "agents.aider.memory").code == 0, "a setting of which nothing was said"


def test_show_makes_no_home_and_says_what_is_wrong_with_settings(shell: Shell) -> None:
    shell.ok("config", "show")
    assert not os.path.exists(shell.home.path)

    answer = shell("config", "show", CONDUCTOR_WORKERS="many")
    assert answer.code == 78
    assert "$CONDUCTOR_WORKERS: workers: it must be a whole number from 0 to 1000, not many" in answer.err


# -- schema


def test_the_schema_is_one_and_describes_every_setting(shell: Shell) -> None:
    schema = shell.ok("config", "schema").json

    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["additionalProperties"] is False
    for part in (schema, *schema["$defs"].values()):
        for name, one in part.get("properties", {}).items():
            assert "description" in one, name


# -- check


def test_a_right_file_passes_without_a_home_or_variables(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "new.yaml"
    file.write_text("workers: 3\ntimeout: 10m\n")

    assert "right" in shell.ok("config", "check", str(file), CONDUCTOR_WORKERS="many").err
    assert shell.ok("config", "check", "-", stdin="workers: 3\n").code == 0
    assert not os.path.exists(shell.home.path)


def test_a_wrong_file_is_told_fault_by_fault_and_ends_with_78(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "new.yaml"
    file.write_text("workers: 3\ntime_out: 3\nretry:\n  max_lost: none\n")

    answer = shell("config", "check", str(file))

    assert answer.code == 78
    assert f"{file}:2: time_out: unknown, did you mean timeout?" in answer.err
    assert f"{file}:4: retry.max_lost: it must be a whole number from 1 to 100, not none" in answer.err

    found = shell("config", "check", "--json", str(file))
    assert found.code == 78
    assert [(one["key"], one["line"]) for one in found.json["faults"]] == [("time_out", 2), ("retry.max_lost", 4)]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"workers: 3\nworkers: 4\n", ":2: 'workers' stands twice: on line 1 and on line 2"),
        (b"workers: [\n", ":2: it is not YAML"),
        (b"a: 1\n\xff\n", ":2: can't read it: byte 0xff is no UTF-8"),
        (b"a: " + b"[" * 100_000, ":1: it is nested deeper"),
    ],
    ids=["twice", "no YAML", "no UTF-8", "bomb"],
)
def test_a_file_that_can_t_be_read_is_told_by_its_line(shell: Shell, tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "new.yaml"
    file.write_bytes(content)

    answer = shell("config", "check", str(file))
    assert (answer.code, f"{file}{told}" in answer.err) == (78, True), answer
    piped = shell("config", "check", "-", stdin=content)
    assert (piped.code, f"-{told}" in piped.err) == (78, True), piped
    assert shell("config", "check", "--json", str(file)).json["valid"] is False


def test_a_file_that_is_not_there_is_the_caller_s_mistake(shell: Shell) -> None:
    assert shell("config", "check", "nowhere.yaml").code == 2


def test_without_conductord_what_is_in_force_can_t_be_shown(shell: Shell) -> None:
    assert shell("config", "show", "--running").code == 4


def test_submit_loads_neither_the_checking_library_nor_yaml_for_a_home_without_settings(home: Home) -> None:
    code = (
        "import sys, os, conductor.cli.submit; from conductor.settings.source import find_home, raw_settings; "
        "raw_settings(find_home(os.environ), os.environ); "
        "print([name for name in ('pydantic', 'yaml', 'conductor.settings.schema') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean_environment(home), capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.replace("'", '"')) == []


def test_a_reload_is_not_needed_to_see_a_file_that_is_new(shell: Shell) -> None:
    os.makedirs(shell.home.path, mode=0o700)
    assert "(not there)" in shell.ok("config", "show", "timeout").out
    write_settings(shell.home)
    assert eventually(lambda: lines_of(shell.ok("config", "show", "timeout").out))["timeout"][0] == "1m"
