"""`conductor top` as lines of a screen: pure, from what was seen and what is looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from conductor.cli.cells import Line, Span, fitted, line_of, middle_cut, padded, width_of
from conductor.cli.sparkline import sparkline
from conductor.cli.top_hour import MINUTES, Hour
from conductor.cli.top_look import Look, Row, RunLine
from conductor.cli.top_view import Mode, View
from conductor.cli.wording import one_line, roughly
from conductor.queue.pools import PoolLook

_LEAST_ROWS = 8
_MOST_POOLS, _MOST_LIMITS, _MOST_RUNS = 6, 3, 5
_NUMBERS_WIDTH = 40
_STYLES = {
    "busy": "green", "idle": "dim", "vacant": "dim", "starting": "cyan", "backing off": "yellow", "given up": "red",
    "waiting": "yellow", "SUCCESS": "green", "FAILED": "red", "TIMEOUT": "red", "BUDGET": "red", "CANCELLED": "yellow",
}  # fmt: skip
_HEAD = ("WHERE", "STATE", "TASK", "AGENT", "TIME")
_MOST_CELLS = (14, 11, 32, 18, 9)
_TASK, _AGENT = 2, 3

HELP = """
 ↑ ↓  j k         choose a task          PgUp PgDn  space b   a page
 g  Home          the first              G  End               the last

 l  Enter         its log; q comes back, the end is followed
 c                cancel it, after a question
 r                try it again: one that failed or was cancelled
 p                pause: nothing new starts, also over restarts; again: resume

 f                what is shown: all, running, queued, ended, failed
 /                search in ids, agents, states and texts; Enter keeps it
 Esc              show all again         Ctrl-L            draw anew
 q  Ctrl-C        quit: conductord and its tasks go on

 A slot's line shows the last that its agent said, in brackets what it was
 asked while it said nothing. HELD: ready, but its agent may not start now
 (`conductor limits`). Sparklines: the last hour, the present minute at the
 right; a dot is a minute from before what was read of results.txt.
