"""The matrix as a table, printed when its tests have run."""

from __future__ import annotations

import pytest
from _pytest.terminal import TerminalReporter

from tests.matrix.cells import CONTENDERS, ROWS

_MARKS = {"passed": "ok", "skipped": "–"}


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    seen = dict[tuple[str, str], str]()
    for outcome in ("passed", "skipped", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, []):
            if isinstance(report, pytest.TestReport):
                agent, _, row = report.nodeid.rpartition("[")[2].rstrip("]").partition("-")
                if row in ROWS:
                    said = str(dict(report.user_properties).get("seen") or "")
                    wrong = f"**{said or 'differs'}**"
                    seen[row, agent] = f"ok: {said}" if said and outcome == "passed" else _MARKS.get(outcome, wrong)
    if seen:
        terminalreporter.write_line("")
        for line in table(seen):
            terminalreporter.write_line(line)


def table(seen: dict[tuple[str, str], str]) -> list[str]:
    """Markdown: a row for each cell, a column for each agent; empty: not run."""
    names = [one.kind for one in CONTENDERS if any(agent == one.kind for _, agent in seen)]
    lines = [f"| | {' | '.join(names)} |", "|---|" + "---|" * len(names)]
    for row in ROWS:
        cells = [seen.get((row, name), "") for name in names]
        if any(cells):
            lines.append(f"| {row} | {' | '.join(cells)} |")
    return lines
