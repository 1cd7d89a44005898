"""`conductor clean`: what it asks, tells and removes, of tasks and of runs; and what conductord does by itself."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conductor.app.stores import open_store
from conductor.domain.home import Home
from conductor.domain.outcome import Outcome
from conductor.domain.run import Activity, Changes, Run, RunStatus
from conductor.ports.orchestration import Store
from conductor.settings.model import Settings
from tests.cli.front import Shell
from tests.conftest import DaemonFactory
from tests.support import eventually, run_cli, submit, wait_for_end

NOW = time.time()
DAY = 86400.0


def end(shell: Shell, task_id: str, outcome: Outcome = Outcome.SUCCESS) -> None:
    shell.submit("--id", task_id, "true")
    assert shell.run_next(outcome) == task_id


def ids(home: Home) -> list[str]:
    return sorted(os.listdir(home.tasks))


def test_it_tells_what_would_go_and_asks_before_it_goes(shell: Shell, home: Home) -> None:
    # given
    end_all(shell, "one", "two")

    # when, then
    looked = shell("clean", "--older-than", "1ms", "--dry-run")
    assert looked.code == 0
    assert looked.out.startswith("would go: 2 tasks, ")
    refused = shell("clean", "--older-than", "1ms")
    assert refused.code == 2
    assert "--yes" in refused.err
    assert ids(home) == ["one", "two"]
    done = shell("clean", "--older-than", "1ms", "--yes")
    assert done.out == looked.out.replace("would go: ", "removed ")
    assert ids(home) == []
    assert shell("show", "one").code == 3


def test_the_age_the_status_and_how_many_stay_are_obeyed(shell: Shell, home: Home) -> None:
    # given
    end_all(shell, "good", "better")
    end_all(shell, "bad", outcome=Outcome.FAILED)

    # when, then
    assert shell("clean", "--older-than", "1h", "--yes", "--json").json["tasks"] == 0
    wrong = shell("clean", "--older-than", "1ms", "--status", "GONE", "--yes")
    assert wrong.code == 2
    assert "SUCCESS, FAILED" in wrong.err
    assert shell("clean", "--older-than", "1ms", "--status", "failed,timeout", "--yes", "--json").json["tasks"] == 1
    assert ids(home) == ["better", "good"]
    assert shell("clean", "--older-than", "1ms", "--keep", "1", "--yes", "--json").json["tasks"] == 1
    assert shell("clean").code == 2


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    Path(home.path).mkdir(mode=0o700)
    opened = open_store(home, Settings())
    yield opened
    opened.close()


def add_run(store: Store, home: Home, run_id: str, status: RunStatus, ended: float, project: str = "shop") -> None:
    """With what is kept beside the store."""
    run = Run(run_id, project or run_id, "a title", status, 1.0, ended=ended)
    store.add_run(run)
    store.save(Changes(activity=(Activity(1.0, "run_ended", run.project, run_id),)))
    for kind in ("context", "checks"):
        folder = Path(home.project(run.project), kind)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{run_id}.a.1.md").write_text("text")


def kept_files(home: Home) -> list[str]:
    return sorted(path.name for path in Path(home.projects).rglob("*.md"))


def test_old_runs_go_with_all_that_is_kept_of_them_and_those_that_are_needed_keep_their_tasks(
    shell: Shell, home: Home, store: Store
) -> None:
    # given
    add_run(store, home, "r-completed", RunStatus.COMPLETED, NOW - 10 * DAY)
    add_run(store, home, "r-alone", RunStatus.STOPPED, NOW - 10 * DAY, project="")
    add_run(store, home, "r-recent", RunStatus.COMPLETED, NOW - 1 * DAY)
    add_run(store, home, "r-running", RunStatus.RUNNING, 0.0)
    add_run(store, home, "r-review", RunStatus.NEEDS_REVIEW, NOW - 10 * DAY)
    end_all(shell, "r-completed.a.1", "r-running.a.1", "r-review.a.1", "r-unknown.a.1", "plain")

    # when
    of_tasks = shell("clean", "--older-than", "1ms", "--status", "SUCCESS", "--yes", "--json").json
    by_age = shell("clean", "--older-than", "7d", "--yes", "--json").json

    # then
    assert (of_tasks["tasks"], of_tasks["runs"]) == (3, 0)
    assert ids(home) == ["r-review.a.1", "r-running.a.1"]
    assert (by_age["tasks"], by_age["runs"]) == (0, 2)
    assert sorted(run.id for run in store.runs()) == ["r-recent", "r-review", "r-running"]
    assert {one.run_id for one in store.activity()} == {"r-recent", "r-review", "r-running"}
    assert kept_files(home) == sorted(2 * ["r-recent.a.1.md", "r-review.a.1.md", "r-running.a.1.md"])
    assert not Path(home.project("r-alone")).exists()
    assert os.listdir(f"{home.queue}/trash") == []


def test_conductord_removes_by_itself_what_the_settings_say_is_too_old(daemon: DaemonFactory, home: Home) -> None:
    # given
    daemon(workers=1, retention={"older_than": "1ms", "status": ["SUCCESS"], "every": "0.2s"})

    # when
    good, bad = submit(home, "true"), submit(home, "false")
    wait_for_end(home, bad)

    # then
    eventually(lambda: ids(home) == [bad], what="only what failed is left")
    eventually(lambda: "old_removed" in Path(home.events).read_text(), what="the event")
    assert run_cli(home, "show", good).returncode == 3


def test_by_default_nothing_is_removed_and_off_is_off() -> None:
    assert Settings().retention.older_than is None
    assert Settings.model_validate({"retention": {"older_than": False}}).retention.older_than is None
    assert Settings.model_validate({"retention": {"older_than": "30d"}}).retention.older_than == 30 * DAY


def end_all(shell: Shell, *task_ids: str, outcome: Outcome = Outcome.SUCCESS) -> None:
    for task_id in task_ids:
        end(shell, task_id, outcome)
