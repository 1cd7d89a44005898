"""result.json: what is known of one attempt, made durable before anything else is told about it."""

from __future__ import annotations

import errno
import json
import os
from typing import Any

from conductor.domain.lines import ResultLine, format_result, format_timestamp
from conductor.domain.outcome import Status, TaskResult, agent_record
from conductor.domain.retry import NextState, Verdict
from conductor.domain.task import Claim
from conductor.kit.durable import read_bytes, replace_file, sync_directory
from conductor.queue.names import counters, parse_counters

RECORD_VERSION = 1
_LARGEST_RECORD = 4_194_304
_NOT_A_RECORD = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO)


def make_record(claim: Claim, result: TaskResult, verdict: Verdict, results_size: int) -> dict[str, Any]:
    """The record of an attempt as JSON-able values. Times are RFC 3339 and seconds, memory is bytes."""
    spec = claim.spec
    timestamp = format_timestamp(result.ended)
    line = format_result(ResultLine(spec.id, claim.worker_id, verdict.status, timestamp, result.preview))
    return {
        "version": RECORD_VERSION,
        "task": spec.id,
        "attempt": claim.attempt,
        "worker": claim.worker_id,
        "status": verdict.status.value,
        "outcome": result.outcome.value,
        "reason": result.reason,
        "started": format_timestamp(result.started),
        "ended": timestamp,
        "seconds": round(result.ended - result.started, 3),
        "exit_code": result.exit_code,
        "signal": result.signal,
        "cpu_seconds": round(result.cpu_seconds, 3),
        "peak_memory_bytes": result.peak_memory_bytes,
        "output_bytes": result.output_bytes,
        "agent": spec.agent,
        "model": spec.model,
        "thinking": spec.thinking,
        "pool": spec.pool,
        **agent_record(result),
        "next": {"state": verdict.state.value, "due_ms": verdict.due_ms, "tries": counters(verdict.tries)},
        "line": line,
        "results_size": results_size,
    }


def write_record(directory: str, tasks_root: str, record: dict[str, Any]) -> None:
    """Makes the record durable: its bytes, its name, and each folder's name up to tasks/."""
    os.makedirs(directory, mode=0o700, exist_ok=True)
    # The agent may have put a link, a pipe or a file of its own there: the record takes its place.
    replace_file(f"{directory}/result.json", json.dumps(record, indent=1).encode() + b"\n", synced=True)
    folder = directory.rpartition("/")[0]
    while len(folder) >= len(tasks_root):
        sync_directory(folder)
        folder = folder.rpartition("/")[0]


def read_record(directory: str) -> dict[str, Any] | None:
    """The record in an attempt's folder; None where there is none, a torn one, or something that an agent put there.

    A disk that can't be read is an error: taken for `no record`, it would have the attempt recorded a second time.
    """
    try:
        record = json.loads(read_bytes(f"{directory}/result.json", _LARGEST_RECORD))
        verdict_of(record)
        return record if isinstance(record["line"], str) and isinstance(record["results_size"], int) else None
    except OSError as error:
        if error.errno in _NOT_A_RECORD:
            return None
        raise
    except (ValueError, KeyError, TypeError):
        return None


def verdict_of(record: dict[str, Any]) -> Verdict:
    """What the record decided, as it was decided then."""
    following = record["next"]
    tries = parse_counters(following["tries"])
    if tries is None:
        raise ValueError(f"counters {following['tries']!r}")
    return Verdict(NextState(following["state"]), Status(record["status"]), tries, int(following["due_ms"]))