""".strip("\n")


def list_picture(look: Look, view: View, rows: Sequence[Row], width: int, height: int) -> list[Line]:
    """The whole screen: `height` lines at most, none wider than `width` cells. `view` is settled on `rows`."""
    head = head_lines(look, width, height)
    room = max(0, height - len(head) - 1)
    body = _table(rows, view, look.at, width, room)
    blank = [()] * (room - len(body))
    return [*head, *body, *blank, footer(look, view, len(rows), width)][:height]


def table_height(look: Look, width: int, height: int) -> int:
    """How many rows are seen at once."""
    return max(1, height - len(head_lines(look, width, height)) - 2)


# -- the head


def head_lines(look: Look, width: int, height: int) -> list[Line]:
    """How things are on the whole; what the screen has no room for is left out from the end."""
    lines = [_title(look, width), _counts(look, width), *_hour_lines(look.hour, width)]
    room = max(0, height - 2 - _LEAST_ROWS - len(lines))
    parts = [
        [fitted([(_limit(text), "yellow")], width) for text in look.limits[:_MOST_LIMITS]],
        list(_pool_lines(look, width))[:_MOST_POOLS],
        [_run_line(run, look.at, width) for run in look.runs[:_MOST_RUNS]],
    ]
    for part in parts:
        taken = part if len(part) <= room else part[: max(0, room)]
        lines.extend(taken)
        room -= len(taken)
    return lines[: max(1, height - 2)]


def _title(look: Look, width: int) -> Line:
    daemon = look.daemon
    if not daemon:
        return fitted([(look.trouble or "conductord was not asked yet", "bold red")], width)
    up = look.at - datetime.fromisoformat(str(daemon["started"])).timestamp()
    busy = sum(count for count, _ in look.workers.values())
    target = sum(count for _, count in look.workers.values())
    mode = str(daemon["mode"])
    spans: list[Span] = [
        (f"conductord {daemon['version']} ", "bold"),
        (mode, "green" if mode == "running" else "bold yellow"),
        (f"  up {roughly(up)}  {busy} of {target} workers busy  ", ""),
    ]
    return fitted([*spans, (one_line(look.home), "dim")], width)


def _counts(look: Look, width: int) -> Line:
    spans: list[Span] = [("queue   ", "bold")]
    styles = {"dead": "red", "corrupt": "red", "waiting": "yellow"}
    for name, count in look.counts.items():
        spans.append((f"{name} {count:,}  ", styles.get(name, "") if count else "dim"))
    if look.paused:
        spans.append((" PAUSED: p resumes ", "reverse"))
    return fitted(spans, width)


def _hour_lines(hour: Hour, width: int) -> list[Line]:
    total = hour.total
    since = "in the last hour" if hour.is_whole else "since it is known"
    last = hour.minutes[-1]
    ended = f"{total.ended:,} {since}, {last.ended if last else 0:,} this minute"
    share = f" ({_percent(total.failed / total.ended)})" if total.failed else ""
    again = f", {total.retried:,} tried again" if total.retried else ""
    columns = max(0, min(MINUTES, width - 8 - _NUMBERS_WIDTH))
    ends = sparkline([minute.ended if minute else None for minute in hour.minutes], columns)
    fails = sparkline([minute.failed if minute else None for minute in hour.minutes], columns)
    failed = (f"{total.failed:,}{share}{again}", "red" if total.failed else "")
    return [
        fitted([("ended   ", "bold"), *padded((ended, ""), _NUMBERS_WIDTH), (ends, "green")], width),
        fitted([("failed  ", "bold"), *padded(failed, _NUMBERS_WIDTH), (fails, "red")], width),
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.001 else "< 0.1 %"


def _limit(text: str) -> str:
    return f"limit   {one_line(text)}"


def _pool_lines(look: Look, width: int) -> Iterator[Line]:
    ready = {one.pool: one for one in look.pools}
    for name in sorted({*ready, *look.workers}):
        yield _pool_line(name, ready.get(name, PoolLook(name)), look.workers.get(name), look.at, width)


def _pool_line(name: str, pool: PoolLook, workers: tuple[int, int] | None, now: float, width: int) -> Line:
    spans: list[Span] = [("pool    ", "bold"), *padded((one_line(name, 24), ""), 12)]
    if workers is None:
        spans.append((" no workers  ", "yellow"))
    else:
        spans.append((f" {workers[0]}/{workers[1]} busy  ", ""))
    spans.append((f"{pool.ready:,} ready  ", "" if pool.ready else "dim"))
    if pool.oldest_ms:
        spans.append((f"oldest {roughly(now - pool.oldest_ms / 1000)}  ", ""))
    if pool.held:
        spans.append((f"held: {', '.join(f'{lane} {count:,}' for lane, count in pool.held.items())}", "yellow"))
    return fitted(spans, width)


def _run_line(run: RunLine, now: float, width: int) -> Line:
    done, steps = run.steps.get("completed", 0), sum(run.steps.values())
    bad = sum(run.steps.get(name, 0) for name in ("failed", "needs_review", "blocked"))
    where = "" if run.project == run.id else f" {one_line(run.project, 24)}"
    spans: list[Span] = [("run     ", "bold"), (f"{run.id}{where}  ", "")]
    asks = run.status == "waiting"
    spans.append((f"waits: `conductor approve {run.id}` " if asks else f"{run.status} ", "yellow" if asks else "cyan"))
    spans.append((f" {done}/{steps} steps" if steps else "", ""))
    spans.append((f", {bad} not done" if bad else "", "red"))
    spans.append((f"  {roughly(now - run.since)}  ", ""))
    return fitted([*spans, (one_line(run.title), "dim")], width)


# -- the table


def _table(rows: Sequence[Row], view: View, now: float, width: int, room: int) -> list[Line]:
    if not room:
        return []
    if not rows:
        said = f"nothing here has {view.search!r} in it" if view.search else "nothing here"
        return [fitted([(f" {said}", "dim")], width)]
    seen = max(1, room - 1)
    top = max(0, min(view.index - seen // 2, len(rows) - seen))
    shown = rows[top : top + seen]
    cells = [_cells(row, now) for row in shown]
    widths = _widths(cells, width)
    head = [
        span for name, cell in zip(_HEAD, widths, strict=True) for span in (*padded((name, "bold"), cell), (" ", ""))
    ]
    lines = [fitted([*head, ("WHAT", "bold")], width)]
    for number, (row, cell) in enumerate(zip(shown, cells, strict=True), start=top):
        lines.append(_row_line(row, cell, widths, width, is_chosen=number == view.index))
    return lines if room > 1 else lines[1:]


def _cells(row: Row, now: float) -> tuple[str, ...]:
    return (row.where, row.state, row.task, one_line(row.agent, 40), _time(row, now))


def _time(row: Row, now: float) -> str:
    if row.seconds is None:
        return ""
    if row.kind == "delayed":
        return "in " + roughly(row.seconds)
    return roughly(now - row.seconds if row.kind == "ended" else row.seconds)


def _widths(cells: Sequence[Sequence[str]], width: int) -> list[int]:
    """As wide as they need, within limits; on a narrow screen the text keeps a third."""
    most = [max(len(_HEAD[column]), *(len(line[column]) for line in cells)) for column in range(len(_HEAD))]
    widths = [min(wide, limit) for wide, limit in zip(most, _MOST_CELLS, strict=True)]
    if width >= 110:
        widths[_TASK] = min(most[_TASK], 48)
    over = sum(widths) + len(widths) - width * 2 // 3
    for column, least in ((_AGENT, 8), (_TASK, 18)):
        cut = max(0, min(over, widths[column] - least))
        widths[column] -= cut
        over -= cut
    return widths


def _row_line(row: Row, cells: Sequence[str], widths: Sequence[int], width: int, *, is_chosen: bool) -> Line:
    spans: list[Span] = []
    for column, (cell, wide) in enumerate(zip(cells, widths, strict=True)):
        style = "reverse" if is_chosen else _STYLES.get(row.state, "") if column == 1 else ""
        shown = middle_cut(cell, wide) if column == _TASK else cell
        spans.extend((*padded((shown, style), wide), (" ", style)))
    text = one_line(row.text)
    if is_chosen:
        left = max(0, width - sum(width_of(piece) for piece, _ in spans))
        return fitted([*spans, *padded((text, "reverse"), left)], width)
    return fitted([*spans, (text, "dim" if row.kind in ("next", "delayed") else "")], width)


# -- the rest


def footer(look: Look, view: View, count: int, width: int) -> Line:
    match view.mode:
        case Mode.SEARCH:
            return fitted([(f"search: {view.search}", "bold"), ("▏  Enter keeps it, Esc ends it", "dim")], width)
        case Mode.CONFIRM:
            return fitted([(f"Cancel {view.task} for good, with all that it started? y / n ", "reverse")], width)
    if view.note:
        return fitted([(one_line(view.note), "bold")], width)
    pause = "p resume" if look.paused else "p pause"
    if view.filter == "all" and not view.search:
        keys = f"↑↓  l log  c cancel  r retry  {pause}  f filter  / search  ? help  q quit"
        return fitted([(keys, "dim")], width)
    searched = f" with {view.search!r}" if view.search else ""
    keys = "  l log  c cancel  r retry  f filter  Esc all  q quit"
    return fitted([(f"{view.filter}{searched}: {count}", "bold cyan"), (keys, "dim")], width)


def help_picture(width: int, height: int) -> list[Line]:
    lines = [line_of("conductor top", "bold"), (), *(fitted([(text, "")], width) for text in HELP.split("\n"))]
    return [*lines[: max(0, height - 1)], fitted([("any key comes back", "dim")], width)][-height:]


def log_picture(title: str, lines: Sequence[str], up: int, width: int, height: int) -> list[Line]:
    """`lines` fit the width; `up` of them are below the screen."""
    room = max(1, height - 2)
    last = len(lines) - up
    shown = lines[max(0, last - room) : last]
    where = "following" if not up else f"{up} lines above the end"
    keys = f"{where}   q back  ↑↓ PgUp PgDn scroll  g start  G end"
    body = [fitted([(text, "")], width) for text in shown]
    if not lines:
        body = [fitted([("it has said nothing yet", "dim")], width)]
    return [fitted([(title, "bold")], width), *body, *[()] * (room - len(body)), fitted([(keys, "dim")], width)]


def log_title(task_id: str, attempt: int, rows: Mapping[str, Row]) -> str:
    row = rows.get(task_id)
    state = f"  {row.state}" if row else ""
    return f"log of {task_id}, attempt {attempt}{state}" if attempt else f"{task_id} has not run yet"
