"""What was used, by UTC day: `<home>/spend/<YYYY-MM-DD>.json`, changed by read, add and rename under a lock.

A day holds {rows: [{project, agent, model, runs, unpriced_runs, input, cached, cache_written, output, reasoning,
unpriced, usd}], hours: {"14": {project: runs}}}. `unpriced` counts tokens whose cost nobody knows.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from conductor.domain.budget import WARNING_SHARE, Budget
from conductor.domain.errors import LockTimeout
from conductor.domain.limit_rules import BudgetRules
from conductor.domain.usage import Usage
from conductor.limits.files import FolderLock, read_as, write_fields
from conductor.limits.times import day_of, hour_of
from conductor.ports import Charge, Log


@dataclass(frozen=True, slots=True)
class Spent:
    """What was used of one project, agent and model, or of several together."""

    runs: int = 0
    unpriced_runs: int = 0
    usage: Usage = Usage()
    unpriced: int = 0
    """Tokens whose cost is not known."""
    usd: float = 0.0
    """Of what is known."""

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.runs + other.runs,
            self.unpriced_runs + other.unpriced_runs,
            self.usage + other.usage,
            self.unpriced + other.unpriced,
            self.usd + other.usd,
        )

    @classmethod
    def of(cls, charge: Charge) -> Spent:
        usd = charge.usd if charge.usd is not None and 0 <= charge.usd < math.inf else None
        unpriced = charge.usage.total if usd is None else 0
        return cls(charge.runs, charge.unpriced_runs, charge.usage, unpriced - charge.priced_tokens, usd or 0.0)


RowKey = tuple[str, str, str]
"""(project, agent, model)."""


@dataclass(frozen=True)
class Day:
    """One day's file."""

    rows: Mapping[RowKey, Spent] = field(default_factory=dict)
    hours: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def add(self, charge: Charge, hour: str) -> Day:
        key = (charge.project, charge.agent, charge.model)
        rows = {**self.rows, key: self.rows.get(key, Spent()) + Spent.of(charge)}
        if not charge.runs:
            return replace(self, rows=rows)
        runs = dict(self.hours.get(hour, {}))
        runs[charge.project] = runs.get(charge.project, 0) + charge.runs
        return Day(rows, {**self.hours, hour: runs})

    def spent(self, project: str | None = None) -> Spent:
        """Of one project, or of all."""
        return sum((spent for key, spent in self.rows.items() if project in (None, key[0])), Spent())

    def used(self, project: str | None = None) -> tuple[float, int]:
        """US dollars and tokens of one project, or of all."""
        rows = [spent for key, spent in self.rows.items() if project in (None, key[0])]
        return sum(spent.usd for spent in rows), sum(spent.usage.total for spent in rows)

    def runs_in(self, hour: str, project: str | None = None) -> int:
        return sum(runs for name, runs in self.hours.get(hour, {}).items() if project in (None, name))

    def to_fields(self) -> dict[str, Any]:
        return {"rows": [_row_fields(key, spent) for key, spent in self.rows.items()], "hours": self.hours}

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Day:
        hours = {
            str(hour): {str(project): int(runs) for project, runs in one.items()}
            for hour, one in fields.get("hours", {}).items()
        }
        return cls(dict(_row(row) for row in fields["rows"]), hours)


def _row_fields(key: RowKey, spent: Spent) -> dict[str, Any]:
    counts = {"runs": spent.runs, "unpriced_runs": spent.unpriced_runs, **asdict(spent.usage)}
    return {
        **dict(zip(("project", "agent", "model"), key, strict=True)),
        **counts,
        "unpriced": spent.unpriced,
        "usd": round(spent.usd, 9),
    }


def _row(fields: Mapping[str, Any]) -> tuple[RowKey, Spent]:
    names = ("input", "cached", "cache_written", "output", "reasoning")
    usage = Usage(*(int(fields.get(name, 0)) for name in names))
    key = (str(fields["project"]), str(fields["agent"]), str(fields["model"]))
    unpriced, usd = int(fields.get("unpriced", 0)), float(fields.get("usd", 0.0))
    if not 0 <= usd < math.inf:
        raise ValueError(f"{usd} is no amount")
    return key, Spent(int(fields["runs"]), int(fields.get("unpriced_runs", 0)), usage, unpriced, usd)


