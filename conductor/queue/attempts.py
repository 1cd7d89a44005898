"""One attempt from claim to record: DESIGN's steps for claim and finish, in order."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from typing import Any

from conductor.domain.errors import BadTask, ConductorError, Fenced
from conductor.domain.failure import SWITCHING
from conductor.domain.lines import format_task
from conductor.domain.masking import masked_spec
from conductor.domain.outcome import Outcome, TaskResult, cancelled
from conductor.domain.retry import NextState, RetryPolicy, Verdict, after_attempt, retries_for
from conductor.domain.switching import without
from conductor.domain.task import Claim, TaskSpec
from conductor.kit.durable import sync_directory, write_plain
from conductor.queue.files import BLOCKED, QueueFiles
from conductor.queue.names import Entry, dead_name, owned_name, parse_ordered
from conductor.queue.records import make_record, read_record, verdict_of, write_record
from conductor.queue.results_log import ResultsLog


class Attempts:
    """Claims, records and settles attempts."""

    def __init__(self, files: QueueFiles, policy: RetryPolicy) -> None:
        self._files = files
        self._layout = files.layout
        self._home = files.home
        self.policy = policy
        self._results = ResultsLog(files.home.results)

    def claim(self, pool: str, worker_id: str) -> Claim | None:
        while True:
            taken = self._take_first(pool, worker_id)
            if taken is None:
                return None
            claim = self._open_claim(*taken, worker_id)
            if claim is not None:
                return claim

    def _take_first(self, pool: str, worker_id: str) -> tuple[Entry, str] | None:
        """Renames the first name of the pool and its open lanes into claimed/: (its entry there, its path)."""
        lanes = self._files.open_lanes(pool)
        with self._files.lock:
            while True:
                if os.path.exists(self._layout.paused) or os.path.islink(self._layout.full):
                    return None
                first = self._files.ready.first(pool, lanes)
                if first is None:
                    return None
                entry = parse_ordered(first.name)
                if entry is not None:
                    break
                self._files.refuse(f"{first.path}/{first.name}", f"{first.name!r} in ready/ is no name of a task")
            tries = entry.tries.next_attempt()
            path = self._files.owned_path(self._layout.claimed, entry.task_id, tries, worker_id)
            os.rename(f"{first.path}/{first.name}", path)
            self._files.ready.taken(first)
        sync_directory(self._layout.claimed)  # before the agent starts: a task that kills the machine must count
        return replace(entry, tries=tries, owner=worker_id), path

    def _open_claim(self, entry: Entry, path: str, worker_id: str) -> Claim | None:
        """Reads the task and lays out its attempt; None when it could not be read and went to corrupt/, or may not
        start now and went to its lane."""
        try:
            spec = self._files.read_task(path)
            if spec.id != entry.task_id:
                raise BadTask(f"the file is named for {entry.task_id!r} and holds {spec.id!r}")
        except BadTask as error:
            self._files.refuse(path, str(error))
            return None
        admitted = self._admit(spec, entry, path)
        if admitted is None:
            return None
        claim = Claim(admitted, entry.tries, worker_id, self._home.attempt(spec.id, entry.tries.started))
        try:
            self._lay_out(claim)
        except OSError as error:
            if error.errno not in BLOCKED:  # one that is would only come back to the head: then the attempt is lost
                with suppress(OSError, Fenced):
                    self.give_back(claim)
            raise
        return claim

    def _admit(self, spec: TaskSpec, entry: Entry, path: str) -> TaskSpec | None:
        """The task as it may start; None when it has to wait: then it lies in its lane, its place and counts kept."""
        keeper, asked = self._files.doorkeeper, spec
        spec = without(spec, self._passed(entry)) if spec.fallback and entry.tries.started > 1 else spec
        lane = keeper.lane(spec) if keeper is not None else ""
        if keeper is None or not lane or self._files.is_cancelled(spec.id):
            return replace(spec, fallback=asked.fallback)
        try:
            admitted = keeper.admit(spec, entry.owner)
        except (OSError, ConductorError):  # a full disk is no failure of the task
            with suppress(OSError), self._files.lock:
                self._files.place(spec, entry.tries.refund(), path, at_head=True)
            raise
        if admitted is None:
            with self._files.lock:
                self._files.hold(spec, entry, path, lane)
            return None
        return replace(admitted, fallback=asked.fallback)

    def _passed(self, entry: Entry) -> set[str]:
        """The agents whose last failures call for another: of the attempts that count, not of those that a limit or a
        lost worker ended, nor of those that `conductor retry` has forgiven."""
        folder, passed, counted = self._home.task(entry.task_id), set(), entry.tries.failures - 1
        for number in range(entry.tries.started - 1, 0, -1):
            record = read_record(f"{folder}/{number}") if counted > 0 else None
            if record is None or record.get("outcome") in (Outcome.LIMITED, Outcome.LOST):
                continue
            counted -= 1
            if record.get("failure") in SWITCHING:
                passed.add(str(record.get("agent")))
        return passed

    def _lay_out(self, claim: Claim) -> None:
        for folder in (self._home.task(claim.spec.id), claim.directory):
            with suppress(FileExistsError):
                os.mkdir(folder, 0o700)
        write_plain(f"{claim.directory}/TASK.txt", format_task(masked_spec(claim.spec)).encode() + b"\n")
        link = f"{self._home.task(claim.spec.id)}/latest"
        if claim.attempt == 1:
            with suppress(FileExistsError):
                os.symlink("1", link)
            return
        with suppress(FileNotFoundError):
            os.unlink(f"{link}.{claim.attempt}")
        os.symlink(str(claim.attempt), f"{link}.{claim.attempt}")
        os.rename(f"{link}.{claim.attempt}", link)

    def finish(self, claim: Claim, result: TaskResult) -> Verdict:
        name = owned_name(claim.spec.id, claim.tries, claim.worker_id)
        if os.path.exists(f"{self._layout.finishing}/{name}"):
            return self._finish_again(name, claim)
        was_cancelled = self._files.is_cancelled(claim.spec.id)
        while True:
            verdict, record = self._judge(claim, cancelled(result) if was_cancelled else result)
            self._check_owned(name, claim)
            write_record(claim.directory, self._home.tasks, record)
            with self._files.lock:
                if not was_cancelled and self._files.is_cancelled(claim.spec.id):
                    was_cancelled = True
                    continue
                appended = self._to_finishing(name, claim)
                if appended:
                    self._results.append(record["line"].encode())
            break
        if appended:
            self._results.sync()
            self.settle(name, record)
        else:
            self.complete(name, record)
        return verdict

    def _finish_again(self, name: str, claim: Claim) -> Verdict:
        """An earlier try failed after its record was durable, and its line may be written: that record stands."""
        record = read_record(claim.directory)
        if record is None:
            raise Fenced(f"the record of attempt {claim.attempt} of {claim.spec.id} can't be read any more")
        self.complete(name, record)
        return verdict_of(record)

    def _judge(self, claim: Claim, result: TaskResult) -> tuple[Verdict, dict[str, Any]]:
        policy = self.policy
        spec = claim.spec
        asked = policy.retries if spec.retries is None else spec.retries
        retries = retries_for(result.failure, asked, len(spec.fallback), policy)
        now_ms = self._files.now_ms()
        verdict = after_attempt(result.outcome, claim.tries, retries, policy, now_ms, self._files.chance())
        if result.outcome is Outcome.LIMITED and result.not_before:
            verdict = replace(verdict, due_ms=max(verdict.due_ms, round(result.not_before * 1000)))
        return verdict, make_record(claim, result, verdict, self._results.size())

    def _check_owned(self, name: str, claim: Claim) -> None:
        if not any(os.path.exists(f"{folder}/{name}") for folder in (self._layout.claimed, self._layout.finishing)):
            raise Fenced(f"attempt {claim.attempt} of {claim.spec.id} is not {claim.worker_id}'s any more")

    def _to_finishing(self, name: str, claim: Claim) -> bool:
        """Renames the claim; False when an earlier try at the same finish had got that far already."""
        try:
            os.rename(f"{self._layout.claimed}/{name}", f"{self._layout.finishing}/{name}")
            return True
        except FileNotFoundError:
            self._check_owned(name, claim)
            return False

    def give_back(self, claim: Claim) -> None:
        path = self._files.owned_path(self._layout.claimed, claim.spec.id, claim.tries, claim.worker_id)
        try:
            with self._files.lock:
                target = self._files.place(claim.spec, claim.tries.refund(), path, at_head=True)
        except FileNotFoundError:
            raise Fenced(f"attempt {claim.attempt} of {claim.spec.id} is not {claim.worker_id}'s any more") from None
        self._files.sync(target)

    def settle(self, name: str, record: dict[str, Any]) -> None:
        """The last step of a finish: moves finishing/<name> on as `record` decided. Doing it again changes nothing.

        Nothing is synced here: a power cut brings the file back into finishing/ or claimed/, where recovery finds the
        record and the line and settles it again.
        """
        path = f"{self._layout.finishing}/{name}"
        verdict = verdict_of(record)
        if verdict.state is not NextState.WAITING:
            self._files.after.has_ended(record["task"])
        with suppress(FileNotFoundError):
            match verdict.state:
                case NextState.ENDED:
                    # Kept, not unlinked: ext4 searches past every inode freed in the last minute for each new file.
                    try:
                        os.rename(path, f"{self._home.task(record['task'])}/task")
                    except IsADirectoryError:  # an agent's: the record tells all that matters
                        os.unlink(path)
                case NextState.DEAD:
                    os.rename(path, f"{self._layout.dead}/{dead_name(record['task'], verdict.tries)}")
                case NextState.WAITING:
                    self._queue_again(path, verdict)

    def _queue_again(self, path: str, verdict: Verdict) -> None:
        try:
            spec = self._files.read_task(path)
        except BadTask as error:
            self._files.refuse(path, str(error))
            return
        with self._files.lock:
            self._files.place(spec, verdict.tries, path, due_ms=verdict.due_ms, at_head=not verdict.due_ms)

    def is_told(self, record: dict[str, Any]) -> bool:
        """Whether the record's line is written. A power cut can bring a file back to claimed/ that had got so far."""
        return self._results.holds(record["line"].encode(), record["results_size"])

    def complete(self, name: str, record: dict[str, Any]) -> None:
        """Finishes what lies in finishing/: the line if it is not there yet, then the next state."""
        with self._files.lock:
            if not self.is_told(record):
                self._results.append(record["line"].encode())
        self._results.sync()
        self.settle(name, record)

    def rotate_results(self, largest: int, keep: int, told: int) -> bool:
        """Begins results.txt anew when it is larger than `largest`. What holds a line that was not told yet (from the
        position `told` on), or that recovery may look for, stays besides the last `keep` older segments."""
        if not self._results.is_larger(largest):
            return False
        with self._files.lock:
            folders = (self._layout.claimed, self._layout.finishing)
            owned = [entry for folder in folders for _, entry in self._files.owned_entries(folder)]
            records = [record for entry in owned if (record := self.read_attempt(entry))]
            return self._results.rotate(largest, keep, min([told, *(one["results_size"] for one in records)]))

    def read_attempt(self, entry: Entry) -> dict[str, Any] | None:
        """The record of the attempt that an owned entry stands for, when its worker got so far."""
        record = read_record(self._home.attempt(entry.task_id, entry.tries.started))
        return record if record and record.get("worker") == entry.owner else None
