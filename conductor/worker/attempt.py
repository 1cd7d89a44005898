"""One attempt inside its worker: prepare, run the agent, judge, check, write what people read."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from conductor.domain.agent_events import Call, Limit
from conductor.domain.errors import BadTask
from conductor.domain.failure import Failure, status_failure
from conductor.domain.lines import format_task
from conductor.domain.masking import Masker, masked_spec, secret_values
from conductor.domain.outcome import AgentFacts, Outcome, TaskResult
from conductor.domain.tally import Tally
from conductor.domain.task import Claim
from conductor.kit.durable import append_bytes, write_plain
from conductor.kit.filesystem import remove_tree
from conductor.ports import AgentReport, Ending
from conductor.worker.agent_log import AgentLog
from conductor.worker.answer import write_answer
from conductor.worker.bench import Workbench
from conductor.worker.config import WorkerConfig
from conductor.worker.cut import Cut
from conductor.worker.earlier import read_used
from conductor.worker.environment import agent_environment
from conductor.worker.event_file import EventFile
from conductor.worker.execute import AgentCommand, AgentProcess, Limits, ProcessEnd
from conductor.worker.patience import patiently
from conductor.worker.preparing import Prepared, prepare
from conductor.worker.spending import Account, Meter, cost_of
from conductor.worker.watch import Patience, Watch

_VERIFY_KEPT = 4000


def run_attempt(claim: Claim, bench: Workbench, is_cancelled: Callable[[], bool]) -> TaskResult | None:
    """The attempt's result; None when the worker was told to stop and the task is to be given back."""
    started, began = bench.clock(), time.monotonic()
    secrets = secret_values(bench.environment) | secret_values(dict(claim.spec.env))
    masker = Masker(secrets)
    _mask_task_file(claim, masker)
    try:
        prepared = prepare(claim, bench)
    except Exception as error:  # an agent may be anybody's code: what it raises fails the task, and says so
        return _refused(claim, error, masker, started)
    masker = Masker(secrets | prepared.secrets)
    try:
        run = _Run(claim, bench, prepared, masker, is_cancelled)
    except Exception as error:
        prepared.undo()
        return _refused(claim, error, masker, started)
    try:
        judged = run.to_its_end()
    except Exception as error:
        return _refused(claim, error, masker, started)
    finally:
        run.leave()
    return judged and replace(judged, started=started, ended=started + time.monotonic() - began)


@dataclass(frozen=True)
class _Judged:
    """What an attempt came to, in words not yet masked."""

    outcome: Outcome
    reason: str
    preview: str
    failure: Failure = Failure.NONE


