"""A disk that is full or read-only, a workspace that is gone, a clock that goes backwards, and everything at once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import pytest

from conductor.domain.home import Home
from conductor.domain.task import TaskSpec
from tests.conftest import DaemonFactory
from tests.faults.promises import broken_promises
from tests.faults.stories import (
    DEAD,
    STORIES,
    Scene,
    a_minute_passes,
    claim,
    recover,
    retry,
    submit,
    submit_many,
)
from tests.faults.test_bad_files import KINDS, STRANGE_NAMES, STRANGE_PLACES
from tests.faults.test_bad_input import BAD_CONTENTS, ODDITIES, corrupt, move_in, mutated, tend
from tests.support import clean_environment, eventually, record_of, run_cli, said, statuses, wait_for_end
from tests.support import submit as submit_task


@pytest.fixture
def scene(home: Home) -> Scene:
    return Scene(home)


# -- disks


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    """A small disk in memory at `folder`."""
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a disk to fill")
    made = subprocess.run(["mount", "-t", "tmpfs", *options, "conductor-test", str(folder)], capture_output=True)
    if made.returncode != 0:
        pytest.skip(f"nothing may be mounted here: {made.stderr.decode().partition(chr(10))[0]}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", "-o", "size=2m,mode=700") as folder:
        yield folder


def fill(disk: Path) -> Path:
    """Takes all the room that there is; whoever deletes the returned file gives it back."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue
    return filler


DEEDS: dict[str, Callable[[Scene], object]] = {
    "submit": submit("new"),
    "submit many": submit_many(*(f"new-{number}" for number in range(20))),
    "claim": claim,
    "recover": recover,
    "tend": tend,
    "cancel": lambda scene: scene.queue.cancel("ready", "cli-1-1f-0badc0de"),
    "retry": retry,
    "pause": lambda scene: scene.queue.pause(),
}


def refused(deed: Callable[[Scene], object], scene: Scene) -> str:
    """Why the disk refused, or nothing."""
    try:
        deed(scene)
    except OSError as error:
        return error.strerror
    return ""


@pytest.mark.parametrize("deed", DEEDS)
def test_on_a_full_disk_every_deed_is_done_or_refused_and_can_be_done_later(small_disk: Path, deed: str) -> None:
    # given tasks in every state on a disk that then runs full
    scene = Scene(Home(str(small_disk / "home")))
    for step in (*DEAD, submit("running"), claim, submit("ready"), submit_many("b-1", "b-2", "b-3")):
        step(scene)
    scene.told.retrying.append("a")
    filler = fill(small_disk)
    # when something is to be done, and done again when there is room if it was refused
    refusal = refused(DEEDS[deed], scene)
    left = os.listdir(f"{scene.home.queue}/tmp")
    filler.unlink()
    if refusal:
        DEEDS[deed](scene)
    # then the refusal said why and left nothing half done behind, and all promises are kept
    assert refusal in ("", "No space left on device")
    assert [name for name in left if name.startswith("new")] == []
    scene.queue.resume()
    scene.told.cancelled = ["ready"] if deed == "cancel" else []
    assert broken_promises(scene.home, scene.told) == []


def test_submit_on_a_full_disk_is_a_clear_error(small_disk: Path) -> None:
    # given a home on a full disk
    home = Home(str(small_disk / "home"))
    assert run_cli(home, "submit", "--agent", "command", "true").returncode == 0
    filler = fill(small_disk)
    # when something is submitted
    ended = run_cli(home, "submit", "--agent", "command", "x" * 5000)
    # then one line says why, nothing is printed as accepted, and it works when there is room
    assert ended.returncode == 1
    assert (ended.stdout, ended.stderr.count("\n")) == ("", 1)
    assert "No space left on device" in ended.stderr
    filler.unlink()
    assert run_cli(home, "submit", "--agent", "command", "x" * 5000).returncode == 0


def test_a_home_can_t_be_made_on_a_full_disk_and_can_when_there_is_room(small_disk: Path) -> None:
    # given a full disk without a home
    home = Home(str(small_disk / "home"))
    filler = fill(small_disk)
    # when something is submitted, then the home is refused in one line
    ended = run_cli(home, "submit", "--agent", "command", "true")
    assert ended.returncode == 78
    assert ended.stderr.count("\n") == 1
    # and it works when there is room
    filler.unlink()
    assert run_cli(home, "submit", "--agent", "command", "true").returncode == 0


