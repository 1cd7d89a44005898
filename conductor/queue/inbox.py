"""inbox/: files of task lines that anyone moved in, and the batches of `submit`, unpacked a bit at a time.

<anything>             a stranger's file: taken in by renaming it to <batch>.raw
<batch>.raw            its lines are being checked; becomes <batch>.batch, whose every line is whole and has an id
<batch>.batch          accepted, nothing unpacked yet
<batch>@<n>.batch      the first n lines lie in ready/ or waiting/ for certain; the next few may
"""

from __future__ import annotations

import fcntl
import os
import re
import signal
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from conductor.domain.errors import BadTask
from conductor.domain.lines import parse_task, unseal
from conductor.domain.task import TaskSpec
from conductor.kit.durable import read_bytes, sync_directory, write_synced
from conductor.queue.accepting import batch_text

LARGEST_FILE = 256 * 1_048_576
_BATCH = re.compile(r"(b-[0-9a-z-]+?)(?:@(\d+))?\.batch")
_RAW = re.compile(r"(b-[0-9a-z-]+)\.raw")
_QUIET_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Batch:
    """One accepted batch file; `done` lines of it are unpacked, `touched` once unpacking began."""

    name: str
    path: str
    done: int = 0
    touched: bool = False

    def path_after(self, done: int) -> str:
        return f"{os.path.dirname(self.path)}/{self.name}@{done}.batch"


def lines_of(content: bytes) -> list[bytes]:
    """The lines of a batch. A torn last one is one too: it is refused, but it does not vanish."""
    lines = content.split(b"\n")
    return lines if lines[-1] else lines[:-1]