class _Run:
    """One agent under way, from its start to its result."""

    def __init__(
        self, claim: Claim, bench: Workbench, prepared: Prepared, masker: Masker, is_cancelled: Callable[[], bool]
    ) -> None:
        self._claim = claim
        self._bench = bench
        self._prepared = prepared
        self._masker = masker
        self._is_cancelled = is_cancelled
        self._limits = limits_for(claim, bench.config, streams=prepared.agent.abilities.stream)
        if prepared.prompt.text:
            write_plain(f"{claim.directory}/PROMPT.txt", masker.mask(prepared.prompt.text).encode("utf-8", "replace"))
        self._watch = self._make_watch()
        self._until: float | None = None
        self._is_held = False
        """Whether the doorkeeper holds up every task of a limited provider; else this one waits by itself."""
        self._verify_output = ""

    @property
    def _tally(self) -> Tally:
        return self._watch.tally

    def to_its_end(self) -> TaskResult | None:
        """Its times are left for the caller; None: the worker was told to stop."""
        prepared = self._prepared
        log = AgentLog(f"{self._claim.directory}/agent.log", self._bench.config.log_bytes, self._masker)
        try:
            process = AgentProcess(
                prepared.command, log, self._limits, self._bench.signals, self._is_cancelled, self._watch
            )
            end = process.run()
        finally:
            log.close()
        self._watch.close()
        if end.cut is Cut.STOPPED:
            return None
        report = self._report(end, log.tail())
        judged = self._judge(end, report)
        if judged.outcome is Outcome.SUCCESS and self._claim.spec.verify:
            checked = self._verify()
            if checked is None:
                return None
            judged = checked if checked.outcome is not Outcome.SUCCESS else judged
        self._learn(end, succeeded=judged.outcome is Outcome.SUCCESS)
        return self._result(end, report, judged, log.received_bytes)

    def _learn(self, end: ProcessEnd, *, succeeded: bool) -> None:
        """What this run took, so that the next one is let in only where there is room for it."""
        agent, keeper = self._prepared.agent, self._bench.doorkeeper
        if keeper is not None and agent.abilities.prompted:
            version = self._tally.version
            keeper.learn(agent.setup.name, succeeded=succeeded, peak_bytes=end.peak_memory_bytes, version=version)

    def leave(self) -> None:
        """Whatever happened: the login taken home, gate and private state gone."""
        self._watch.close()
        state = self._prepared.prompt.state_directory
        if state:
            try:
                self._prepared.agent.settle(self._prepared.prompt)
            except Exception as error:  # an agent's own code: it must not cost the task its result
                self._bench.notice("settle_failed", {"error": self._masker.mask(repr(error))})
            remove_tree(state)

    # -- its parts

    def _make_watch(self) -> Watch:
        prepared, config = self._prepared, self._bench.config
        events = EventFile(f"{self._claim.directory}/agent.jsonl", config.log_bytes, self._masker)
        patience = Patience(config.limits.wait_in_run)
        notice = self._bench.notice
        return Watch(prepared.agent.reader(), prepared.gate, events, self._make_meter(), patience, notice)

    def _make_meter(self) -> Meter | None:
        """Only where there is anything to be counted."""
        if not self._prepared.agent.abilities.prompted:
            return None
        spec, setup = self._claim.spec, self._prepared.agent.setup
        budget = self._bench.config.budgets.of_task(spec)
        account = Account(spec.project, setup.name, self._prepared.prompt.model)
        return Meter(account, budget, self._bench.ledger, self._bench.price_of_model, read_used(self._claim))

    def _report(self, end: ProcessEnd, tail: str) -> AgentReport:
        agent = self._prepared.agent
        try:
            return agent.judge(self._prepared.prompt, Ending(end.exit_code, end.signal, tail, self._tally))
        except Exception as error:  # anybody's code, and the work is done, so it is no attempt to be lost
            reason = f"agent {agent.setup.name} can't judge: {_told(error, self._claim, self._masker)}"
            return AgentReport(False, reason, "", reason)

    def _judge(self, end: ProcessEnd, report: AgentReport) -> _Judged:
        """A cut is told by its cause, else the agent's own judgement counts."""
        said = f": {report.preview}" if report.preview else ""
        limits = self._limits
        match end.cut:
            case Cut.TIMEOUT:
                words = f"ran longer than its {limits.timeout:g} s", f"timeout after {limits.timeout:g} s{said}"
                return _Judged(Outcome.TIMEOUT, *words, Failure.TIMEOUT)
            case Cut.STALLED:
                words = f"said nothing for {limits.stall:g} s", f"stalled for {limits.stall:g} s{said}"
                return _Judged(Outcome.TIMEOUT, *words, Failure.STALLED)
            case Cut.CANCELLED:
                return _Judged(Outcome.CANCELLED, "cancelled", "cancelled")
            case Cut.BUDGET:
                return _Judged(Outcome.BUDGET, self._watch.spent, self._watch.spent, Failure.BUDGET)
            case Cut.LIMITED:
                return self._limited(self._watch.cut_by)
            case Cut.HOPELESS:
                return self._hopeless()
        if not end.tree_gone:
            left = "a process of the task could not be killed"
            return _Judged(Outcome.FAILED, left, left)
        if report.failure is Failure.LIMIT and not report.succeeded:
            return self._limited(report.limit or self._tally.limit, report)
        outcome = Outcome.SUCCESS if report.succeeded else Outcome.FAILED
        return _Judged(outcome, report.reason, report.preview, report.failure)

    def _limited(self, met: Limit | Call | None, report: AgentReport | None = None) -> _Judged:
        """The provider is parked and the task waits; where parking is switched off it is a failure like others."""
        limit = met if isinstance(met, Limit) else Limit()
        agent = self._prepared.agent.setup.name
        keeper = self._bench.doorkeeper
        self._until = keeper.park(agent, limit) if keeper is not None else None
        said = limit.said or limit.kind or (report.reason if report else "") or "limit reached"
        self._bench.notice("limit_hit", {"agent": agent, "until": self._until, "kind": limit.kind})
        if self._until is None or self._until <= self._bench.clock():
            return _Judged(Outcome.FAILED, said, said, Failure.OVERLOAD)
        self._is_held = not keeper.is_open(agent) if keeper is not None else False
        return _Judged(Outcome.LIMITED, said, said, Failure.LIMIT)

    def _hopeless(self) -> _Judged:
        call = self._watch.cut_by
        assert isinstance(call, Call)  # it is what made it hopeless
        broke_off = call.status is not None and call.status < 400
        failure = Failure.CUT if broke_off else status_failure(call.status, call.error)
        said = call.error or (f"HTTP {call.status}" if call.status else "the provider can't be reached")
        if failure is Failure.LIMIT:
            return self._limited(call.limit or Limit(said=said))
        return _Judged(Outcome.FAILED, said, said, failure)

    def _verify(self) -> _Judged | None:
        """The task's own check, in the workspace; None: told to stop."""
        claim, command, bench = self._claim, self._prepared.command, self._bench
        env = agent_environment(bench.environment, bench.config.env_pass, claim, bench.config.home, ())
        check = AgentCommand(("/bin/sh", "-c", claim.spec.verify), env, command.directory, command.cgroup)
        log = AgentLog(f"{claim.directory}/verify.log", self._bench.config.log_bytes, self._masker)
        try:
            end = AgentProcess(check, log, self._limits, self._bench.signals, self._is_cancelled).run()
        finally:
            log.close()
        if end.cut is Cut.STOPPED:
            return None
        if end.cut is Cut.CANCELLED:
            return _Judged(Outcome.CANCELLED, "cancelled", "cancelled")
        if end.exit_code == 0 and end.cut is None:
            return _Judged(Outcome.SUCCESS, "", "")
        self._verify_output = log.tail()[-_VERIFY_KEPT:]
        how = end.cut or (f"signal {end.signal}" if end.signal else f"exit {end.exit_code}")
        reason = f"its check did not pass ({how}): {claim.spec.verify}"
        return _Judged(Outcome.FAILED, reason, reason, Failure.VERIFY)

    def _result(self, end: ProcessEnd, report: AgentReport, judged: _Judged, output_bytes: int) -> TaskResult:
        outcome, reason = judged.outcome, judged.reason
        try:
            answer = self._masker.mask(report.text)
            text = patiently(lambda: write_answer(self._claim.directory, answer, self._masker))
        except OSError as error:  # no answer, no success
            outcome = Outcome.FAILED if outcome is Outcome.SUCCESS else outcome
            text = reason = f"its answer could not be written: {error}"
        return TaskResult(
            outcome=outcome,
            reason=self._masker.mask(reason),
            preview=self._masker.mask(judged.preview or text[:200]),
            started=0.0,
            ended=0.0,
            exit_code=end.exit_code,
            signal=end.signal,
            cpu_seconds=end.cpu_seconds,
            peak_memory_bytes=end.peak_memory_bytes,
            output_bytes=output_bytes,
            failure=judged.failure,
            not_before=0.0 if self._is_held else self._until or 0.0,
            facts=self._facts(report),
        )

    def _facts(self, report: AgentReport) -> AgentFacts | None:
        agent, prompt, tally = self._prepared.agent, self._prepared.prompt, self._tally
        if not agent.abilities.prompted:
            return None
        usd, source = cost_of(tally, prompt.model, self._bench.price_of_model)
        if usd is None and report.usd is not None and (report.usd or report.usage):
            usd, source = report.usd, "reported"
        return AgentFacts(
            agent=agent.setup.name,
            model_asked=prompt.model,
            model=report.model or tally.model,
            usage=report.usage or tally.usage,
            usd=usd,
            cost=source,
            session=report.session or tally.session,
            turns=report.turns,
            tools=report.tools,
            denials=tuple(self._masker.mask(denial) for denial in report.denials[:20]),
            calls=tally.calls,
            limited_until=self._until,
            verify_output=self._masker.mask(self._verify_output),
        )


