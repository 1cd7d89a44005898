"""What people and tools find in `.conductor/`."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.domain.plan import Step
from conductor.domain.run import Activity, DelegationState, Project, RunStatus, StepState, StepStatus
from conductor.store.mirror import HIDDEN, LOG_LENGTH, LONGEST_ENTRY, Mirror
from conductor.store.project_state import project_state
from conductor.testing.contract_store_base import FULL_RUN, FULL_STEP, NASTY, delegation, step_state
from conductor.testing.contract_store_base import run as make_run

AT = 1_769_914_800.0  # 2026-02-01T03:00:00Z
RUN = make_run(started=AT, created=AT)
PROJECT = Project("my-project", "/root/projects/my-project", "main", AT, repository="somebody/my-project")


def git(folder: Path, *arguments: str) -> str:
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    who = ("-c", "user.name=Test", "-c", "user.email=test@example.invalid")
    done = subprocess.run(["git", *who, *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def repository(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    return folder


def mirrored(workspace: Path, name: str = "project-state.json") -> Any:
    return json.loads((workspace / ".conductor" / name).read_bytes())


# -- the fields


def test_a_finished_task_has_the_fields_of_the_format() -> None:
    step = Step(
        "task-001",
        "Schema",
        "Design and implement database schema",
        category="database-operations",
        complexity=4,
        files=("src/db/schema.sql", "src/models/*"),
    )
    done = StepState(
        RUN.id, step, 0, StepStatus.COMPLETED, model="mistral-devstral-2512", started=AT + 300, ended=AT + 540
    )

    state = project_state(PROJECT, RUN, [done], files={"task-001": ["src/db/schema.sql", "src/models/user.py"]})

    found = {name: state[name] for name in state if name != "run"}
    assert found == {
        "project_id": "my-project-20260201",
        "name": "my-project",
        "workspace": "/root/projects/my-project",
        "github_repo": "somebody/my-project",
        "status": "in_progress",
        "created_at": "2026-02-01T03:00:00Z",
        "progress": {
            "total_tasks": 1,
            "completed": 1,
            "failed": 0,
            "in_progress": 0,
            "pending": 0,
            "needs_review": 0,
            "blocked": 0,
            "cancelled": 0,
        },
        "tasks": [
            {
                "task_id": "task-001",
                "title": "Schema",
                "description": "Design and implement database schema",
                "category": "database-operations",
                "complexity": 4,
                "assigned_agent": None,
                "assigned_model": "mistral-devstral-2512",
                "status": "completed",
                "dependencies": [],
                "file_targets": ["src/db/schema.sql", "src/models/*"],
                "queue_task": None,
                "worktree": None,
                "commit": None,
                "result": {
                    "success": True,
                    "files_modified": ["src/db/schema.sql", "src/models/user.py"],
                    "execution_time": 240.0,
                    "error": None,
                },
                "started_at": "2026-02-01T03:05:00Z",
                "completed_at": "2026-02-01T03:09:00Z",
            }
        ],
        "dependencies": {"task-001": []},
    }


def test_what_has_not_happened_is_null() -> None:
    (task,) = project_state(PROJECT, RUN, [step_state("a")])["tasks"]

    assert (task["result"], task["started_at"], task["completed_at"], task["assigned_model"]) == (None,) * 4


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (RunStatus.PLANNING, "pending"),
        (RunStatus.WAITING, "pending"),
        (RunStatus.RUNNING, "in_progress"),
        (RunStatus.FINISHING, "in_progress"),
        (RunStatus.COMPLETED, "completed"),
        (RunStatus.NEEDS_REVIEW, "needs_review"),
        (RunStatus.FAILED, "failed"),
        (RunStatus.STOPPED, "stopped"),
    ],
)
def test_the_run_s_status_is_told_in_the_words_of_the_format_and_in_its_own(status: RunStatus, told: str) -> None:
    state = project_state(PROJECT, replace(RUN, status=status), [])

    assert (state["status"], state["run"]["status"]) == (told, status.value)


def test_a_failed_task_says_why_and_the_latest_round_who_works_where() -> None:
    failed = step_state("a", 0, status=StepStatus.NEEDS_REVIEW, reason="a conflict in x.py", started=AT, ended=AT + 1)
    working = step_state("b", 1, status=StepStatus.IN_PROGRESS, started=AT)
    rounds = [
        delegation("b", 1, state=DelegationState.BOUNCED, agent="codex", worktree="/w/1"),
        delegation("b", 2, agent="claude", model="opus", worktree="/w/2"),
    ]

    first, second = project_state(PROJECT, RUN, [failed, working], rounds)["tasks"]

    assert first["result"] == {
        "success": False,
        "files_modified": None,
        "execution_time": 1.0,
        "error": "a conflict in x.py",
    }
    assert (second["assigned_agent"], second["assigned_model"], second["worktree"]) == ("claude", "opus", "/w/2")
    assert second["queue_task"] == rounds[1].task_id


def test_a_run_without_a_project_is_shown_by_itself() -> None:
    state = project_state(None, FULL_RUN, [FULL_STEP])

    assert (state["project_id"], state["workspace"], state["github_repo"]) == (FULL_RUN.id, FULL_RUN.workspace, None)


@given(st.lists(st.sampled_from(StepStatus), max_size=30))
def test_the_counts_of_the_progress_add_up(statuses: list[StepStatus]) -> None:
    counts = project_state(PROJECT, RUN, [step_state(f"s{at}", at, status=one) for at, one in enumerate(statuses)])[
        "progress"
    ]

    assert counts.pop("total_tasks") == len(statuses) == sum(counts.values())


# -- the files


def steps_of(statuses: list[StepStatus]) -> list[StepState]:
    return [
        replace(FULL_STEP, step=replace(FULL_STEP.step, id=f"s{at}"), position=at, status=status)
        for at, status in enumerate(statuses)
    ]


@given(st.lists(st.lists(st.sampled_from(StepStatus), min_size=3, max_size=3), min_size=1, max_size=4))
def test_the_file_holds_the_state_whatever_was_written_before(
    tmp_path_factory: pytest.TempPathFactory, history: list[list[StepStatus]]
) -> None:
    workspace = tmp_path_factory.mktemp("workspace")
    mirror = Mirror(str(workspace))
    for at, statuses in enumerate(history):
        steps = steps_of(statuses)
        rounds = [delegation("s1", at + 1, reason=NASTY, worktree=f"/w/{at}")]
        files = {"s0": [NASTY]} if at % 2 else {}

        assert mirror.write(PROJECT, FULL_RUN, steps, rounds, files) == ""
        assert mirrored(workspace) == project_state(PROJECT, FULL_RUN, steps, rounds, files)


def test_the_queue_holds_the_tasks_that_are_not_over(tmp_path: Path) -> None:
    steps = steps_of(list(StepStatus))
    Mirror(str(tmp_path)).write(PROJECT, RUN, steps)

    found = mirrored(tmp_path, "task-queue.json")
    assert (found["project_id"], found["run_id"]) == ("my-project-20260201", RUN.id)
    assert [task["status"] for task in found["tasks"]] == ["pending", "in_progress"]
    assert found["tasks"] == [task for task in mirrored(tmp_path)["tasks"] if task["result"] is None]


def test_the_log_holds_the_latest_entries_and_no_long_ones(tmp_path: Path) -> None:
    mirror = Mirror(str(tmp_path))
    mirror.note([Activity(AT, f"a{number}", "p", RUN.id, "s", {"n": number}) for number in range(LOG_LENGTH)])
    mirror.note([Activity(AT, "long", facts={"text": "x" * LONGEST_ENTRY}), Activity(AT, "last", facts={"t": NASTY})])
    mirror.write(PROJECT, RUN, [])

    entries = mirrored(tmp_path, "execution-log.json")["entries"]
    assert len(entries) == LOG_LENGTH
    assert entries[0] == {
        "at": "2026-02-01T03:00:00Z",
        "action": "a2",
        "run_id": RUN.id,
        "task_id": "s",
        "facts": {"n": 2},
    }
    assert entries[-2]["facts"] is None
    assert entries[-1]["facts"] == {"t": NASTY}


def test_no_half_file_and_no_temporary_one_is_ever_left(tmp_path: Path) -> None:
    mirror = Mirror(str(tmp_path))
    for _ in range(3):
        mirror.write(PROJECT, RUN, steps_of([StepStatus.PENDING]))

    left = sorted(os.listdir(tmp_path / ".conductor"))
    assert left == ["execution-log.json", "project-state.json", "task-queue.json"]


def test_what_was_begun_is_there_after_the_end(tmp_path: Path) -> None:
    mirror = Mirror(str(tmp_path))
    steps = steps_of([StepStatus.PENDING] * 50)

    assert mirror.begin(PROJECT, RUN, steps)
    assert mirror.close() == ""
    assert mirrored(tmp_path) == project_state(PROJECT, RUN, steps)


# -- a folder that is not what it was


def test_a_folder_that_is_gone_is_told_and_not_made_again(tmp_path: Path) -> None:
    mirror = Mirror(str(tmp_path / "gone"))

    assert "gone/.conductor can't be written" in mirror.write(PROJECT, RUN, [])
    assert mirror.trouble
    assert not (tmp_path / "gone").exists()
    (tmp_path / "gone").mkdir()
    assert mirror.write(PROJECT, RUN, []) == mirror.trouble == ""


def test_a_link_in_place_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    elsewhere, workspace = tmp_path / "elsewhere", tmp_path / "workspace"
    elsewhere.mkdir()
    workspace.mkdir()
    (workspace / ".conductor").symlink_to(elsewhere)

    assert Mirror(str(workspace)).write(PROJECT, RUN, [])
    assert os.listdir(elsewhere) == []


def test_a_link_in_place_of_a_file_is_replaced_and_what_it_led_to_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / ".conductor").mkdir()
    (tmp_path / ".conductor" / "project-state.json").symlink_to(tmp_path / "precious")

    assert Mirror(str(tmp_path)).write(PROJECT, RUN, []) == ""
    assert (tmp_path / "precious").read_text() == "mine"
    assert mirrored(tmp_path)["name"] == "my-project"


@pytest.mark.parametrize("place", [".conductor", ".conductor/task-queue.json"])
def test_something_else_in_its_place_is_told(tmp_path: Path, place: str) -> None:
    (tmp_path / ".conductor").mkdir()
    (tmp_path / place).mkdir(exist_ok=True)
    if place == ".conductor":
        (tmp_path / place).rmdir()
        (tmp_path / place).write_text("a file")

    assert Mirror(str(tmp_path)).write(PROJECT, RUN, []) != ""
    left = os.listdir(tmp_path / ".conductor") if place != ".conductor" else []
    assert not [name for name in left if name.endswith(".tmp")]


# -- git


def status_of(folder: Path) -> str:
    return git(folder, "status", "--porcelain", "--untracked-files=all")


def test_the_main_checkout_stays_clean(tmp_path: Path) -> None:
    workspace = repository(tmp_path / "project")
    Mirror(str(workspace)).write(PROJECT, RUN, [])

    assert mirrored(workspace)
    assert status_of(workspace) == ""
    assert not (workspace / ".gitignore").exists()


def test_what_else_is_in_the_folder_is_not_hidden(tmp_path: Path) -> None:
    workspace = repository(tmp_path / "project")
    Mirror(str(workspace)).write(PROJECT, RUN, [])
    (workspace / ".conductor" / "prompt.j2").write_text("mine")

    assert status_of(workspace) == "?? .conductor/prompt.j2\n"


def test_what_the_user_excluded_stays_and_nothing_is_added_twice(tmp_path: Path) -> None:
    workspace = repository(tmp_path / "project")
    exclude = workspace / ".git" / "info" / "exclude"
    exclude.write_text("*.mine")
    for _ in range(3):
        Mirror(str(workspace))

    lines = exclude.read_text().splitlines()
    assert lines[0] == "*.mine"
    assert [line for line in lines if ".conductor/" in line] == list(HIDDEN)
    (workspace / "x.mine").touch()
    assert status_of(workspace) == ""


def test_a_worktree_a_sub_module_and_a_folder_below_stay_clean_too(tmp_path: Path) -> None:
    main = repository(tmp_path / "main")
    git(main, "worktree", "add", "-q", str(tmp_path / "worktree"))
    library = repository(tmp_path / "library")
    git(main, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "library")
    git(main, "commit", "-q", "-m", "library")
    below = main / "a" / "b"
    below.mkdir(parents=True)

    for folder in (tmp_path / "worktree", main / "library", below):
        assert Mirror(str(folder)).write(PROJECT, RUN, []) == ""
        assert status_of(folder) == ""
    assert status_of(main) == ""


def test_a_repository_that_refuses_the_exclude_does_not_hold_up_the_run(tmp_path: Path) -> None:
    workspace = repository(tmp_path / "project")
    exclude = workspace / ".git" / "info" / "exclude"
    exclude.unlink()
    exclude.symlink_to(tmp_path / "elsewhere")

    assert Mirror(str(workspace)).write(PROJECT, RUN, []) == ""
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_repository_of_somebody_else_is_not_written_to(tmp_path: Path) -> None:
    workspace = repository(tmp_path / "project")
    before = (workspace / ".git" / "info" / "exclude").read_text()
    os.chown(workspace / ".git", 65534, 65534)

    assert Mirror(str(workspace)).write(PROJECT, RUN, []) == ""
    assert (workspace / ".git" / "info" / "exclude").read_text() == before


@pytest.mark.parametrize("content", ["", "gitdir: /nowhere\n", "rubbish", "gitdir: .\n"])
def test_a_git_file_that_leads_nowhere_is_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / ".git").write_text(content)

    assert Mirror(str(tmp_path)).write(PROJECT, RUN, []) == ""
    assert sorted(os.listdir(tmp_path)) == [".conductor", ".git"]