def test_a_daemon_and_a_talking_task_live_through_a_full_disk(
    small_disk: Path, tmp_path: Path, daemon: DaemonFactory
) -> None:
    # given a daemon on a small disk, a task that will say much, and a file of lines that is ready to be moved in
    home = Home(str(small_disk / "home"))
    conductord = daemon(on=home, workers=2)
    speak, spoken, end = (tmp_path / name for name in ("speak", "spoken", "end"))
    wait = "until [ -e {} ]; do sleep 0.02; done"
    task = submit_task(
        home, f"{wait.format(speak)}; yes | head -c 100000; touch {spoken}; {wait.format(end)}; echo the end"
    )
    Path(home.path, ".lines").write_text("moved-in|true||\n", encoding="utf-8")
    eventually(lambda: conductord.slots("busy"), what="a busy worker")
    # when the disk runs full, and the task talks, lines are moved in, events happen and others submit
    filler = fill(small_disk)
    speak.touch()
    os.rename(f"{home.path}/.lines", f"{home.queue}/inbox/lines")
    for _ in range(60):
        conductord.ask("scale", pool="default", workers=2)
    with pytest.raises(OSError, match="No space left"):
        submit_task(home, "x" * 5000)
    eventually(spoken.exists, what="the task's words")
    eventually(lambda: "inbox/" in conductord.log_text(), what="a refused inbox")
    # and there is room again
    filler.unlink()
    end.touch()
    # then all of it runs to its end under the same daemon, and what was lost of logs and events is told
    after = submit_task(home, "echo after")
    assert [wait_for_end(home, one).status.value for one in (task, "moved-in", after)] == ["SUCCESS"] * 3
    assert conductord.is_running
    assert "the end" in said(home, task)
    assert "[conductor: the disk refused" in said(home, task)
    events = [json.loads(line) for line in Path(home.events).read_text(encoding="utf-8").splitlines()]
    assert "events_lost" in {event["action"] for event in events}


def test_a_result_that_a_full_disk_refused_is_recorded_once_when_there_is_room(
    small_disk: Path, tmp_path: Path, daemon: DaemonFactory
) -> None:
    # given a running task
    home = Home(str(small_disk / "home"))
    conductord = daemon(on=home, workers=1)
    end = tmp_path / "end"
    task = submit_task(home, f"until [ -e {end} ]; do sleep 0.02; done")
    eventually(lambda: conductord.slots("busy"), what="a busy worker")
    # when the disk runs full, then the task ends, its record is refused, and there is room again
    filler = fill(small_disk)
    end.touch()
    eventually(Path(home.attempt(task, 1), "SUMMARY.txt").exists, what="the end of its work")
    assert statuses(home, task) == []
    filler.unlink()
    # then the attempt is recorded once, as what it was
    assert wait_for_end(home, task).status.value == "SUCCESS"
    assert statuses(home, task) == ["SUCCESS"]


@pytest.fixture
def read_only_home(tmp_path: Path) -> Iterator[Home]:
    """A home with one task, on a disk that is then read-only."""
    with mounted(tmp_path / "disk", "-o", "size=2m,mode=700") as disk:
        home = Home(str(disk / "home"))
        Scene(home).queue.submit(TaskSpec(id="before", description="true", agent="command"))
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        yield home


@pytest.mark.parametrize(
    "arguments",
    [("submit", "--agent", "command", "true"), ("cancel", "before"), ("pause",)],
    ids=lambda arguments: arguments[0],
)
def test_a_read_only_home_is_a_clear_error_of_what_would_change_it(read_only_home: Home, arguments: tuple[str]) -> None:
    # given a home on a read-only disk
    # when a command would change it
    ended = run_cli(read_only_home, *arguments)
    # then one line says why
    assert ended.returncode in (1, 78)
    assert ended.stderr.count("\n") == 1
    assert "Read-only file system" in ended.stderr


def test_a_read_only_home_can_still_be_looked_at(read_only_home: Home) -> None:
    # given a home on a read-only disk, then what is in it can be listed and shown
    assert "before" in run_cli(read_only_home, "list").stdout
    assert "before" in run_cli(read_only_home, "show", "before").stdout


def test_a_daemon_refuses_a_read_only_home_in_one_line(read_only_home: Home) -> None:
    # given a home on a read-only disk
    # when a daemon is started on it
    command = [sys.executable, "-m", "conductor.cli.daemon"]
    ended = subprocess.run(command, env=clean_environment(read_only_home), capture_output=True, text=True, timeout=60)
    # then it ends at once and says why
    assert ended.returncode not in (0, -9)
    assert "Read-only file system" in ended.stderr
    assert "Traceback" not in ended.stderr


# -- workspaces and clocks


