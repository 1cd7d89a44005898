"""The queue lock: QuickLock and filelock's FileLock are one lock, between processes too."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from conductor.domain.errors import LockTimeout
from conductor.kit.lock import QuickLock, lock_holder
from tests.support import PATIENCE, eventually

SHORT = 0.05
_HOLD = "with {lock}:\n    print('held', flush=True)\n    input()\n"
HOLDERS = {
    "QuickLock": f"from conductor.kit.lock import QuickLock\n{_HOLD.format(lock='QuickLock(PATH)')}",
    "FileLock": "from filelock import FileLock\n"
    + _HOLD.format(lock="FileLock(PATH, fallback_to_soft=False, preserve_lock_file=True)"),
}
SEEKERS = {
    "QuickLock": lambda path, seconds: QuickLock(path, deadline_seconds=seconds),
    "FileLock": lambda path, seconds: FileLock(
        path, timeout=seconds, poll_interval=0.002, fallback_to_soft=False, preserve_lock_file=True
    ),
}


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "lock")


@contextmanager
def held_by_another_process(kind: str, path: str) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock until the block ends."""
    child = subprocess.Popen(
        [sys.executable, "-c", f"PATH = {path!r}\n{HOLDERS[kind]}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)},
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "held\n"
        yield child
    finally:
        child.stdin.close()
        child.stdout.close()
        child.wait(PATIENCE)


def is_free(path: str) -> bool:
    """Asks the kernel, not one of our own locks."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("seeker", SEEKERS)
def test_each_kind_keeps_each_kind_out(holder: str, seeker: str, path: str) -> None:
    with held_by_another_process(holder, path):
        with pytest.raises((LockTimeout, Timeout)), SEEKERS[seeker](path, SHORT):
            pytest.fail("two processes hold the lock")

    with SEEKERS[seeker](path, PATIENCE):
        assert not is_free(path)
    assert is_free(path)


@pytest.mark.parametrize("holder", HOLDERS)
def test_the_lock_of_a_killed_process_is_free(holder: str, path: str) -> None:
    with held_by_another_process(holder, path) as child:
        child.kill()
        child.wait(PATIENCE)

        with QuickLock(path, PATIENCE):
            assert not is_free(path)


def test_waiting_ends_when_the_holder_lets_go(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    real_sleep = time.sleep
    monkeypatch.setattr("conductor.kit.lock.time.sleep", lambda wait: (waits.append(wait), real_sleep(wait)))

    def seek() -> bool:
        with QuickLock(path, PATIENCE):
            return not is_free(path)

    with ThreadPoolExecutor(1) as threads:
        with held_by_another_process("FileLock", path):
            found = threads.submit(seek)
            eventually(lambda: len(waits) > 3)
            assert not found.done()
        assert found.result(PATIENCE)


def test_a_quick_lock_gives_up_at_its_deadline_and_names_the_holder(path: str) -> None:
    before = set(os.listdir("/proc/self/fd"))
    with held_by_another_process("FileLock", path) as child:
        with pytest.raises(LockTimeout, match=str(child.pid)), QuickLock(path, SHORT):
            pytest.fail("two processes hold the lock")
        assert lock_holder(path) == child.pid

    with QuickLock(path, SHORT):  # giving up left no lock behind
        assert lock_holder(path) == os.getpid()
    assert lock_holder(path) is None
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_quick_lock_is_let_go_when_its_block_fails(path: str) -> None:
    lock = QuickLock(path)
    with pytest.raises(ZeroDivisionError), lock:
        raise ZeroDivisionError
    before = set(os.listdir("/proc/self/fd"))

    with lock:
        assert not is_free(path)

    assert is_free(path)
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_program_started_under_the_lock_does_not_hold_it(path: str) -> None:
    with QuickLock(path):
        child = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, close_fds=False)
    try:
        eventually(lambda: is_free(path), what="the lock is let go though the program runs")  # exec closes one by one
        assert child.poll() is None
    finally:
        child.communicate(timeout=PATIENCE)


def test_a_link_in_place_of_the_lock_is_not_followed(path: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    os.symlink(tmp_path / "elsewhere", path)

    with pytest.raises(OSError, match="lock"), QuickLock(path):
        pytest.fail("a stranger's link was followed")
