"""Settings as people read them, what differs between two, and the schema that says what they may be."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from conductor.cli.starting import TEMPLATE
from conductor.domain.durations import MOST_SECONDS
from conductor.settings.model import Settings
from conductor.settings.schema import names_at, settings_schema, wanted_at
from conductor.settings.showing import Change, differences, leaves_of, shown

# -- values


@given(st.floats(0.001, MOST_SECONDS) | st.integers(1, int(MOST_SECONDS)).map(float))
def test_a_time_that_is_shown_reads_back_as_the_same(seconds: float) -> None:
    text = shown(("timeout",), seconds)
    assert Settings.model_validate({"timeout": text}).timeout == pytest.approx(seconds, rel=1e-12)


@given(st.integers(4096, 1 << 40))
def test_a_size_that_is_shown_reads_back_as_the_same(size: int) -> None:
    assert Settings.model_validate({"log_cap": shown(("log_cap",), size)}).log_cap == size


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("timeout", 5400.0, "1h30m"), ("timeout", 604800.0, "7d"), ("grace", 0.5, "500ms"), ("grace", 1.5, "1.5s"),
        ("log_cap", 10 << 20, "10MiB"), ("log_cap", 5000, "5000"), ("agent", "", '""'), ("agent", "claude", "claude"),
        ("agent", "a\x1b[2J", '"a\\u001b[2J"'), ("stall_timeout", None, "null"), ("fallback", ("a",), '["a"]'),
        ("workers", 3, "3"), ("simulate", "http://u:hunter2hunter2@x", "http://u:[masked]@x"),
    ],
)  # fmt: skip
def test_values_are_shown_as_people_write_them(key: str, value: Any, text: str) -> None:
    assert shown((key,), value) == text


# -- differences


def test_what_changed_is_told_setting_by_setting_with_secrets_masked() -> None:
    old = leaves_of(Settings.model_validate({"timeout": "1h", "pools": {"heavy": {"workers": 1}}}))
    aider = {"kind": "generic", "argv": ["x"], "env": {"A_TOKEN": "correct-horse"}}
    new = leaves_of(Settings.model_validate({"timeout": "2h", "agents": {"aider": aider}}))

    changes = {one.key: one for one in differences(old, new)}

    assert changes["timeout"] == Change("timeout", "1h", "2h")
    assert changes["pools.heavy.workers"] == Change("pools.heavy.workers", "1", "")
    assert changes["agents.aider.env.A_TOKEN"].new == "[masked]"
    assert set(changes) == {
        "timeout", "pools", "pools.heavy.workers", "agents", "agents.aider.kind", "agents.aider.gate",
        "agents.aider.argv", "agents.aider.env.A_TOKEN",
    }  # fmt: skip


def test_a_secret_that_changed_is_told_though_it_is_masked() -> None:
    def leaves(token: str) -> dict[Any, Any]:
        aider = {"kind": "generic", "argv": ["x"], "env": {"A_TOKEN": token}}
        return leaves_of(Settings.model_validate({"agents": {"aider": aider}}))

    (change,) = differences(leaves("correct-horse"), leaves("battery-staple"))

    assert change == Change("agents.aider.env.A_TOKEN", "[masked]", "[masked]")


def test_the_same_settings_do_not_differ() -> None:
    assert differences(leaves_of(Settings()), leaves_of(Settings.model_validate({"workers": 3}))) == ()


# -- the schema


def is_valid(value: Any, part: dict[str, Any]) -> bool:
    """What of JSON schema ours uses, told anew."""
    schema = settings_schema()
    if "$ref" in part:
        return is_valid(value, schema["$defs"][part["$ref"].rpartition("/")[2]])
    kinds = {"string": str, "integer": int, "number": int | float, "boolean": bool, "array": list | tuple,
             "object": dict, "null": type(None)}  # fmt: skip
    checks = [
        "type" not in part
        or (isinstance(value, kinds[part["type"]]) and isinstance(value, bool) <= (part["type"] == "boolean")),
        "enum" not in part or value in part["enum"],
        "const" not in part or value == part["const"],
        "anyOf" not in part or any(is_valid(value, one) for one in part["anyOf"]),
    ]
    if isinstance(value, str):
        checks.append(re.search(part.get("pattern", ""), value) is not None)
    elif isinstance(value, int | float):
        checks.append(part.get("minimum", value) <= value <= part.get("maximum", value))
        checks.append(value > part.get("exclusiveMinimum", value - 1))
    elif isinstance(value, list | tuple):
        checks.extend(is_valid(one, part.get("items", {})) for one in value)
    elif isinstance(value, dict):
        checks.append(set(part.get("required", ())) <= set(value))
        checks.extend(_is_valid_member(name, one, part) for name, one in value.items())
        if "if" in part and is_valid(value, part["if"]):
            checks.append(is_valid(value, part["then"]))
    return all(checks)


def _is_valid_member(name: str, value: Any, part: dict[str, Any]) -> bool:
    if name in part.get("properties", {}):
        return is_valid(value, part["properties"][name])
    for pattern, inner in part.get("patternProperties", {}).items():
        if re.search(pattern, name):
            return is_valid(value, inner)
    rest = part.get("additionalProperties", True)
    return is_valid(value, rest) if isinstance(rest, dict) else bool(rest)


def uncommented() -> str:
    """The template of `conductor init` with every setting in it said."""
    lines = TEMPLATE.format(agent_line="agent: command").splitlines()
    return "\n".join(line.removeprefix("# ") for line in lines if re.match(r"(# )?( *)[a-z_]+:", line))


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        uncommented(),
        "agents: {aider: {kind: generic, argv: [aider, ['--model', '{model}']], paths: {text: a.b}}, x: {odd: 1}}",
        "models: {cheap: {claude: haiku, '*': qwen}, local: qwen3}",
        "projects: {shop: {context: /a, orchestrator: {wip: 3, autonomy: manual}}}",
        "budgets: {day: {usd: 40, runs_per_hour: 60}, projects: {shop: {usd: 9, task: {tokens: 5}}}}",
        "providers: {openai: {key: 'env:OPENAI_API_KEY', concurrency: 4}}",
        "timeout: 1h30m",
        "log_cap: 10 mib",
    ],
)
def test_what_is_taken_fits_the_schema(text: str) -> None:
    values = yaml.safe_load(text)

    Settings.model_validate(values).agent_setups()
    assert is_valid(values, settings_schema())


@pytest.mark.parametrize(
    "text",
    [
        "worker: 3", "workers: -1", "workers: 2.5", "timeout: soon", "timeout: 0", "log_cap: 5TB", "log_cap: 100",
        "autonomy: ful", "pools: {gpu: {worker: 3}}", "fallback: codex", "retry: null",
        "agents: {aider: {kind: generic, prompt: stdin}}", "agents: {aider: {kind: generic, argv: [x], output: xml}}",
        "projects: {shop: {orchestrator: {wip: many}}}", "models: {cheap: [a]}", "models: {cheap: {a b: x}}",
        "limits: {park: maybe}",
    ],
)  # fmt: skip
def test_what_is_refused_does_not_fit_the_schema(text: str) -> None:
    assert not is_valid(yaml.safe_load(text), settings_schema())


def test_each_place_is_known_by_its_names_and_by_what_may_stand_there() -> None:
    assert "workers" in names_at(())
    assert names_at(("pools", "any")) == ["preload", "workers"]
    assert "argv" in names_at(("agents", "any"))
    assert wanted_at(("pools", "any", "workers")) == "a whole number from 0 to 1000"
    assert wanted_at(("autonomy",)) == "one of read-only, workspace, full"
    assert wanted_at(("stall_timeout",)) == "a time above 0 such as 30s, 10m or 2h"
    assert wanted_at(("limits", "park")) == "true or false"
    assert wanted_at(("fallback",)) == "a list"
