"""`conductor top`: the whole home on one screen, and keys to act on it."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from conductor.app import open_layout, patient_queue, ring_doorbell
from conductor.cli.cells import Line, wrapped
from conductor.cli.last_lines import LogEnd, latest_attempt, log_end
from conductor.cli.top_look import Look, Lookout, Row
from conductor.cli.top_picture import help_picture, list_picture, log_picture, log_title, table_height
from conductor.cli.top_screen import Screen, TerminalGone
from conductor.cli.top_view import Deed, Mode, View, press, settled, visible
from conductor.domain.errors import ConductorError, UsageError
from conductor.kit.signals import SignalPipe

if TYPE_CHECKING:
    from conductor.queue.layout import Layout

_EVERY_SECONDS = 1.0
_COSTS_A_PAUSE = 60
"""So many times as long as looking and drawing took is not looked again: at most 1/60 of a core is used."""
_NOTE_SECONDS = 8.0
"""What became of a deed is told so long; afterwards the keys are shown again."""
_KEY_SECONDS = 0.05
"""After Esc: what belongs to the same key comes within."""
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_WATCHED = (*_ENDING, signal.SIGINT, signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH)


@click.command()
@click.pass_obj
def top(home_flag: str | None) -> int:
    """Shows what happens on a home, anew each second: what every worker does, what waits, what has ended.

    Keys cancel a task, try it again, open its log, pause and resume everything, filter and search: ? shows them.
    Works without conductord too. Quitting changes nothing: conductord and its tasks go on.

    \b
    conductor top
    ssh -t server conductor top               over ssh, with a terminal
    conductor status --watch                  in plain lines, for pipes and logs

    Exit codes: 0 quit, 2 there is no terminal to draw on.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM", "") in ("", "dumb"):
        raise UsageError("top needs a terminal that can draw: `conductor status --watch` goes anywhere")
    return Top(open_layout(home_flag, os.environ), Screen(os.environ)).run()


