"""A real conductord with one project in a real git repository, and the ledger that must be right at the end."""

from __future__ import annotations

import json
import os
import shlex
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from conductor.app.orchestration import RunOptions, start_run
from conductor.cli.plan_files import read
from conductor.domain.home import Home
from conductor.domain.run import Delegation, DelegationState, Project, Run, StepState
from conductor.ports.orchestration import Store
from conductor.queue.layout import open_home
from conductor.settings.model import load_settings
from conductor.store.sqlite import open_store
from tests.support import Conductord, eventually, final_line, named_processes, processes_of, run_cli, unfinished

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
}
GIT_SETTINGS = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
"""What conductord sees of git's settings on this machine: nothing."""
STAYS = ("landed.json", "orchestrator.lock", "orchestrator.log", "heartbeat")
"""Files of a project's folder that are there when nothing is under way; folders are named below."""
STAYS_BELOW = ("checks", "context", "doorbell")
RESTLESS = {"restart": {"budget": 1000, "first_delay": "20ms", "longest_delay": "100ms"}}
"""Settings for tests that kill more often than any machine would."""


def git(where: Path | str, *arguments: str, check: bool = True) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=where, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=60
    )
    assert not check or done.returncode == 0, f"git {arguments}: {done.stderr}"
    return done.stdout.rstrip("\n")


def make_repository(workspace: Path, files: dict[str, str]) -> Path:
    workspace.mkdir(parents=True)
    git(workspace, "init", "-q", "-b", "main")
    return commit(workspace, {"README.md": "A project\n", **files}, "first")


def commit(workspace: Path, files: dict[str, str], message: str) -> Path:
    for path, content in files.items():
        (workspace / path).parent.mkdir(parents=True, exist_ok=True)
        (workspace / path).write_text(content)
    git(workspace, "add", "-A")
    git(workspace, "commit", "-q", "-m", message)
    return workspace


def step(step_id: str, command: str, *depends_on: str, **fields: Any) -> dict[str, Any]:
    """A step of a plan file that runs a shell command."""
    return {
        "id": step_id,
        "title": f"Step {step_id}",
        "description": command,
        "agent": "command",
        "depends_on": list(depends_on),
        **fields,
    }


def writes(path: str, content: str = "done") -> str:
    """A command that makes one file, the same however often it is run."""
    return f"mkdir -p {shlex.quote(os.path.dirname(path) or '.')} && echo {shlex.quote(content)} >{shlex.quote(path)}"


