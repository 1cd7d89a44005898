"""Promises 1 and 2 of the design, checked on a home as the next process finds it. Reads the folders by itself."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

from conductor.domain.errors import BadTask, DuplicateTask
from conductor.domain.home import Home
from conductor.domain.lines import ResultLine, parse_result
from conductor.domain.outcome import Outcome, Status
from conductor.domain.view import Ended, Queued, Waiting
from tests.faults.stories import Scene, Told, submit, tend

_STATES = ("ready", "waiting", "claimed", "finishing", "dead")
_ROUNDS = 30


def broken_promises(home: Home, told: Told, *, strangers: bool = False) -> list[str]:
    """What is wrong on `home` once a fresh process has recovered it, and once it has run all that is left.

    With `strangers` there are things in it that no queue made: only what was accepted is looked for.
    """
    scene = Scene(home, told, first_worker=1000)
    look = () if strangers else (_check_ids, _check_nothing_is_corrupt)
    for step in (_recover, _check_states, _check_lines, *look, _run_the_rest, _check_ends, _check_a_new_task):
        try:
            found = step(scene)
        except Exception as error:  # whatever it is, the home is not usable: that is the finding
            return [f"{step.__name__.strip('_')}: {type(error).__name__}: {error}"]
        if found:
            return found
    return []


def _recover(scene: Scene) -> list[str]:
    scene.queue.recover(lambda owner: False)
    tend(scene)
    return []


def _check_states(scene: Scene) -> list[str]:
    places, lines = whereabouts(scene.home), result_lines(scene.home)
    ended = {line.task_id for line in lines if line.status is not Status.RETRY}
    faults = [f"{task} is in {len(found)} places: {found}" for task, found in places.items() if len(found) > 1]
    faults += [f"{task} was accepted and is lost" for task in scene.told.accepted if task not in {*places, *ended}]
    faults += [f"{task} ended well and is queued" for task in places if _succeeded(lines, task)]
    faults += [
        f"{task} is still owned by a dead worker"
        for task, found in places.items()
        if any(place.startswith(("claimed/", "finishing/")) for place in found)
    ]
    return faults


def _check_nothing_is_corrupt(scene: Scene) -> list[str]:
    return [f"corrupt/{name}" for name in os.listdir(f"{scene.home.queue}/corrupt")]


def _succeeded(lines: list[ResultLine], task: str) -> bool:
    return any(line.task_id == task and line.status is Status.SUCCESS for line in lines)


def _check_lines(scene: Scene) -> list[str]:
    seen = Counter((line.task_id, line.worker_id) for line in result_lines(scene.home))
    faults = [f"{times} result lines for {attempt}" for attempt, times in seen.items() if times > 1]
    faults += [f"the result line of {attempt} is lost" for attempt in scene.told.recorded if not seen[attempt]]
    faults += [f"{attempt} was handed out and left no line" for attempt in scene.told.owned if not seen[attempt]]
    return faults


def _check_ids(scene: Scene) -> list[str]:
    """Whoever got no answer asks again: the id of a task that is there is taken."""
    free = []
    for task in whereabouts(scene.home):
        try:
            submit(task)(scene)
        except DuplicateTask:
            continue
        free.append(f"{task} is queued and its id could be taken again")
    return free


def _run_the_rest(scene: Scene) -> list[str]:
    """Workers, as they come: each attempt has a number that no attempt had before."""
    for _ in range(_ROUNDS):
        scene.now += 120
        tend(scene)
        while (claim := scene.queue.claim("default", scene.new_worker())) is not None:
            if os.path.exists(f"{claim.directory}/result.json"):
                return [f"attempt {claim.attempt} of {claim.spec.id} was claimed and had ended before"]
            stopped = scene.queue.cancel_requested(claim)
            scene.finish(claim, Outcome.CANCELLED if stopped else Outcome.SUCCESS)
        if not any(isinstance(view, Queued | Waiting) for view in scene.queue.tasks()):
            return []
    return ["tasks stay pending for ever"]


def _check_ends(scene: Scene) -> list[str]:
    faults = _check_lines(scene)
    by_task: dict[str, list[Status]] = defaultdict(list)
    for line in result_lines(scene.home):
        by_task[line.task_id].append(line.status)
    for task in scene.told.accepted:
        final = [status for status in by_task[task] if status is not Status.RETRY]
        if not 1 <= len(final) <= 1 + scene.told.retrying.count(task) or by_task[task][-1] is Status.RETRY:
            faults.append(f"{task} ended as {by_task[task]}")
        if task in scene.told.cancelled and final[-1:] != [Status.CANCELLED]:
            faults.append(f"{task} was cancelled and ended as {final}")
        if task in scene.told.retried and final[-1:] != [Status.SUCCESS]:
            faults.append(f"{task} was to run again and ended as {final}")
        if not isinstance(scene.queue.find(task), Ended):
            faults.append(f"{task} can't be found any more")
    return faults


def _check_a_new_task(scene: Scene) -> list[str]:
    submit("afterwards")(scene)
    claim = scene.queue.claim("default", scene.new_worker())
    if claim is None or claim.spec.id != "afterwards":
        return [f"a new task is not run: {claim}"]
    scene.finish(claim, Outcome.SUCCESS)
    return _check_lines(scene)


# -- reading


def whereabouts(home: Home) -> dict[str, list[str]]:
    """The files that stand for each task id, in any state; a line of an accepted batch counts as one."""
    places: dict[str, list[str]] = defaultdict(list)
    queue = Path(home.queue)
    readers: dict[str, Callable[[str], str]] = {
        "ready": lambda name: name.split("~")[-1],
        "waiting": lambda name: name.split("~")[-1],
    }
    for state in _STATES:
        id_of = readers.get(state, lambda name: name.split("~")[0])
        for path in sorted((queue / state).rglob("*")):
            if path.is_file() and "~" in path.name:
                places[id_of(path.name)].append(str(path.relative_to(queue)))
    for batch in sorted((queue / "inbox").glob("*.batch")):
        done = int(batch.stem.partition("@")[2] or 0)
        for line in batch.read_text(encoding="utf-8").split("\n")[done:-1]:
            places[line.split("|")[0]].append(f"inbox/{batch.name}")
    return dict(places)


def result_lines(home: Home) -> list[ResultLine]:
    """results.txt, whose every line must be whole and readable."""
    text = Path(home.results).read_bytes()
    if text and not text.endswith(b"\n"):
        raise BadTask(f"the last line of results.txt is torn: {text[-80:]!r}")
    return [parse_result(line) for line in text.decode().split("\n")[:-1]]