class Top:
    """The loop: looks, draws, waits for keys and signals."""

    def __init__(self, layout: Layout, screen: Screen) -> None:
        self._layout = layout
        self._screen = screen
        self._lookout = Lookout(layout)
        self._look = Look(time.time(), layout.home.path)
        self._view = View()
        self._rows: list[Row] = []
        self._log: LogEnd | None = None
        self._log_attempt = 0
        self._log_lines: tuple[int, LogEnd | None, list[str]] = (0, None, [])
        self._next_look = 0.0
        self._note_ends = 0.0
        self._code: int | None = None

    def run(self) -> int:
        """Until somebody quits; returns the exit code."""
        signals = SignalPipe(_WATCHED)
        try:
            with self._screen:
                while self._code is None:
                    self._look_and_draw()
                    self._wait(signals)
                    self._obey_signals(signals.take())
        except TerminalGone:
            self._code = 128 + signal.SIGHUP
        finally:
            self._lookout.close()
        return self._code or 0

    # -- looking

    def _look_and_draw(self) -> None:
        if time.monotonic() < self._next_look:
            self._draw()
            return
        began, used = time.monotonic(), time.process_time()
        if began > self._note_ends:
            self._view = replace(self._view, note="")
        self._look = self._lookout.look()
        if self._view.mode is Mode.LOG:
            self._read_log()
        self._draw()
        cost = time.process_time() - used
        self._next_look = began + max(_EVERY_SECONDS, _COSTS_A_PAUSE * cost)

    def _read_log(self) -> None:
        self._log_attempt = latest_attempt(self._layout.home, self._view.task) or self._view.attempt
        found = log_end(self._layout.home, self._view.task, self._log_attempt)
        if self._log is None or (found.path, found.size) != (self._log.path, self._log.size):
            self._log = found

    # -- drawing

    def _draw(self) -> None:
        self._rows = visible(self._look, self._view)
        self._view = settled(self._view, self._rows)
        width, height = self._screen.size()
        self._screen.draw(self._picture(width, height))

    def _picture(self, width: int, height: int) -> list[Line]:
        match self._view.mode:
            case Mode.HELP:
                return help_picture(width, height)
            case Mode.LOG:
                lines = self._wrapped_log(width)
                self._view = replace(self._view, up=min(self._view.up, max(0, len(lines) - (height - 2))))
                states = {row.task: row for row in reversed(self._look.rows) if row.task}
                title = log_title(self._view.task, self._log_attempt, states)
                return log_picture(title, lines, self._view.up, width, height)
        return list_picture(self._look, self._view, self._rows, width, height)

    def _wrapped_log(self, width: int) -> list[str]:
        known_width, known, lines = self._log_lines
        if known is not self._log or known_width != width:
            lines = wrapped(self._log.lines if self._log else (), max(2, width))
            self._log_lines = (width, self._log, lines)
        return lines

    # -- hearing

    def _wait(self, signals: SignalPipe) -> None:
        patience = max(0.0, self._next_look - time.monotonic())
        if self._screen.has_begun_key:
            patience = min(patience, _KEY_SECONDS)
        readable, _, _ = select.select([0, signals.fileno()], [], [], patience)
        if 0 in readable:
            self._obey(self._screen.keys())
        elif self._screen.has_begun_key:
            self._obey(self._screen.ended_key())

    def _obey_signals(self, arrived: frozenset[int]) -> None:
        for number in _ENDING:
            if number in arrived:
                self._code = 128 + number
        if signal.SIGINT in arrived:
            self._code = self._code or 0
        if self._code is not None:
            return
        if signal.SIGTSTP in arrived:
            self._screen.stop()
            self._next_look = 0.0
        elif signal.SIGCONT in arrived:  # stopped by a signal that nobody can catch: who knows what was drawn meanwhile
            with suppress(OSError):
                self._screen.give_back()
                self._screen.take_over()
        if signal.SIGWINCH in arrived:
            self._screen.forget()

    def _obey(self, keys: list[str]) -> None:
        for key in keys:
            width, height = self._screen.size()
            page = height - 2 if self._view.mode is Mode.LOG else table_height(self._look, width, height)
            was = self._view.mode
            self._view, deed = press(self._view, key, self._rows, page)
            self._note_ends = time.monotonic() + _NOTE_SECONDS
            if deed is not None:
                self._do(deed)
            if self._view.mode is Mode.LOG and was is not Mode.LOG:
                self._log = None
                self._read_log()
            self._rows = visible(self._look, self._view)
            self._view = settled(self._view, self._rows)

    # -- doing

    def _do(self, deed: Deed) -> None:
        match deed:
            case Deed.QUIT:
                self._code = 0
                return
            case Deed.REDRAW:
                self._screen.forget()
                return
        try:
            note = self._act(deed)
        except (ConductorError, OSError) as error:
            note = str(error)
        self._view = replace(self._view, note=note)
        self._lookout.forget()
        self._next_look = 0.0

    def _act(self, deed: Deed) -> str:
        """Does it and says what was done. Raises ConductorError, OSError."""
        queue, task_id = patient_queue(self._layout), self._view.task
        if deed is Deed.PAUSE:
            return self._pause_or_resume()
        if deed is Deed.RETRY:
            queue.retry(task_id)
            is_heard = ring_doorbell(self._layout.home, tasks=1)
            return f"{task_id} is queued again" + ("" if is_heard else "; no conductord runs on this home")
        from conductor.domain.worker_id import worker_id
        from conductor.kit.process import own_identity

        answer = queue.cancel(task_id, worker_id("cli", own_identity()))
        if answer == "stopping":
            ring_doorbell(self._layout.home, cancelled=task_id)
        said = {"ended": "had ended before", "stopping": "is being stopped", "cancelled": "is cancelled"}
        return f"{task_id} {said[answer]}"

    def _pause_or_resume(self) -> str:
        queue = patient_queue(self._layout)
        if queue.paused():
            queue.resume()
            ring_doorbell(self._layout.home, tasks=1000)
            return "resumed"
        queue.pause()
        ring_doorbell(self._layout.home)
        return "paused: running tasks go on, nothing new starts until p, or `conductor resume`"