# -- decisions


def used_up(day: Day, project: str, rules: BudgetRules, now: float) -> str:
    """The budget that lets no run of `project` start at `now`, for a person; empty: there is something left."""
    return _amount_used_up(day, project, rules) or _runs_used_up(day, project, rules, now)


def _amount_used_up(day: Day, project: str, rules: BudgetRules) -> str:
    """Money or tokens: those end runs too. The number of runs must not, it counts the one that would be ended."""
    for name, budget, whose in _budgets(project, rules):
        share, how_much = budget.share(*day.used(whose))
        if share >= 1.0:
            return f"budget of {name} is used up: {how_much}; it goes on at 00:00 UTC"
    return ""


def _runs_used_up(day: Day, project: str, rules: BudgetRules, now: float) -> str:
    for name, budget, whose in _budgets(project, rules):
        runs = day.runs_in(hour_of(now), whose)
        if budget.runs is not None and runs >= budget.runs:
            return f"budget of {name} is used up: {runs} of {budget.runs} runs an hour; it goes on at the full hour"
    return ""


def nearly_used_up(before: Day, after: Day, project: str, rules: BudgetRules) -> str:
    """The budget of `project` or day of which 80 % were not used before and are after, for a person."""
    for name, budget, whose in _budgets(project, rules):
        share, how_much = budget.share(*after.used(whose))
        if budget.share(*before.used(whose))[0] < WARNING_SHARE <= share:
            return f"budget of {name}: {how_much}"
    return ""


def _budgets(project: str, rules: BudgetRules) -> Iterator[tuple[str, Budget, str | None]]:
    """(its name, the budget, whose use counts: None for all) of those that hold for `project`."""
    if rules.of_project(project) != Budget():
        yield f"project {project}", rules.of_project(project), project
    if rules.day != Budget():
        yield "the day", rules.day, None


# -- files


class DayLedger:
    """Implements the port `Ledger` on the files of one home."""

    def __init__(
        self,
        home: str,
        rules: BudgetRules | None = None,
        clock: Callable[[], float] = time.time,
        log: Log | None = None,
    ) -> None:
        self._folder = f"{home}/spend"
        self._rules = rules or BudgetRules()
        self._clock = clock
        self._log = log
        self._owed: list[Charge] = []
        self._warning = ""

    def charge(self, charge: Charge) -> str:
        """Where the disk refuses, it is owed and added with the next one: a full disk costs no agent its work."""
        self._owed.append(charge)
        self._warning = ""
        try:
            return self._settle(charge.project)
        except (OSError, LockTimeout) as error:
            if self._log is not None:
                self._log.warning("charge_owed", charges=len(self._owed), error=str(error))
            return ""

    def warning(self) -> str:
        return self._warning

    def _settle(self, project: str) -> str:
        with FolderLock(self._folder):
            now = self._clock()
            path = f"{self._folder}/{day_of(now)}.json"
            before = day = self._read(path) or Day()
            for charge in self._owed:
                day = day.add(charge, hour_of(now))
            write_fields(path, day.to_fields())
        self._owed.clear()
        self._warning = nearly_used_up(before, day, project, self._rules)
        return _amount_used_up(day, project, self._rules)

    def used_up(self, project: str) -> str:
        """The budget that holds up `project` now, for a person, or nothing. Reads nothing where there is no budget."""
        if self._rules.of_project(project) == self._rules.day == Budget():
            return ""
        now = self._clock()
        day = self._read(f"{self._folder}/{day_of(now)}.json")
        return used_up(day or Day(), project, self._rules, now)

    def days(self, since: str = "") -> Iterator[tuple[str, Day]]:
        """(YYYY-MM-DD, what was used) of each day from `since` on, the oldest first."""
        for name in sorted(_names(self._folder)):
            day, dot, ending = name.partition(".")
            if dot and ending == "json" and day >= since and (found := self._read(f"{self._folder}/{name}")):
                yield day, found

    def _read(self, path: str) -> Day | None:
        return read_as(path, Day.from_fields, self._log)


def _names(folder: str) -> Iterable[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return ()
