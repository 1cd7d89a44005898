"""The router as the orchestrator has it: what it learns is in the store, what it sees is on the disk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from conductor.app.routing import REMEMBERED, make_router, memory_of
from conductor.app.stores import open_store
from conductor.domain.home import Home
from conductor.ports.orchestration import Store
from conductor.routing.router import RegistryRouter
from conductor.settings.model import Settings
from conductor.testing.clock import ManualClock
from tests.routing.stories import named, passed, step

RATED = {"otherwise": {"rating": 4, "max_complexity": 5}}
REGISTRY = {"models": [{"agent": "claude", "model": "opus", **RATED}, {"agent": "codex", "model": "sol", **RATED}]}


@pytest.fixture
def stores(home: Home) -> Iterator[list[Store]]:
    """Two processes' handles on one store."""
    Path(home.path).mkdir(mode=0o700)
    opened = [open_store(home, Settings()) for _ in range(2)]
    yield opened
    for one in opened:
        one.close()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    for name in ("claude", "codex"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    return {
        "PATH": str(tmp_path),
        "HOME": str(tmp_path),
        "ANTHROPIC_API_KEY": "sk-ant-x",
        "OPENAI_API_KEY": "sk-proj-x",
    }


def router(home: Home, environment: dict[str, str], store: Store) -> RegistryRouter:
    path = Path(home.path, "registry.json")
    path.write_text(json.dumps(REGISTRY))
    settings = Settings.model_validate({"routing": {"registry": str(path)}})
    return make_router(home, settings, environment, memory_of(store), ManualClock())


def test_two_orchestrators_learn_into_one_store(home: Home, stores: list[Store], environment: dict[str, str]) -> None:
    one, other = (router(home, environment, store) for store in stores)
    best = one.choose(step()).candidates[0]

    for _ in range(3):
        one.learn(step(), best, succeeded=True, seconds=60, tokens=10)
        other.learn(step(), best, succeeded=False, seconds=60, tokens=10)

    fresh = router(home, environment, stores[0]).learned("claude:opus")
    assert (fresh.succeeded, fresh.failed, fresh.tokens) == (3, 3, 60)
    assert set(stores[1].remembered(REMEMBERED)["models"]) == {"claude:opus"}


def test_a_program_that_is_removed_is_noticed(home: Home, stores: list[Store], environment: dict[str, str]) -> None:
    clock = ManualClock()
    settings = Settings.model_validate({"routing": {"registry": str(Path(home.path, "registry.json"))}})
    Path(home.path, "registry.json").write_text(json.dumps(REGISTRY))
    one = make_router(home, settings, environment, memory_of(stores[0]), clock)
    assert named(one.choose(step())) == ["claude:opus", "codex:sol"]

    Path(environment["PATH"], "claude").unlink()
    clock.advance(2)

    assert named(one.choose(step())) == ["codex:sol"]
    assert "not installed" in passed(one.choose(step()))["claude:opus"]
