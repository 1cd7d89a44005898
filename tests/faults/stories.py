"""Short stories of a queue: steps whose last one is put under faults, and what their callers were told on the way."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any
from unittest import mock

from conductor.domain.home import Home
from conductor.domain.outcome import Outcome, TaskResult
from conductor.domain.retry import RetryPolicy, Verdict
from conductor.domain.task import Claim, TaskSpec
from conductor.kit.lock import QuickLock
from conductor.queue.directory import DirectoryQueue
from conductor.queue.files import Surroundings
from conductor.queue.layout import open_home
from conductor.queue.results_log import ResultsLog
from conductor.queue.unpacking import Unpacker

GENERATED_ID = "t-20260102-030405-abcdefgh"


@dataclass
class Told:
    """What callers had been told, and so may rely on: task ids, and (task id, worker id) of attempts."""

    accepted: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    retrying: list[str] = field(default_factory=list)
    """`conductor retry` was begun for these: they may end twice."""
    retried: list[str] = field(default_factory=list)
    owned: list[tuple[str, str]] = field(default_factory=list)
    """Claims that were handed out: each must leave one result line or have been given back."""
    recorded: list[tuple[str, str]] = field(default_factory=list)
    """Attempts whose result line must be there."""

    @staticmethod
    def from_json(values: dict[str, Any]) -> Told:
        pairs = {name: [(task, worker) for task, worker in values[name]] for name in ("owned", "recorded")}
        return Told(**{**values, **pairs})

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Scene:
    """One process on one home: a queue on it, opened when first used, and a clock that only moves when told."""

    def __init__(self, home: Home, told: Told | None = None, *, first_worker: int = 1) -> None:
        self.home = home
        self.told = told or Told()
        self.now = time.time()
        self.claims: list[Claim] = []
        self._queue: DirectoryQueue | None = None
        self._worker = first_worker

    @property
    def queue(self) -> DirectoryQueue:
        if self._queue is None:
            layout = open_home(self.home)
            surroundings = Surroundings(QuickLock(layout.lock), lambda: self.now, lambda: 0.5, RetryPolicy())
            self._queue = DirectoryQueue(layout, surroundings)
        return self._queue

    def new_process(self) -> None:
        """The next step works on a handle that remembers nothing."""
        self._queue = None

    def new_worker(self) -> str:
        self._worker += 1
        return f"w1-{self._worker}-1f-0badc0de"

    def result(self, outcome: Outcome) -> TaskResult:
        return TaskResult(outcome, outcome.value, "the answer", self.now - 1, self.now)

    def finish(self, claim: Claim, outcome: Outcome) -> Verdict:
        verdict = self.queue.finish(claim, self.result(outcome))
        self.told.recorded.append((claim.spec.id, claim.worker_id))
        return verdict


Step = Callable[[Scene], None]


@dataclass(frozen=True)
class Story:
    """`again`: whoever does the last step does it once more after an error, in the same process."""

    name: str
    steps: tuple[Step, ...]
    again: bool = False


REFUSED = OSError(errno.EIO, os.strerror(errno.EIO))

# -- steps


def _spec(task_id: str, **options: Any) -> TaskSpec:
    return TaskSpec(id=task_id, description="true", agent="command", **options)


def opened(scene: Scene) -> None:
    """The home is there already."""
    assert scene.queue.counts().pending == 0


def submit(task_id: str = "a", *, delayed: bool = False, **options: Any) -> Step:
    def step(scene: Scene) -> None:
        due_ms = int(scene.now * 1000) + 60_000 if delayed else 0
        scene.queue.submit(_spec(task_id, not_before_ms=due_ms, **options))
        scene.told.accepted.append(task_id)

    return step


def submit_many(*task_ids: str) -> Step:
    def step(scene: Scene) -> None:
        scene.queue.submit_many([_spec(task_id) for task_id in task_ids])
        scene.told.accepted.extend(task_ids)

    return step


def move_in(*task_ids: str) -> Step:
    """A stranger's file of task lines, one of them without an id, durable before it is moved into inbox/."""

    def step(scene: Scene) -> None:
        inbox = f"{scene.home.queue}/inbox"
        descriptor = os.open(f"{inbox}/.lines", os.O_CREAT | os.O_WRONLY, 0o600)
        os.write(descriptor, "".join(f"{task_id}|true||\n" for task_id in (*task_ids, "")).encode())
        os.fsync(descriptor)
        os.close(descriptor)
        os.rename(f"{inbox}/.lines", f"{inbox}/lines")
        folder = os.open(inbox, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        scene.told.accepted.extend(task_ids)

    return step


def claim(scene: Scene) -> None:
    claimed = scene.queue.claim("default", scene.new_worker())
    assert claimed is not None
    scene.claims.append(claimed)
    scene.told.owned.append((claimed.spec.id, claimed.worker_id))


def finish(outcome: Outcome) -> Step:
    def step(scene: Scene) -> None:
        scene.finish(scene.claims[-1], outcome)

    return step


def finish_but(what: str, failure: Exception) -> Step:
    """A finish that gets as far as `what` of results.txt and no further."""

    def step(scene: Scene) -> None:
        with mock.patch.object(ResultsLog, what, side_effect=failure):
            try:
                scene.queue.finish(scene.claims[-1], scene.result(Outcome.SUCCESS))
            except OSError:
                return
        raise AssertionError("it went through")

    return step


def letting_go(scene: Scene) -> None:
    """From now on the attempt may be refunded: then it leaves no line."""
    scene.told.owned.pop()


def give_back(scene: Scene) -> None:
    scene.queue.give_back(scene.claims[-1])


def recover(scene: Scene) -> None:
    """What the supervisor does after every worker died."""
    scene.new_process()
    recovered = scene.queue.recover(lambda owner: False)
    scene.told.recorded.extend((one.task_id, one.worker_id) for one in recovered)


def tend(scene: Scene) -> None:
    for _ in range(50):
        if not scene.queue.tend("command").more:
            return
    raise AssertionError("housekeeping has no end")


def tend_but(scene: Scene) -> None:
    """A daemon that dies when it has placed the first lines of a batch and synced nothing."""
    with mock.patch.object(Unpacker, "_checkpoint", side_effect=REFUSED):
        try:
            scene.queue.tend("command")
        except OSError:
            scene.new_process()
            return
    raise AssertionError("it went through")


def a_minute_passes(scene: Scene) -> None:
    scene.now += 61


def cancel(task_id: str = "a") -> Step:
    def step(scene: Scene) -> None:
        if scene.queue.cancel(task_id, scene.new_worker()) != "ended":
            scene.told.cancelled.append(task_id)

    return step


def changing_my_mind(scene: Scene) -> None:
    """From now on it may end a second time, and no longer as cancelled."""
    scene.told.retrying.append("a")
    scene.told.cancelled.clear()


def retry(scene: Scene) -> None:
    scene.queue.retry("a")
    scene.told.retried.append("a")


# -- stories

SUCCESS, FAILED = finish(Outcome.SUCCESS), finish(Outcome.FAILED)
DEAD = (submit(), claim, FAILED)

STORIES = (
    Story("submit into a new home", (submit(),), again=True),
    Story("submit with an id", (opened, submit()), again=True),
    Story("submit with a generated id", (opened, submit(GENERATED_ID))),
    Story("submit for later", (opened, submit(delayed=True)), again=True),
    Story("submit behind another", (submit("z"), submit()), again=True),
    Story("submit many", (opened, submit_many("a", "b", "c")), again=True),
    Story("claim", (submit(), claim)),
    Story("claim the second attempt", (submit(), claim, recover, claim)),
    Story("finish well", (submit(), claim, SUCCESS), again=True),
    Story("finish badly with a retry left", (submit(retries=1), claim, FAILED), again=True),
    Story("finish badly for good", DEAD, again=True),
    Story("finish what was cancelled", (submit(), claim, cancel(), SUCCESS), again=True),
    Story("finish again after a refused append", (submit(), claim, finish_but("append", REFUSED), SUCCESS), again=True),
    Story("finish again after a refused sync", (submit(), claim, finish_but("sync", REFUSED), SUCCESS), again=True),
    Story("give back", (submit(), submit("b"), claim, letting_go, give_back)),
    Story("recover a lost attempt", (submit(), claim, recover), again=True),
    Story("recover a known result", (submit(), claim, finish_but("append", REFUSED), recover), again=True),
    Story("recover a recorded result", (submit(), claim, finish_but("sync", REFUSED), recover), again=True),
    Story("unpack a batch", (submit_many("a", "b", "c"), tend), again=True),
    Story("unpack what a killed daemon had begun", (submit_many("a", "b", "c"), tend_but, tend), again=True),
    Story("take in a stranger's file", (opened, move_in("a", "b"), tend), again=True),
    Story("promote what is due", (submit(delayed=True), a_minute_passes, tend), again=True),
    Story("cancel a ready task", (submit(), cancel()), again=True),
    Story("cancel a running task", (submit(), claim, cancel()), again=True),
    Story("cancel in a batch", (submit_many("a", "b"), cancel()), again=True),
    Story("retry a dead task", (*DEAD, changing_my_mind, retry)),
    Story("retry a cancelled task", (submit(), cancel(), changing_my_mind, retry)),
)
BY_NAME = {story.name: story for story in STORIES}

LONG_LIFE = Story(
    "a long life",
    (
        *(submit(retries=1), submit("b"), submit_many("c", "d"), claim, FAILED, tend, claim, SUCCESS, a_minute_passes),
        *(tend, claim, recover, claim, finish(Outcome.TIMEOUT), cancel("d"), tend, claim, SUCCESS, tend),
    ),
)
