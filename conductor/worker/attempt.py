"""One attempt inside its worker: prepare, run the agent, judge, write what people read."""

from __future__ import annotations

import os
import stat
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from conductor.domain.errors import BadTask
from conductor.domain.lines import format_task
from conductor.domain.masking import Masker, masked_spec, secret_values
from conductor.domain.outcome import Outcome, TaskResult
from conductor.domain.task import Claim
from conductor.kit.durable import read_bytes, write_plain
from conductor.kit.signals import SignalPipe
from conductor.ports import Agent, AgentRegistry, AgentReport, Ending, Prompt
from conductor.worker.agent_log import AgentLog
from conductor.worker.config import WorkerConfig
from conductor.worker.environment import agent_environment
from conductor.worker.execute import AgentCommand, AgentProcess, Cut, Limits, ProcessEnd

SUMMARY_CHARACTERS = 2000
_LARGEST_RESULT = 1_048_576


@dataclass(frozen=True)
class Workbench:
    """What an attempt works with."""

    config: WorkerConfig
    agents: AgentRegistry
    signals: SignalPipe
    environment: Mapping[str, str]
    """The daemon's."""
    clock: Callable[[], float] = time.time


def run_attempt(claim: Claim, bench: Workbench, is_cancelled: Callable[[], bool]) -> TaskResult | None:
    """The attempt's result; None when the worker was told to stop and the task is to be given back."""
    started, began = bench.clock(), time.monotonic()
    masker = Masker(secret_values(bench.environment) | secret_values(dict(claim.spec.env)))
    _mask_task_file(claim, masker)
    log = AgentLog(f"{claim.directory}/agent.log", bench.config.log_bytes, masker)
    try:
        prompt, agent, command = _prepare(claim, bench)
        process = AgentProcess(command, log, limits_for(claim, bench.config), bench.signals, is_cancelled)
    except Exception as error:  # an agent may be anybody's code: what it raises fails the task, and says so
        log.close()
        return _refused(claim, _told(error, claim, masker), started)
    end = process.run()
    log.close()
    if end.cut is Cut.STOPPED:
        return None
    try:
        report = agent.judge(prompt, Ending(end.exit_code, end.signal, log.tail()))
    except Exception as error:  # the same: and the work is done, so it is no attempt to be lost
        reason = f"agent {claim.spec.agent} can't judge: {_told(error, claim, masker)}"
        report = AgentReport(False, reason, "", reason)
    outcome, reason, preview = _judge(end, report, limits_for(claim, bench.config))
    try:
        text = _write_answer(claim.directory, masker.mask(report.text), masker)
    except OSError as error:  # no answer, no success
        outcome = Outcome.FAILED if outcome is Outcome.SUCCESS else outcome
        text = reason = f"its answer could not be written: {error}"
    return TaskResult(
        outcome=outcome,
        reason=masker.mask(reason),
        preview=masker.mask(preview or text[:200]),
        started=started,
        ended=started + time.monotonic() - began,
        exit_code=end.exit_code,
        signal=end.signal,
        cpu_seconds=end.cpu_seconds,
        peak_memory_bytes=end.peak_memory_bytes,
        output_bytes=log.received_bytes,
    )


def _mask_task_file(claim: Claim, masker: Masker) -> None:
    """The queue wrote TASK.txt without knowing the daemon's own secrets."""
    line = format_task(masked_spec(claim.spec))
    if masker.mask(line) != line:
        write_plain(f"{claim.directory}/TASK.txt", masker.mask(line).encode() + b"\n")


def _told(error: Exception, claim: Claim, masker: Masker) -> str:
    """One line for a person; the traceback of what nobody foresaw stands at the end of the agent's log."""
    if isinstance(error, BadTask | OSError):
        return str(error)
    with suppress(OSError), open(f"{claim.directory}/agent.log", "ab") as log:
        log.write(masker.mask(traceback.format_exc()).encode("utf-8", "backslashreplace"))
    return masker.mask(f"{type(error).__name__}: {error}")


