"""Requests in plain words under a real conductord and its orchestrator, on the simulated model."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conductor.app import open_layout
from conductor.app.orchestration import RunOptions, ensure_project, start_run
from conductor.app.stores import open_store
from conductor.domain.home import Home
from conductor.domain.run import Asks, Run, RunStatus
from conductor.ports.orchestration import Store
from conductor.settings.model import load_settings
from conductor.testing.sim import Sim
from tests.conftest import DaemonFactory
from tests.support import clean_environment, eventually

CALCULATOR = "Build a calculator with operations, a CLI and unit tests"
AGENTS: dict[str, Any] = {"chat": {"model": "some-model"}}


@dataclass(frozen=True, slots=True)
class Shown:
    """A run that waits or is over, and what is left of it."""

    run: Run
    store: Store
    workspace: Path

    @property
    def files(self) -> set[str]:
        listed = subprocess.run(["git", "ls-files"], cwd=self.workspace, capture_output=True, text=True, check=True)
        return set(listed.stdout.split())

    def told(self, action: str) -> list[dict[str, Any]]:
        return [dict(one.facts) for one in self.store.activity(run_id=self.run.id) if one.action == action]


@contextmanager
def built(daemon: DaemonFactory, home: Home, folder: Path, request: str) -> Iterator[Shown]:
    """A new project's run, as far as it goes by itself."""
    with Sim() as sim:
        orchestrator = {"planner": ["chat"], "projects_dir": str(folder / "projects")}
        daemon(workers=2, agent="chat", agents=AGENTS, simulate=sim.url, orchestrator=orchestrator)
        environment = clean_environment(home)
        layout = open_layout(home.path, environment)
        settings = load_settings(layout.home, environment)
        project, _ = ensure_project(layout, settings, "calculator")
        begun = start_run(layout, settings, plan=None, request=request, project="calculator", options=RunOptions())
        store = open_store(layout.home, settings)

        def ended() -> Run | None:
            run = store.run(begun.id)
            return run if run and (run.is_over or run.status is RunStatus.WAITING) else None

        try:
            run = eventually(ended, within=90, what="the end of the run")
            assert run is not None
            yield Shown(run, store, Path(project.workspace))
        finally:
            store.close()


@pytest.fixture(autouse=True)
def _no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")


def test_a_request_becomes_merged_commits_after_its_first_plan_was_refused(
    daemon: DaemonFactory, home: Home, tmp_path: Path
) -> None:
    with built(daemon, home, tmp_path, f"{CALCULATOR} [[plan cyclic 1]]") as shown:
        assert shown.run.status is RunStatus.COMPLETED, shown.run.reason
        assert "cycle" in shown.told("plan_refused")[0]["faults"][0]
        assert {"calculator/cli.py", "tests/operations_tests.py", "docs/usage.md"} <= shown.files
        tested = subprocess.run(["make", "test"], cwd=shown.workspace, capture_output=True, text=True)
        assert "Ran 6 tests" in tested.stderr


def test_a_hostile_plan_is_refused_and_kept_and_nothing_of_it_runs(
    daemon: DaemonFactory, home: Home, tmp_path: Path
) -> None:
    with built(daemon, home, tmp_path, f"{CALCULATOR} [[plan hostile]]") as shown:
        assert shown.run.status is RunStatus.FAILED
        assert len(shown.told("plan_refused")) == 3
        kept = Path(shown.run.reason.partition("(kept: ")[2].partition(")")[0])
        assert "$(touch stolen)" in kept.read_text()
        assert shown.store.steps(shown.run.id) == []
        assert not list(tmp_path.rglob("stolen"))


def test_commands_that_a_model_wrote_wait_for_a_person(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    with built(daemon, home, tmp_path, f"{CALCULATOR} [[plan verify]]") as shown:
        assert (shown.run.status, shown.run.asks) == (RunStatus.WAITING, Asks.COMMANDS)
        assert shown.run.asked_for == ("check: touch unseen-check", "operations: touch unseen-verify")
        assert not list(tmp_path.rglob("unseen-*"))
