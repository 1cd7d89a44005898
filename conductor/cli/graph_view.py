"""The graph of a run as lines for a terminal of a given size: what moves is shown, what is over or to come is folded.

Pure: a Snapshot goes in, rich Text comes out, never more lines than there is room for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from rich.text import Text

from conductor.cli.run_story import notes, told
from conductor.cli.snapshot import Snapshot
from conductor.cli.step_reasons import StepReasons
from conductor.cli.waves import waves_of
from conductor.cli.wording import doer, many, money, names, one_line
from conductor.domain.durations import format_duration
from conductor.domain.run import DelegationState, RunStatus, StepState, StepStatus

GLYPHS = {
    StepStatus.PENDING: ("○", "dim"),
    StepStatus.IN_PROGRESS: ("●", "cyan"),
    StepStatus.COMPLETED: ("✓", "green"),
    StepStatus.FAILED: ("✗", "red"),
    StepStatus.NEEDS_REVIEW: ("!", "yellow"),
    StepStatus.BLOCKED: ("⊘", "red"),
    StepStatus.CANCELLED: ("-", "dim"),
}
_TROUBLE = (StepStatus.FAILED, StepStatus.NEEDS_REVIEW, StepStatus.BLOCKED, StepStatus.CANCELLED)
_RUN_STYLES = {
    RunStatus.COMPLETED: "bold green",
    RunStatus.FAILED: "bold red",
    RunStatus.NEEDS_REVIEW: "bold yellow",
    RunStatus.WAITING: "bold yellow",
    RunStatus.STOPPED: "bold",
}
_LEAST_BODY = 3
_MOST_EVENTS = 4
_ID_WIDTH = 18


@dataclass(frozen=True, slots=True)
class Wave:
    """Steps that can come at the same time at the earliest; `last`: it stands for the waves `number` to `last`."""

    number: int
    steps: tuple[StepState, ...]
    last: int = 0

    @property
    def is_done(self) -> bool:
        return all(state.status is StepStatus.COMPLETED for state in self.steps)

    @property
    def is_to_come(self) -> bool:
        return all(state.status is StepStatus.PENDING for state in self.steps)


def graph_lines(snapshot: Snapshot, width: int, height: int) -> list[Text]:
    """The whole view: at most `height` lines, none wider than `width` cells."""
    head = _head(snapshot, width)
    foot = _foot(snapshot)
    room = height - len(head) - len(foot)
    if snapshot.steps and room < _LEAST_BODY:
        foot = foot[: max(0, height - len(head) - _LEAST_BODY)]
        room = height - len(head) - len(foot)
    events = [Text(told(event), style="dim") for event in snapshot.activity[-_MOST_EVENTS:]]
    spare = len(events) if room >= _LEAST_BODY * 3 else max(0, room - 2 * _LEAST_BODY)
    events = events[len(events) - min(spare, len(events)) :]
    lines = [*head, *body_lines(snapshot, width, max(0, room - len(events))), *foot, *events]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
        line.no_wrap = True
    return lines[: max(0, height)]


# -- the head: which run, how it stands, how far it is


def _head(snapshot: Snapshot, width: int) -> list[Text]:
    run = snapshot.run
    status = run.status.value.replace("_", " ")
    right = f"{status} {format_duration(snapshot.elapsed_seconds)}"
    title = Text(f"{run.id}  {one_line(run.title)}", style="bold")
    title.truncate(max(10, width - len(right) - 2), overflow="ellipsis", pad=True)
    title.append("  ").append(right, style=_RUN_STYLES.get(run.status, "bold cyan"))
    return [title, _progress(snapshot, width)]


def _progress(snapshot: Snapshot, width: int) -> Text:
    if not snapshot.steps:
        return Text(_planning_told(snapshot), style="cyan")
    counts, total = snapshot.counts(), len(snapshot.steps)
    done = counts.get(StepStatus.COMPLETED, 0)
    words = Text(f"  {done} of {many(total, 'step')}")
    for status in (StepStatus.IN_PROGRESS, *_TROUBLE):
        if status in counts:
            words.append(f" · {counts[status]} {_STATUS_WORDS[status]}", style=GLYPHS[status][1])
    if snapshot.usd:
        words.append(f" · {money(snapshot.usd)}")
    cells = max(5, min(30, width - words.cell_len))
    full = done * cells // total
    return Text("━" * full, style="green").append("━" * (cells - full), style="dim").append_text(words)


def _planning_told(snapshot: Snapshot) -> str:
    if snapshot.run.status is not RunStatus.PLANNING:
        return "no steps"
    opened = snapshot.delegations
    whom = doer(opened[-1].agent, opened[-1].model) if opened and opened[-1].agent else one_line(snapshot.run.planner)
    attempt = f", attempt {opened[-1].round}" if opened and opened[-1].round > 1 else ""
    return f"a model takes the request apart: {whom}{attempt}" if whom else "a model takes the request apart"


# -- the body: waves and steps, folded until they fit


def body_lines(snapshot: Snapshot, width: int, room: int) -> list[Text]:
    """At most `room` lines about the steps, in the most detail that fits."""
    if room <= 0 or not snapshot.steps:
        return []
    drawing = _Drawing(snapshot, width)
    waves = waves_in(snapshot)
    for detail in _DETAILS:
        lines = detail(drawing, waves, room)
        if len(lines) <= room:
            return lines
    return _only_what_moves(drawing, waves, room)


def waves_in(snapshot: Snapshot) -> list[Wave]:
    """The steps by the wave in which each can come at the earliest."""
    levels = waves_of([state.step for state in snapshot.steps])
    found: dict[int, list[StepState]] = {}
    for state in snapshot.steps:
        found.setdefault(levels[state.step.id], []).append(state)
    return [Wave(number, tuple(found[number])) for number in sorted(found)]


class _Drawing:
    """Rows of one snapshot at one width."""

    def __init__(self, snapshot: Snapshot, width: int) -> None:
        self._snapshot = snapshot
        self._reasons = StepReasons(snapshot)
        self._width = width
        self._ids = min(_ID_WIDTH, max((len(state.step.id) for state in snapshot.steps), default=0))

    def row(self, state: StepState) -> Text:
        glyph, style = GLYPHS[state.status]
        note = self._note(state)
        left = Text(f"  {glyph} ", style=style)
        shown = _shortened(state.step.id, self._ids).ljust(self._ids)
        name = Text(shown, style="bold" if state.status is StepStatus.IN_PROGRESS else "")
        title = Text(one_line(state.step.title, 200))
        title.truncate(max(8, (self._width - self._ids - 8) * 2 // 5), overflow="ellipsis", pad=True)
        whole = left.append_text(name).append("  ").append_text(title)
        return whole.append("  ").append(note, style=style if state.status is not StepStatus.COMPLETED else "dim")

    def _note(self, state: StepState) -> str:
        parts = [self._reasons.of(state)]
        if state.status is StepStatus.IN_PROGRESS and state.agent:
            parts.insert(0, doer(state.agent, state.model))
        if state.started and state.status is not StepStatus.PENDING:
            parts.append(format_duration(max(0.0, (state.ended or self._snapshot.at) - state.started)))
        if state.usd:
            parts.append(money(state.usd))
        return " · ".join(parts)


def _shortened(step_id: str, most: int) -> str:
    """Long ids differ at their end as often as at their start."""
    if len(step_id) <= most:
        return step_id
    end = most // 2
    return f"{step_id[: most - end - 1]}…{step_id[-end:]}"


def wave_line(wave: Wave) -> Text:
    """A wave in one line, or several waves in one."""
    first = "waves" if wave.last else "wave"
    name = f"{first} {wave.number}" + (f"-{wave.last}" if wave.last else "")
    if wave.is_done:
        took = _took(wave.steps)
        spent = sum(state.usd for state in wave.steps)
        extra = "".join([f" · {took}" if took else "", f" · {money(spent)}" if spent else ""])
        return Text("✓ ", style="green").append(f"{name}: {many(len(wave.steps), 'step')}{extra}", style="dim")
    if wave.is_to_come:
        return Text(f"○ {name}: {many(len(wave.steps), 'step')} to come", style="dim")
    return Text("  ").append(f"{name}: ", style="bold").append(_counted(wave.steps))


def _took(steps: Sequence[StepState]) -> str:
    started = [state.started for state in steps if state.started]
    ended = [state.ended for state in steps if state.ended]
    return format_duration(max(0.0, max(ended) - min(started))) if started and ended else ""


def _counted(steps: Sequence[StepState]) -> str:
    counts: dict[StepStatus, int] = {}
    for state in steps:
        counts[state.status] = counts.get(state.status, 0) + 1
    return ", ".join(f"{counts[status]} {_STATUS_WORDS[status]}" for status in _STATUS_WORDS if status in counts)


_STATUS_WORDS = {
    StepStatus.IN_PROGRESS: "in progress",
    StepStatus.COMPLETED: "done",
    StepStatus.FAILED: "failed",
    StepStatus.NEEDS_REVIEW: "to review",
    StepStatus.BLOCKED: "blocked",
    StepStatus.CANCELLED: "cancelled",
    StepStatus.PENDING: "to come",
}


def _matters(state: StepState) -> bool:
    return state.status is StepStatus.IN_PROGRESS or state.status in _TROUBLE


def _every_step(drawing: _Drawing, waves: list[Wave], room: int) -> list[Text]:
    return _unfolded(drawing, waves, lambda wave: not wave.is_done)


def _steps_begun(drawing: _Drawing, waves: list[Wave], room: int) -> list[Text]:
    return _unfolded(drawing, waves, lambda wave: not wave.is_done and not wave.is_to_come)


def _steps_begun_fewer_waves(drawing: _Drawing, waves: list[Wave], room: int) -> list[Text]:
    return _steps_begun(drawing, _joined(waves), room)


def _unfolded(drawing: _Drawing, waves: list[Wave], is_open: Callable[[Wave], bool]) -> list[Text]:
    lines = []
    for wave in waves:
        lines.append(wave_line(wave))
        if is_open(wave):
            lines.extend(drawing.row(state) for state in wave.steps)
    return lines


def _rows_that_matter(drawing: _Drawing, waves: list[Wave], room: int) -> list[Text]:
    lines = []
    for wave in _joined(waves):
        lines.append(wave_line(wave))
        if not wave.is_done and not wave.is_to_come:
            lines.extend(drawing.row(state) for state in wave.steps if _matters(state))
    return lines


_DETAILS = (_every_step, _steps_begun, _steps_begun_fewer_waves, _rows_that_matter)


def _only_what_moves(drawing: _Drawing, waves: list[Wave], room: int) -> list[Text]:
    """No waves any more: what is in progress first, then what is in trouble, and how many are not shown."""
    states = [state for wave in waves for state in wave.steps if _matters(state)]
    states.sort(key=lambda state: state.status is not StepStatus.IN_PROGRESS)
    counted = Text(f"  {many(len(waves), 'wave')}: {_counted([state for wave in waves for state in wave.steps])}")
    if len(states) < room:
        return [counted, *(drawing.row(state) for state in states)]
    shown = states[: max(0, room - 2)]
    left = len(states) - len(shown)
    return [counted, *(drawing.row(state) for state in shown), Text(f"  … and {left} more", style="dim")][:room]


def _joined(waves: list[Wave]) -> list[Wave]:
    """Neighbours that are all over, or all to come, as one."""
    joined = []
    for _, group in groupby(waves, key=lambda wave: (wave.is_done, wave.is_to_come, wave.number * _is_open(wave))):
        run = list(group)
        steps = tuple(state for wave in run for state in wave.steps)
        last = run[-1].number if len(run) > 1 else 0
        joined.append(replace(run[0], steps=steps, last=last))
    return joined


def _is_open(wave: Wave) -> bool:
    return not wave.is_done and not wave.is_to_come


# -- the foot: the merge queue, and what a person should know


def _foot(snapshot: Snapshot) -> list[Text]:
    lines = [Text(line, style="magenta") for line in merge_queue_told(snapshot)]
    lines.extend(Text(line, style="bold yellow") for line in notes(snapshot))
    return lines


def merge_queue_told(snapshot: Snapshot) -> list[str]:
    """What is in the merge queue, one of it merged or checked now, in at most one line."""
    waiting = [one.step_id for one in snapshot.delegations if one.state is DelegationState.MERGING]
    return [f"merge queue: {names(waiting)}"] if waiting else []
