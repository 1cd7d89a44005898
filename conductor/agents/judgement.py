"""Judging the end of an agent by all that was told: its exit code alone is never believed."""

from __future__ import annotations

import re

from conductor.domain.agent_events import Call
from conductor.domain.failure import Failure, status_failure, words_failure
from conductor.domain.tally import Tally
from conductor.ports import AgentReport, Ending, Prompt

_LONGEST_REASON = 500


_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_MISUSED = re.compile(
    r"unknown (?:option|argument)|unexpected argument|invalid value .{1,60} for '--|error loading config"
    r"|conductor: can't start",
    re.IGNORECASE,
)


def judge_told(prompt: Prompt, ending: Ending, *, tolerate_denials: bool = False) -> AgentReport:
    """The report of an agent whose stream tells its end.

    A success needs the agent's own word for it, exit code 0, an answer that is not empty, a last model call that came
    to its end, and no refused permission, unless the task has a check of its own that decides.
    """
    failure, reason = _why_no_success(ending, tolerant=tolerate_denials or bool(prompt.spec.verify))
    told = ending.told
    text = told.text or reason
    return AgentReport(
        succeeded=not reason,
        reason=reason[:_LONGEST_REASON],
        text=text,
        preview=reason[:200] if reason else last_line(text),
        failure=failure,
        limit=told.limit if failure is Failure.LIMIT else None,
        usage=told.usage,
        usd=told.usd,
        model=told.model,
        session=told.session,
        turns=told.turns,
        tools=told.tools,
        denials=tuple(told.denials),
    )


def _why_no_success(ending: Ending, *, tolerant: bool) -> tuple[Failure, str]:
    """(class, reason); an empty reason for a success."""
    told = ending.told
    how = how_ended(ending)
    if told.end is not None and told.end.succeeded and ending.exit_code == 0:
        if told.last_call is not None and told.last_call.status == 200 and _broke_off(told.last_call):
            return Failure.CUT, "the answer broke off: the stream was cut, although the agent calls it a success"
        if told.denials and not tolerant:
            return Failure.DENIED, f"refused: {'; '.join(list(told.denials)[:5])}"
        return (Failure.NONE, "") if told.text.strip() else (Failure.EMPTY, "it ended well and said nothing")
    said = _said(told)
    failure = _class_of(told, said or plain_lines(ending.tail)[-4000:])
    if told.end is None and ending.exit_code == 0:
        last = f"; the last that it told: {said}" if said else ""
        return failure or Failure.CUT, f"exit 0, but the agent's own result never came{last}"
    if said:
        return failure, f"{said} ({how})" if how else said
    return failure, f"{how or 'no success'}: {last_line(plain_lines(ending.tail))}".rstrip(": ")


def _broke_off(call: Call) -> bool:
    """An agent that leaves a side call of its own when it is done has its answer."""
    return not call.complete and not call.left


def _said(told: Tally) -> str:
    """What the agent or its provider says of the failure, in one line."""
    if told.end is not None and told.end.reason:
        return one_line(told.end.reason)
    finals = [error for error in told.errors if error.final] or list(told.errors)[-1:]
    if finals:
        return one_line(finals[-1].message)
    if told.last_call is not None and told.failed_calls:
        call = told.last_call
        return one_line(call.error) or (f"HTTP {call.status} from the provider" if call.status else "")
    return ""


def _class_of(told: Tally, said: str) -> Failure:
    """The best evidence first: limits, the status that the gate saw, the agent's own class, its words."""
    if told.limit is not None:
        return Failure.LIMIT
    if told.last_call is not None and told.failed_calls:
        call = told.last_call
        if call.status is not None and call.status < 400:
            return words_failure(call.error) or Failure.CUT
        return status_failure(call.status, call.error)
    if told.end is not None and told.end.failure:
        return told.end.failure
    for error in reversed(told.errors):
        found = error.failure or (status_failure(error.status, error.message) if error.status else Failure.NONE)
        if error.final and found:
            return found
    if told.denials:
        return Failure.DENIED
    if told.end is None and not told.calls and is_misused(said):
        return Failure.BAD_CONFIG
    return words_failure(said)


def is_misused(said: str) -> bool:
    """Whether an agent that told nothing else did not start, or not with the options that it was given."""
    return _MISUSED.search(said) is not None


def how_ended(ending: Ending) -> str:
    """`exit 3`, `signal 9`; nothing for exit 0."""
    if ending.signal:
        return f"signal {ending.signal}"
    return f"exit {ending.exit_code}" if ending.exit_code else ""


def plain_lines(tail: str) -> str:
    """What an agent that streams JSON lines said besides: on its standard error, mostly. Its stream holds everybody's
    words, and a class must not follow from what a tool printed."""
    return "\n".join(line for line in _COLOUR.sub("", tail).splitlines() if not line.lstrip().startswith("{"))


def last_line(text: str) -> str:
    """The last line of `text` that is not blank."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def one_line(text: str) -> str:
    return " ".join(text.split())
