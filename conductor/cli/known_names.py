"""What a shell can complete: ids of tasks, runs and steps, names of projects, pools and agents.

Asked at each press of Tab: nothing is opened that `submit` would not open, settings are not checked, no home is made,
and at most MOST names are told. Where something can't be read there are none.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice

from conductor.cli.wording import one_line
from conductor.domain.errors import BadTask, SettingsInvalid
from conductor.domain.home import Home
from conductor.domain.lines import parse_result
from conductor.domain.outcome import Status
from conductor.kit.segments import Follower, end_of
from conductor.queue.latest import latest_ids
from conductor.queue.layout import Layout

MOST = 200
_MOST_LOOKED_AT = 20_000
_RESULTS_WITHIN = 262144
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")
"""A name that no shell takes for anything else."""
_RUN = re.compile(r"\br-[a-z0-9]{8}\b")


@dataclass(frozen=True, slots=True)
class Name:
    """`about`: a few words that some shells show beside it."""

    text: str
    about: str = ""


Source = Callable[[Home, dict[str, object]], Iterable[Name]]
"""Names on a home; the mapping is what else was given, and the whole `line`."""


def offered(names: Iterable[Name], begin: str, *, without: Iterable[str] = ()) -> list[Name]:
    """The first MOST that begin so, each once, those left out that were given already."""
    seen = set(without)
    found: list[Name] = []
    for name in islice(names, _MOST_LOOKED_AT):
        if name.text.startswith(begin) and name.text not in seen and _SAFE.fullmatch(name.text):
            seen.add(name.text)
            found.append(name)
            if len(found) == MOST:
                break
    return found


# -- tasks


def all_tasks(home: Home, given: dict[str, object]) -> Iterator[Name]:
    yield from open_tasks(home, given)
    yield from _ended(home)
    yield from (name for name in _queued(home) if name.about == "dead")


def open_tasks(home: Home, given: dict[str, object]) -> Iterator[Name]:
    """Those that can be cancelled."""
    return (name for name in _queued(home) if name.about != "dead")


def dead_tasks(home: Home, given: dict[str, object]) -> Iterator[Name]:
    """Those that can be tried again."""
    told = {name.text: name.about for name in _ended(home)}
    return (Name(name.text, told.get(name.text, "")) for name in _queued(home) if name.about == "dead")


def _queued(home: Home) -> Iterator[Name]:
    return (Name(task_id, state) for task_id, state in latest_ids(Layout(home)))


def _ended(home: Home) -> Iterator[Name]:
    """From the end of results.txt, the latest first."""
    try:
        begin = max(0, end_of(home.results) - _RESULTS_WITHIN)
        with closing(Follower(home.results, begin)) as follower:
            lines = b"".join(iter(follower.read, b"")).split(b"\n")
    except OSError:
        return
    for line in reversed(lines[1:-1] if begin else lines[:-1]):
        with suppress(BadTask):
            result = parse_result(line.decode("utf-8", "replace"))
            if result.status is not Status.RETRY:
                yield Name(result.task_id, one_line(f"{result.status.value} {result.preview}", 60))


# -- runs and projects


def runs(home: Home, given: dict[str, object]) -> list[Name]:
    from conductor.app.glancing import open_glance

    glance = open_glance(home)
    if glance is None:
        return []
    with closing(glance):
        return [Name(run.id, one_line(f"{run.status} {run.title}", 60)) for run in glance.runs(limit=MOST)]


def steps(home: Home, given: dict[str, object]) -> list[Name]:
    """Of the run that was given."""
    from conductor.app.glancing import open_glance

    glance = open_glance(home)
    if glance is None:
        return []
    run = _RUN.search(str(given.get("run_id") or given.get("line") or ""))  # `line`: before an option's value
    with closing(glance):
        found = glance.step_ids(run[0], MOST) if run else []
        return [Name(step_id, status.replace("_", " ")) for step_id, status in found]


def tasks_and_runs(home: Home, given: dict[str, object]) -> Iterator[Name]:
    """Those that may be asked why they do not go on, then the others."""
    yield from open_tasks(home, given)
    yield from runs(home, given)
    yield from all_tasks(home, given)


def projects(home: Home, given: dict[str, object]) -> list[Name]:
    from conductor.app.glancing import open_glance

    glance = open_glance(home)
    if glance is None:
        return []
    with closing(glance):
        return [Name(name) for name in glance.projects(MOST)]


# -- settings


def pools(home: Home, given: dict[str, object]) -> list[Name]:
    return [Name(name) for name in ("default", *_names_in_settings(home, "pools"))]


def agents(home: Home, given: dict[str, object]) -> list[Name]:
    from conductor.agents.registry import BUILT_IN

    return [Name(name) for name in (*_names_in_settings(home, "agents"), *sorted(BUILT_IN))]


def _names_in_settings(home: Home, section: str) -> list[str]:
    from conductor.settings.source import raw_settings

    try:
        found = raw_settings(home, os.environ).get(section)
    except SettingsInvalid:
        return []
    return [str(name) for name in found] if isinstance(found, dict) else []