def limits_for(claim: Claim, config: WorkerConfig, *, streams: bool = True) -> Limits:
    """The task's own limits, else those of the settings. Silence is no stall where an agent says nothing as it runs,
    unless the task says so."""
    spec = claim.spec
    timeout = config.timeout_seconds if spec.timeout_seconds is None else spec.timeout_seconds
    stall = (config.stall_seconds if streams else None) if spec.stall_seconds is None else spec.stall_seconds
    return Limits(timeout, stall, config.grace_seconds)


def _mask_task_file(claim: Claim, masker: Masker) -> None:
    """The queue wrote TASK.txt without knowing the daemon's own secrets."""
    line = format_task(masked_spec(claim.spec))
    if masker.mask(line) != line:
        write_plain(f"{claim.directory}/TASK.txt", masker.mask(line).encode() + b"\n")


def _told(error: Exception, claim: Claim, masker: Masker) -> str:
    """One line for a person; the traceback of what nobody foresaw stands at the end of the agent's log."""
    foreseen = isinstance(error, BadTask | OSError)
    trace = b"" if foreseen else masker.mask(traceback.format_exc()).encode("utf-8", "backslashreplace")
    with suppress(OSError):  # where the agent put something else than its log, it is left alone
        append_bytes(f"{claim.directory}/agent.log", trace)
    if foreseen:
        return masker.mask(str(error))
    return masker.mask(f"{type(error).__name__}: {error}")


def _refused(claim: Claim, error: Exception, masker: Masker, started: float) -> TaskResult:
    """What could not be prepared: a task that asks for what there isn't needs somebody to change it first."""
    reason = _told(error, claim, masker)
    with suppress(OSError):  # the record holds the reason too
        write_answer(claim.directory, reason, Masker())
    failure = Failure.BAD_CONFIG if isinstance(error, BadTask) else Failure.NONE
    return TaskResult(Outcome.FAILED, reason, reason, started, started, failure=failure)