def limits_for(claim: Claim, config: WorkerConfig) -> Limits:
    spec = claim.spec
    timeout = config.timeout_seconds if spec.timeout_seconds is None else spec.timeout_seconds
    stall = config.stall_seconds if spec.stall_seconds is None else spec.stall_seconds
    return Limits(timeout, stall, config.grace_seconds)


def _prepare(claim: Claim, bench: Workbench) -> tuple[Prompt, Agent, AgentCommand]:
    spec = claim.spec
    workspace = spec.workspace or f"{claim.directory}/work"
    if not spec.workspace:
        os.makedirs(workspace, mode=0o700, exist_ok=True)
    elif not os.path.isdir(workspace):
        raise BadTask(f"the workspace {workspace} is gone")
    prompt = Prompt(spec, claim.attempt, claim.directory, workspace)
    agent = bench.agents(spec.agent)
    launch = agent.launch(prompt)
    for name, content in launch.files:
        write_plain(f"{claim.directory}/{name}", content.encode())
    env = agent_environment(bench.environment, bench.config.env_pass, claim, bench.config.home, launch.env)
    cgroup = f"{bench.config.cgroup}/{claim.worker_id}" if bench.config.cgroup else ""
    return prompt, agent, AgentCommand(launch.argv, env, workspace, cgroup)


def _refused(claim: Claim, reason: str, started: float) -> TaskResult:
    _write_answer(claim.directory, reason, Masker())
    return TaskResult(Outcome.FAILED, reason, reason, started, started)


def _judge(end: ProcessEnd, report: AgentReport, limits: Limits) -> tuple[Outcome, str, str]:
    """(outcome, reason, preview): a cut is told by its cause, else the agent's own judgement counts."""
    said = f": {report.preview}" if report.preview else ""
    match end.cut:
        case Cut.TIMEOUT:
            return (
                Outcome.TIMEOUT,
                f"ran longer than its {limits.timeout:g} s",
                f"timeout after {limits.timeout:g} s{said}",
            )
        case Cut.STALLED:
            return Outcome.TIMEOUT, f"said nothing for {limits.stall:g} s", f"stalled for {limits.stall:g} s{said}"
        case Cut.CANCELLED:
            return Outcome.CANCELLED, "cancelled", "cancelled"
    if not end.tree_gone:
        return Outcome.FAILED, "a process of the task could not be killed", "a process of the task could not be killed"
    return (Outcome.SUCCESS if report.succeeded else Outcome.FAILED), report.reason, report.preview


def _write_answer(directory: str, text: str, masker: Masker) -> str:
    """RESULT.txt and SUMMARY.txt, unless the agent wrote them; returns the answer, masked."""
    os.makedirs(directory, mode=0o700, exist_ok=True)  # an agent may have removed its own folder
    own = _own_file(f"{directory}/RESULT.txt", masker)
    if own is None:
        write_plain(f"{directory}/RESULT.txt", _line_ended(text).encode("utf-8", "replace"))
    answer = text if own is None else own
    if _own_file(f"{directory}/SUMMARY.txt", masker, SUMMARY_CHARACTERS) is None:
        write_plain(f"{directory}/SUMMARY.txt", summary_of(answer).encode("utf-8", "replace"))
    return answer


def _own_file(path: str, masker: Masker, most_characters: int = _LARGEST_RESULT) -> str | None:
    """What the agent wrote there, masked and cut in place; None where it wrote no regular file."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            os.unlink(path)
            return None
        raw = read_bytes(path, _LARGEST_RESULT)
    except OSError:
        return None
    text = masker.mask_bytes(raw).decode("utf-8", "replace")[:most_characters]
    if text.encode() != raw or os.stat(path).st_size != len(raw):
        write_plain(path, text.encode())
    return text


def summary_of(text: str) -> str:
    """The end of `text`, at most 2,000 characters with its line end, from a line's beginning where it can be."""
    whole = _line_ended(text)
    if len(whole) <= SUMMARY_CHARACTERS:
        return whole
    end = whole[-SUMMARY_CHARACTERS + 2 :]
    return "…\n" + (end[end.index("\n") + 1 :] if "\n" in end[:200] else end)


def _line_ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"
