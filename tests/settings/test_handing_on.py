"""What an orchestrator is given of the settings in force: all that matters to it, nothing of what does not."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from conductor.app.handing_on import handed_settings, settings_for
from conductor.domain.home import Home
from conductor.settings.model import Settings

SAID: dict[str, Any] = {
    "workers": 5,
    "timeout": "2h",
    "log_cap": "1MiB",
    "agents": {"aider": {"kind": "generic", "argv": ["aider", ["--model", "{model}"]], "env": {"A": "b"}}},
    "models": {"cheap": {"claude": "haiku", "*": "qwen"}, "local": "qwen"},
    "providers": {"openai": {"key": "env:OPENAI_API_KEY", "concurrency": 3}},
    "orchestrator": {"wip": 4, "autonomy": "manual", "heartbeat": {"every": "5s"}, "planner": ["claude:opus"]},
    "projects": {"shop": {"orchestrator": {"wip": 2}}, "other": {"context": "/a"}},
    "budgets": {"day": {"usd": 40}},
    "routing": {"prefer_free": True},
}


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`given(text)`: the settings that a process with that on its standard input works by."""

    def taken(text: str) -> Settings | None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        return handed_settings()

    return taken


def test_an_orchestrator_works_by_the_same_settings_as_conductord(home: Home, given: Any) -> None:
    settings = Settings.model_validate(SAID)

    taken = given(settings_for(home, settings, "shop"))

    assert taken.orchestration_of("shop") == settings.orchestration_of("shop")
    assert taken.agent_setups() == settings.agent_setups()
    for name in ("workers", "timeout", "agents", "models", "providers", "budgets", "orchestrator", "routing"):
        assert getattr(taken, name) == getattr(settings, name), name
    assert taken.routing.model_fields_set == {"prefer_free"}, "what was said stays what was said"


def test_nothing_handed_on_means_the_files_are_read(given: Any) -> None:
    assert given("") is None


@pytest.mark.parametrize(
    "change",
    [
        {"workers": 6}, {"orchestrator": {"bounces": 5}}, {"models": {"cheap": "x"}}, {"environment": ["X"]},
        {"projects": {**SAID["projects"], "shop": {"orchestrator": {"wip": 3}}}}, {"limits": {"park": False}},
    ],
)  # fmt: skip
def test_what_matters_to_it_makes_another_text(home: Home, change: dict[str, Any]) -> None:
    before, after = (Settings.model_validate(one) for one in (SAID, {**SAID, **change}))
    assert settings_for(home, before, "shop") != settings_for(home, after, "shop")


@pytest.mark.parametrize(
    "change",
    [
        {"poll_interval": "1s"}, {"log_cap": "2MiB"}, {"grace": "1s"}, {"stop_timeout": "1s"}, {"cgroup": "off"},
        {"projects": {**SAID["projects"], "other": {"context": "/b"}}}, {"timeout": "120m"},
    ],
)  # fmt: skip
def test_what_does_not_matter_makes_the_same(home: Home, change: dict[str, Any]) -> None:
    before, after = (Settings.model_validate(one) for one in (SAID, {**SAID, **change}))
    assert settings_for(home, before, "shop") == settings_for(home, after, "shop")


@pytest.mark.parametrize("name", ["registry.yaml", "prices.yaml"])
def test_a_file_that_settings_name_matters_by_what_it_holds(home: Home, name: str) -> None:
    Path(home.path).mkdir()
    settings = Settings.model_validate({"routing": {"registry": "registry.yaml"}})
    without = settings_for(home, settings, "shop")
    Path(home.path, name).write_text("a: 1")
    with_it = settings_for(home, settings, "shop")
    Path(home.path, name).write_text("a: 2")

    assert len({without, with_it, settings_for(home, settings, "shop")}) == 3
    assert json.loads(with_it)["settings"] == json.loads(without)["settings"]
