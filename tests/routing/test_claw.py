"""claw-conductor's agent-registry.json: read as it is, written back with everything that was in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conductor.domain.errors import SettingsInvalid
from conductor.routing.claw import runner, write_back
from conductor.routing.learning import Record
from conductor.routing.reading import read_registry
from conductor.routing.registry import CostType, Rules
from tests.routing.stories import API

HERE = ("claude", "openclaw")


def document() -> dict[str, Any]:
    return {
        "version": "1.0.0",
        "last_updated": None,
        "user_config": {
            "github_user": "somebody",
            "decomposition_model": None,
            "prefer_free_when_equal": False,
            "default_complexity_if_unknown": 2,
            "fallback": {"enabled": True, "penalize_failures": True, "failure_penalty_points": 7, "notes": "kept"},
        },
        "agents": {
            "mistral-devstral-2512": {
                "model_id": "mistral/devstral-2512",
                "openclaw_model_id": "mistral/devstral-2512",
                "provider": "mistral",
                "context_window": 256000,
                "enabled": True,
                "user_cost": {"type": "free", "input_cost_per_million": 0, "output_cost_per_million": 0, "notes": "n"},
                "capabilities": {
                    API: {"rating": 4, "max_complexity": 4, "experience_count": 3, "notes": "good", "since": 2025},
                },
                "performance_metrics": {
                    "tasks_completed": 6,
                    "success_rate": 0.75,
                    "avg_completion_time_minutes": 4,
                    "total_tokens_used": 600,
                },
                "nickname": "dev",
            },
            "sonnet": {
                "model_id": "anthropic/claude-sonnet-5-5",
                "provider": "anthropic",
                "enabled": False,
                "user_cost": {"type": "pay-per-use", "input_cost_per_million": 2, "output_cost_per_million": 10},
                "capabilities": {},
                "performance_metrics": {"tasks_completed": 0, "avg_completion_time_minutes": None},
            },
        },
        "complexity_levels": {"1": {"name": "trivial", "examples": ["Hello world"]}},
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "agent-registry.json"
    path.write_text(json.dumps(document(), indent=2))
    return path


def test_the_form_is_read_as_it_is(path: Path) -> None:
    registry = read_registry(str(path), HERE)

    devstral, sonnet = registry.models
    assert (devstral.name, sonnet.name) == ("openclaw:mistral/devstral-2512", "claude:claude-sonnet-5-5")
    skill = devstral.capabilities[API]
    assert (skill.rating, skill.max_complexity, skill.experience, skill.notes) == (4, 4, 3, "good")
    assert (devstral.cost.type, sonnet.cost.input, sonnet.enabled) == (CostType.FREE, 2, False)
    assert registry.rules == Rules(failure_penalty=7, prefer_free=False, fallback=True)
    assert registry.default_complexity == 2


def test_an_empty_one_as_it_is_shipped_is_read(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text('{"version": "1.0.0", "user_config": {}, "agents": {}}')

    assert read_registry(str(path)).models == ()


@pytest.mark.parametrize(
    ("entry", "here", "serving", "expected"),
    [
        ({"model_id": "anthropic/opus", "provider": "anthropic"}, ("claude",), {}, ("claude", "opus")),
        ({"model_id": "anthropic/opus", "provider": "anthropic"}, ("openclaw",), {}, ("openclaw", "anthropic/opus")),
        ({"model_id": "opus", "provider": "anthropic"}, ("openclaw",), {}, ("openclaw", "anthropic/opus")),
        ({"model_id": "anthropic/opus", "provider": "anthropic"}, (), {}, ("claude", "opus")),
        ({"model_id": "gpt", "provider": "openai"}, ("codex", "openclaw"), {}, ("codex", "gpt")),
        ({"model_id": "google/pro", "provider": "google"}, ("gemini",), {}, ("gemini", "pro")),
        ({"model_id": "qwen", "provider": "ollama"}, ("local", "openclaw"), {"ollama": "local"}, ("local", "qwen")),
        (
            {"model_id": "x", "openclaw_model_id": "or/x:free", "provider": "openrouter"},
            (),
            {},
            ("openclaw", "or/x:free"),
        ),
        ({"model_id": "opus", "provider": "anthropic", "agent": "deep"}, ("claude",), {}, ("deep", "opus")),
    ],
)
def test_who_runs_a_model_of_that_form(
    entry: dict[str, Any], here: tuple[str, ...], serving: dict[str, str], expected: tuple[str, str]
) -> None:
    assert runner(entry, here, serving) == expected


def test_its_faults_are_told_in_one_go(path: Path) -> None:
    broken = document()
    broken["agents"]["sonnet"]["capabilities"] = {"unit-tests-generation": {"rating": 5, "max_complexity": 6}}
    del broken["agents"]["mistral-devstral-2512"]["model_id"]
    path.write_text(json.dumps(broken))

    with pytest.raises(SettingsInvalid) as caught:
        read_registry(str(path))

    told = str(caught.value)
    assert "did you mean unit-test-generation?" in told
    assert "agents.sonnet.capabilities.unit-tests-generation.max_complexity: " in told
    assert "agents.mistral-devstral-2512.model_id: Field required" in told


def learned(count: int) -> dict[str, dict[str, Record]]:
    return {
        "openclaw:mistral/devstral-2512": {API: Record(succeeded=count, failed=1, seconds=120.0 * count, tokens=1000)}
    }


def test_what_was_learned_is_written_back_and_all_else_kept(path: Path) -> None:
    write_back(str(path), learned(2), HERE, {})

    found, before = json.loads(path.read_text()), document()
    changed = found["agents"].pop("mistral-devstral-2512")
    unchanged = before["agents"].pop("mistral-devstral-2512")
    assert found == before
    assert changed["capabilities"][API]["experience_count"] == 5
    assert changed["capabilities"][API]["since"] == 2025
    assert (changed["nickname"], changed["user_cost"]) == ("dev", unchanged["user_cost"])
    metrics = changed["performance_metrics"]
    assert (metrics["tasks_completed"], metrics["success_rate"], metrics["total_tokens_used"]) == (8, 0.7273, 1600)
    assert metrics["avg_completion_time_minutes"] == 3.5


def test_writing_back_twice_counts_nothing_twice(path: Path) -> None:
    write_back(str(path), learned(2), HERE, {})
    once = path.read_text()
    write_back(str(path), learned(2), HERE, {})
    assert path.read_text() == once

    write_back(str(path), learned(3), HERE, {})
    found = json.loads(path.read_text())["agents"]["mistral-devstral-2512"]
    assert (found["capabilities"][API]["experience_count"], found["performance_metrics"]["tasks_completed"]) == (6, 9)
    assert read_registry(str(path), HERE).models[0].capabilities[API].experience == 3, "ours is added when it is scored"


def test_a_link_stays_a_link_and_the_file_keeps_its_mode(path: Path, tmp_path: Path) -> None:
    path.chmod(0o640)
    link = tmp_path / "link.json"
    link.symlink_to(path)

    write_back(str(link), learned(1), HERE, {})

    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert "before_conductor" in path.read_text()


def test_our_own_form_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "registry.yaml"
    path.write_text("models: [{agent: a}]  # a comment\n")

    with pytest.raises(SettingsInvalid, match=r"agent-registry\.json"):
        write_back(str(path), {}, (), {})
    assert "# a comment" in path.read_text()