@pytest.mark.parametrize("instead", ["nothing", "file", "dangling link"])
def test_a_workspace_that_is_gone_fails_the_task_in_words_and_nothing_else(
    home: Home, tmp_path: Path, daemon: DaemonFactory, instead: str
) -> None:
    # given a task whose workspace is gone before it starts, and another task
    workspace = tmp_path / "workspace"
    KINDS.get(instead, lambda path: None)(str(workspace))
    gone = submit_task(home, "true", workspace=str(workspace))
    good = submit_task(home, "true", workspace=str(tmp_path))
    # when a daemon runs them
    conductord = daemon(workers=1)
    # then the first failed and says why, the second ran, and the daemon goes on
    assert (wait_for_end(home, gone).status.value, wait_for_end(home, good).status.value) == ("FAILED", "SUCCESS")
    assert f"the workspace {workspace} is gone" in record_of(home, gone)["reason"]
    assert conductord.is_running


@pytest.mark.parametrize("back", [1.0, 3600.0, 400 * 86400.0], ids=["a-second", "an-hour", "a-year"])
def test_a_clock_that_is_set_back_again_and_again_costs_nothing(tmp_path: Path, back: float) -> None:
    # given every story in which nothing waits for a time
    for number, story in enumerate(story for story in STORIES if a_minute_passes not in story.steps):
        scene = Scene(Home(str(tmp_path / str(number))))
        # when the clock is set back before each step
        for step in story.steps:
            scene.now -= back
            step(scene)
        # then nothing is lost and nothing recorded twice
        assert (story.name, broken_promises(scene.home, scene.told)) == (story.name, [])


def test_a_task_that_waits_runs_when_a_clock_that_was_set_back_has_caught_up(scene: Scene) -> None:
    # given a task for in a minute, and a clock that is set back by an hour then
    submit(delayed=True)(scene)
    due = scene.now + 60
    scene.now -= 3600
    # when it is looked for before and after its time
    tend(scene)
    early = scene.queue.claim("default", scene.new_worker())
    scene.now = due + 1
    tend(scene)
    # then it runs at its time
    assert early is None
    assert scene.queue.claim("default", scene.new_worker()) is not None


# -- everything at once

BUCKET = "ready/default/1000/00010000/00"


def throw_everything_at(home: Home) -> list[str]:
    """Every bad file into inbox/, strangers everywhere, also under names of tasks: returns their ids."""
    chance = random.Random(7)
    for number, (content, _) in enumerate(BAD_CONTENTS.values()):
        move_in(home, content, f"bad-{number}")
    move_in(home, b"\n".join(mutated(chance, number) + b"|unknown" for number in range(300)), "none-of-these-may-run")
    for place in sorted({*STRANGE_PLACES} - {"corrupt"}):
        os.makedirs(f"{home.queue}/{place}", exist_ok=True)
        for name, kind in zip(STRANGE_NAMES, ("file", "folder", "fifo", "dangling link") * 2, strict=False):
            KINDS[kind](f"{home.queue}/{place}/{name}")
    with chdir(f"{home.queue}/inbox"):
        for number, make in enumerate(ODDITIES.values()):
            make(f"{home.queue}/inbox/odd-{number}")
    task_ids = [f"spoilt-{number}" for number in range(len(KINDS))]
    for number, (task_id, make) in enumerate(zip(task_ids, KINDS.values(), strict=True)):
        with chdir(f"{home.queue}/tmp"):
            make(f"{home.queue}/tmp/{task_id}")
        os.rename(f"{home.queue}/tmp/{task_id}", f"{home.queue}/{BUCKET}/00010000000{number}~a0r0l0~{task_id}")
    return task_ids


def test_a_daemon_that_is_thrown_everything_at_goes_on(home: Home, daemon: DaemonFactory) -> None:
    # given a running daemon
    conductord = daemon(workers=2)
    # when everything bad is thrown at it at once, and then something good
    conductord.send(signal.SIGSTOP)
    spoilt = throw_everything_at(home)
    conductord.send(signal.SIGCONT)
    good = submit_task(home, "echo good")
    # then what was good of it runs under the same daemon
    assert wait_for_end(home, good).status.value == "SUCCESS"
    assert [wait_for_end(home, task_id).status.value for task_id in ("one", "two")] == ["SUCCESS", "SUCCESS"]
    # and the bad lies in corrupt/ with its reasons
    eventually(lambda: all(name.startswith(".") for name in os.listdir(f"{home.queue}/inbox")), what="an empty inbox")
    for task_id in spoilt:
        eventually(lambda task_id=task_id: is_set_aside(home, task_id), what=f"{task_id} set aside")
    assert all(reason.strip() for reason in corrupt(home).values())
    assert conductord.log_lines("task_refused")
    assert "Traceback" not in conductord.log_text()
    assert conductord.stop() == 0


def is_set_aside(home: Home, task_id: str) -> bool:
    return any(f"~{task_id}" in name or f".{task_id}~" in name for name in os.listdir(f"{home.queue}/corrupt"))