class Inbox:
    """Reads and takes in; placing what is unpacked is the queue's."""

    def __init__(
        self, root: str, tmp: str, tasks: str, corrupt: Callable[[str, str], None], now: Callable[[], float]
    ) -> None:
        self._root = root
        self._tmp = tmp
        self._tasks = tasks
        self._corrupt = corrupt
        self._now = now

    def batches(self) -> list[Batch]:
        """Accepted batches, oldest first by name; not yet the one whose raw file still lies here, or it comes twice."""
        found = []
        names = self._regular_files()
        raw = {name for name in names if name.endswith(".raw")}
        for name in names:
            match = _BATCH.fullmatch(name)
            if match and f"{match[1]}.raw" not in raw:
                found.append(Batch(match[1], f"{self._root}/{name}", int(match[2] or 0), match[2] is not None))
        return found

    def _regular_files(self) -> list[str]:
        """Names in order; what else may lie here (a FIFO would hold who opens it) waits for `take_in` to refuse it."""
        with os.scandir(self._root) as entries:
            return sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))

    def lines(self, batch: Batch) -> Iterator[TaskSpec | BadTask]:
        """What is not unpacked yet, line by line."""
        for line in lines_of(read_bytes(batch.path))[batch.done :]:
            try:
                yield parse_task(unseal(line.decode() + "\n"))
            except (BadTask, UnicodeDecodeError) as error:
                yield BadTask(f"{batch.name}: {error}")

    def take_in(
        self, new_batch_name: Callable[[], str], default_agent: str, reserve: Callable[[str], bool]
    ) -> list[str]:
        """Turns strangers' files into batches; returns the reasons of what was refused.

        `reserve` takes an id that a line names, or says no because it is taken.
        """
        refused: list[str] = []
        for name in sorted(os.listdir(self._root)):
            if name.startswith("."):
                continue
            try:
                fault = self._fault_of(name)
                raw = "" if fault or _BATCH.fullmatch(name) else self._as_raw(name, new_batch_name)
                if fault:
                    self._corrupt(f"{self._root}/{name}", fault)
                    refused.append(fault)
                if raw:
                    refused.extend(self._accept(raw, default_agent, reserve))
            except FileNotFoundError:
                continue  # taken back by whoever put it there
            except OSError as error:  # it stays and is tried again; the others must not wait for it
                refused.append(f"inbox/{name} can't be taken in now: {error}")
        return refused

    def _fault_of(self, name: str) -> str:
        path = f"{self._root}/{name}"
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode):
            return f"inbox/{name} is not a regular file"
        if not os.access(path, os.R_OK):
            return f"inbox/{name} can't be read by conductor"
        if found.st_size > LARGEST_FILE and not _BATCH.fullmatch(name):
            return f"inbox/{name} is larger than {LARGEST_FILE} bytes"
        return ""

    def _as_raw(self, name: str, new_batch_name: Callable[[], str]) -> str:
        """A stranger's file, renamed and so made ours; nothing while somebody writes to it."""
        path = f"{self._root}/{name}"
        if not _RAW.fullmatch(name):
            if self._still_written(path):
                return ""
            raw = f"{self._root}/{new_batch_name()}.raw"
            os.rename(path, raw)
            sync_directory(self._root)
            path = raw
        return "" if self._still_written(path) else path  # again: it may have been opened just before it was renamed

    def is_taking_in(self, task_id: str) -> bool:
        """Whether a file that is being checked names the id: its line may have taken it already."""
        start = task_id.encode() + b"|"
        for name in self._regular_files():
            if _RAW.fullmatch(name):
                with suppress(FileNotFoundError):
                    if any(line.startswith(start) for line in read_bytes(f"{self._root}/{name}").split(b"\n")):
                        return True
        return False

    def _accept(self, raw: str, default_agent: str, reserve: Callable[[str], bool]) -> list[str]:
        """Checks the lines of `raw` into a batch of the same name. Killed anywhere, doing it again changes nothing."""
        name = os.path.basename(raw).removesuffix(".raw")
        batch = f"{self._root}/{name}.batch"
        if not self._has_batch(name):
            good, bad = self._sort_lines(read_bytes(raw), name, default_agent, reserve)
            if bad:
                self._refuse_lines(name, bad)
            if good:
                temporary = f"{self._tmp}/{name}.batch"
                write_synced(temporary, batch_text(good))
                sync_directory(self._tasks)  # first: after a power cut no id in the batch must look free
                os.rename(temporary, batch)
                sync_directory(self._root)
            reasons = [reason for _, reason in bad]
        else:
            reasons = []
        os.unlink(raw)
        sync_directory(self._root)
        return reasons

    def _has_batch(self, name: str) -> bool:
        """Whether the batch of that name was made, however much of it is unpacked."""
        return any(match[1] == name for found in os.listdir(self._root) if (match := _BATCH.fullmatch(found)))

    def _sort_lines(
        self, content: bytes, name: str, default_agent: str, reserve: Callable[[str], bool]
    ) -> tuple[list[TaskSpec], list[tuple[bytes, str]]]:
        good: list[TaskSpec] = []
        bad: list[tuple[bytes, str]] = []
        seen: set[str] = set()
        for number, line in enumerate(content.split(b"\n"), start=1):
            line = line.removesuffix(b"\r")
            if not line.strip() or line.lstrip().startswith(b"#"):
                continue
            try:
                spec = self._read_line(line, f"{name}-{number}", default_agent)
                if spec.id in seen or (spec.id != f"{name}-{number}" and not reserve(spec.id)):
                    raise BadTask(f"task id {spec.id!r} is taken")
            except (BadTask, UnicodeDecodeError) as error:
                bad.append((line, f"line {number}: {error}"))
                continue
            seen.add(spec.id)
            good.append(spec)
        return good, bad

    def _read_line(self, line: bytes, derived_id: str, default_agent: str) -> TaskSpec:
        spec = parse_task(line.decode("utf-8"), missing_id=derived_id)
        if not spec.agent and not default_agent:
            raise BadTask("the line names no agent and no default is configured: add |agent=command or set `agent:`")
        return replace(
            spec, agent=spec.agent or default_agent, submitted_ms=spec.submitted_ms or int(self._now() * 1000)
        )

    def _refuse_lines(self, name: str, bad: list[tuple[bytes, str]]) -> None:
        lines = f"{self._tmp}/{name}.lines"
        write_synced(lines, b"\n".join(line for line, _ in bad) + b"\n")
        self._corrupt(lines, "\n".join(reason for _, reason in bad))

    def _still_written(self, path: str) -> bool:
        """Whether a process has the file open for writing: a read lease is granted only when none has."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)  # who opens it meanwhile must not end us by SIGIO
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
            return False
        except BlockingIOError:
            return True
        except OSError:  # another user's file, or a file system without leases: trust its clock
            return self._now() - os.fstat(descriptor).st_mtime < _QUIET_SECONDS
        finally:
            os.close(descriptor)