class House:
    """`name` is the project's; several houses may share a daemon's home."""

    def __init__(self, home: Home, workspace: Path, name: str = "demo") -> None:
        self.home, self.workspace, self.name = home, workspace, name
        self.folder = Path(home.project(name))
        self._store: Store | None = None

    # -- the store

    @property
    def store(self) -> Store:
        """Opened when it is first wanted, by this process alone."""
        if self._store is None:
            Path(self.home.path).mkdir(mode=0o700, exist_ok=True)
            self._store = open_store(self.home.path)
        return self._store

    def close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    def enroll(self, target: str = "main") -> None:
        self.store.add_project(Project(self.name, str(self.workspace), target, 0.0))

    def run_of(self, run_id: str) -> Run:
        found = self.store.run(run_id)
        assert found is not None, f"{run_id} is gone"
        return found

    def done(self, run_id: str) -> int:
        """How many steps are completed, as conductor tells people: cheap to ask again and again."""
        with sqlite3.connect(f"file:{self.home.path}/conductor.db?mode=ro", uri=True) as connection:
            (count,) = connection.execute(
                "SELECT count(*) FROM steps WHERE run_id = ? AND status = 'completed'", (run_id,)
            ).fetchone()
        connection.close()
        return int(count)

    def states(self, run_id: str) -> dict[str, StepState]:
        return {state.step.id: state for state in self.store.steps(run_id)}

    def rounds(self, run_id: str, step_id: str = "") -> list[Delegation]:
        return self.store.delegations(run_id, step_id)

    # -- what a person does

    def cli(self, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return run_cli(self.home, *arguments, env={**GIT_SETTINGS, **(env or {})}, cwd=str(self.workspace.parent))

    def run(self, *steps: dict[str, Any], options: RunOptions = RunOptions(), **plan: Any) -> str:  # noqa: B008
        """A plan of these steps becomes a run, as `conductor run` makes one; its id."""
        path = self.workspace.parent / f"{self.name}-plan.json"
        path.write_text(json.dumps({"name": self.name, "steps": list(steps), **plan}))
        found = read(str(path), tag="", mode="sleep", scale=1.0)
        layout = open_home(self.home)
        settings = load_settings(self.home, {})
        return start_run(layout, settings, plan=found, request="", project=self.name, options=options).id

    def build(self, request: str, options: RunOptions = RunOptions()) -> str:  # noqa: B008
        """A request becomes a run, as `conductor build` makes one; its id."""
        layout = open_home(self.home)
        settings = load_settings(self.home, {})
        return start_run(layout, settings, plan=None, request=request, project=self.name, options=options).id

    def wait(self, run_id: str, within: float = 60.0) -> Run:
        """Until it is over."""

        def over() -> Run | None:
            found = self.run_of(run_id)
            return found if found.is_over else None

        try:
            found = eventually(over, within=within, what=f"the end of {run_id}")
        except BaseException:
            print(self.told(run_id))
            raise
        assert found is not None
        return found

    def told(self, run_id: str) -> str:
        """What a failed test shows."""
        run = self.run_of(run_id)
        lines = [f"{run.id} {run.status.value} {run.reason}"]
        lines += [f"  {one.step.id} {one.status.value} {one.reason[:300]}" for one in self.store.steps(run_id)]
        return "\n".join([*lines, *self.log_lines()[-30:]])

    def log_lines(self) -> list[str]:
        path = self.folder / "orchestrator.log"
        return path.read_text(errors="replace").splitlines() if path.exists() else []

    # -- processes

    def orchestrators(self) -> list[int]:
        return named_processes(self.home, "orchestrator")

    # -- git

    def history(self, branch: str = "main") -> list[tuple[str, str, str]]:
        """(commit, its parents, the steps it says it brings), oldest first."""
        form = "--format=%H%x00%P%x00%(trailers:key=Conductor-Step,valueonly,separator=%x2c)"
        lines = git(self.workspace, "log", "--reverse", form, branch).split("\n")
        return [(parts[0], parts[1], parts[2]) for line in lines if (parts := line.split("\0"))]

    def merged(self, run_id: str, branch: str = "main") -> list[str]:
        """The steps that a branch has, oldest first."""
        return [step.partition("/")[2] for _, _, step in self.history(branch) if step.startswith(f"{run_id}/")]

    def ours(self) -> list[str]:
        """Every ref, worktree and lock of conductor's in the repository."""
        refs = git(self.workspace, "for-each-ref", "--format=%(refname)").split("\n")
        trees = git(self.workspace, "worktree", "list", "--porcelain").split("\n")
        found = [ref for ref in refs if "conductor" in ref]
        found += [line for line in trees if line.startswith("worktree ")][1:]
        return found + [str(path) for path in (self.workspace / ".git").rglob("*.lock")]

    def left(self) -> list[str]:
        """What lies in the project's folder and should not when nothing is under way."""
        found = []
        for path in self.folder.rglob("*"):
            place = path.relative_to(self.folder)
            is_file = path.is_symlink() or not path.is_dir()
            if is_file and place.name not in STAYS and place.parts[0] not in STAYS_BELOW:
                found.append(str(place))
        return found

    def show(self, path: str, commit: str = "main") -> str:
        return git(self.workspace, "show", f"{commit}:{path}")

    # -- the ledger

    def check_whole(self, run_id: str, depends: dict[str, tuple[str, ...]], seen: str = "") -> None:
        """A run that is completed: each step merged once, in order, landed; and nothing is left over."""
        eventually(lambda: not (self.folder / "service").exists(), what="the orchestrator leaves when all is done")
        self.check_merged(run_id, depends, seen)
        self.check_clean(seen)
        self.check_tasks(run_id, seen)

    def check_merged(self, run_id: str, depends: dict[str, tuple[str, ...]], seen: str = "") -> None:
        run = self.run_of(run_id)
        assert run.status.value == "completed", f"{seen}: {self.told(run_id)}"
        statuses = {name: state.status.value for name, state in self.states(run_id).items()}
        assert statuses == dict.fromkeys(depends, "completed"), seen
        history = self.history()
        assert all(" " not in parents for _, parents, _ in history), f"{seen}: the history is not linear"
        merged = self.merged(run_id)
        assert Counter(merged) == Counter(dict.fromkeys(depends, 1)), f"{seen}: {Counter(merged)}"
        places = {name: place for place, name in enumerate(merged)}
        assert all(places[one] < places[name] for name, before in depends.items() for one in before), seen
        sealed = git(self.workspace, "log", "--format=%(trailers:key=Conductor-Run,valueonly)", "main").split()
        assert sealed.count(run_id) == 1, f"{seen}: sealed {sealed}"

    def check_clean(self, seen: str = "") -> None:
        """Main checkout, refs, worktrees, locks and folders are as if nothing had ever been under way."""
        changed = git(self.workspace, "status", "--porcelain", "--untracked-files=all")
        assert changed == "", f"{seen}: {changed}"
        assert git(self.workspace, "symbolic-ref", "HEAD") == "refs/heads/main", seen
        kept = {f"refs/conductor/work/{one.run_id}/{one.step_id}-{one.round}" for one in self._sent_back()}
        assert set(self.ours()) <= kept, f"{seen}: {self.ours()}"
        assert self.left() == [], f"{seen}: {self.left()}"
        git(self.workspace, "fsck", "--strict", "--no-dangling")

    def _sent_back(self) -> list[Delegation]:
        """Rounds whose work was not merged: it is kept, whatever a later round made of it."""
        rounds = (one for run in self.store.runs(self.name) for one in self.rounds(run.id))
        return [one for one in rounds if one.state is DelegationState.BOUNCED]

    def check_tasks(self, run_id: str, seen: str = "") -> None:
        """One task for each round, each ended once, none left in the queue."""
        assert not unfinished(self.home), seen
        rounds = [one.task_id for one in self.rounds(run_id)]
        assert len(set(rounds)) == len(rounds), seen
        ended = {name for name in os.listdir(self.home.tasks) if name.startswith(f"{run_id}.")}
        assert ended == set(rounds), seen
        assert all(final_line(self.home, task) for task in rounds), seen


def check_no_process(home: Home, conductord: Conductord) -> None:
    """Nothing but the daemon and what it keeps, once an orchestrator that has nothing to do has left."""

    def strangers() -> list[bytes]:
        kept = {conductord.pid, *conductord.nurseries(), *named_processes(home, "conductor-work")}
        paths = [Path(f"/proc/{pid}/cmdline") for pid in processes_of(home) if pid not in kept]
        return [path.read_bytes() for path in paths if path.exists()]

    eventually(lambda: not strangers(), within=10, what=f"nothing is left running: {strangers()}")


def as_depends(steps: Iterable[dict[str, Any]]) -> dict[str, tuple[str, ...]]:
    return {one["id"]: tuple(one["depends_on"]) for one in steps}
