"""Runs a project's check beside the orchestrator's loop."""

from __future__ import annotations

from collections.abc import Mapping

from conductor.domain.inherited import inherited_environment
from conductor.ports.orchestration import CheckResult
from conductor.projects.kept_process import Command, KeptProcess


class ProcessCheckRunner:
    """The port `CheckRunner`, with /bin/sh. The check sees of `environment` what agents see of theirs: no keys.

    Time is kept by the process that keeps the check, so a busy loop lets none run on.
    """

    def __init__(self, kept: KeptProcess, environment: Mapping[str, str], also_pass: tuple[str, ...] = ()) -> None:
        self._kept = kept
        self._environment = inherited_environment(environment, also_pass)
        self._timeout_seconds = 0.0

    def start(self, folder: str, command: str, log_path: str, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        argv = ("/bin/sh", "-c", command)
        self._kept.start(Command(argv, folder, self._environment, log_path, timeout_seconds))

    def fileno(self) -> int:
        return self._kept.fileno()

    def take(self, now: float) -> CheckResult | None:
        end = self._kept.take()
        if end is None:
            return None
        return CheckResult(end.well, end.reason(self._timeout_seconds), end.tail, end.seconds)

    def stop(self) -> None:
        self._kept.stop()
