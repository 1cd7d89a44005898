"""Every syscall of submit, claim, finish, recover and their like killed in turn, and every write, sync and rename
refused, with strace; a fresh process must then find the home usable, nothing lost and nothing recorded twice.

By default the actor is killed before each syscall that changes the disk (between two of them the disk is the same) and
before its answer, and EIO and ENOSPC are put into each write, sync and rename. With CONDUCTOR_FAULTS=all it is killed
before every syscall of any kind, every syscall that changes the disk is refused, and who tries again meets EIO too.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

import pytest

from tests.faults.stories import STORIES, Story
from tests.faults.strace import ANSWER, CHANGING, REFUSABLE, Call, Played, Stage

EVERYTHING = os.environ.get("CONDUCTOR_FAULTS") == "all"
KILLED = -9

each_story = pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name.replace(" ", "-"))
each_repeated_story = pytest.mark.parametrize(
    "story", [story for story in STORIES if story.again], ids=lambda story: story.name.replace(" ", "-")
)
each_error = pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
each_error_that_passes = pytest.mark.parametrize("error", ["EIO", "ENOSPC"] if EVERYTHING else ["ENOSPC"])


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    with Stage(tmp_path_factory.mktemp("stage")) as made:
        try:
            made.calls(STORIES[0], CHANGING)
        except PermissionError as error:
            pytest.skip(f"processes may not be traced here: {error}")
        yield made


@each_story
def test_killed_at_any_syscall_nothing_is_lost_and_nothing_recorded_twice(stage: Stage, story: Story) -> None:
    # given every syscall that the last step makes
    calls = stage.calls(story, ("all",) if EVERYTHING else CHANGING)
    doomed = [call for call in calls if EVERYTHING or call.changes_disk or call.name == ANSWER]
    assert len(doomed) > 1
    # when its process is killed before each of them in turn
    wrong = []
    for call in doomed:
        played = stage.play(story, [f"trace={call.name}", f"inject={call.name}:signal=SIGKILL:when={call.nth}"])
        # then a fresh process finds all promises kept
        if not EVERYTHING and played.exit != KILLED:
            wrong.append(f"{call}: was not killed but ended with {played.exit}")
        wrong += [f"killed before {call}: {fault}" for fault in played.faults]
    assert wrong == []


@each_story
@each_error
def test_a_refused_syscall_reaches_the_caller_and_costs_nothing(stage: Stage, story: Story, error: str) -> None:
    # given a caller that gives up when it is told of an error
    # when each syscall is refused in turn, then the error reached it or the deed was done, and all promises are kept
    assert _refusals(stage, story, error, lambda call: stage.play(story, _refused(call, error))) == []


@each_repeated_story
@each_error_that_passes
def test_after_a_refused_syscall_the_same_process_can_try_again(stage: Stage, story: Story, error: str) -> None:
    # given a caller that tries again when it is told of an error
    def play(call: Call) -> Played:
        return stage.play(story, _refused(call, error), again=True)

    # when each syscall is refused in turn, then all promises are kept whatever the second try said
    assert _refusals(stage, story, error, play) == []


def _refused(call: Call, error: str) -> list[str]:
    return [f"trace={call.name}", f"inject={call.name}:error={error}:when={call.nth}"]


def _refusals(stage: Stage, story: Story, error: str, play: Callable[[Call], Played]) -> list[str]:
    calls = [
        call for call in stage.calls(story, CHANGING) if call.name in REFUSABLE or (EVERYTHING and call.changes_disk)
    ]
    assert calls
    wrong = []
    for call in calls:
        played = play(call)
        if not played.injected:
            wrong.append(f"{call}: was never refused")
        if played.errors is None:
            wrong.append(f"{error} from {call}: its process broke, exit {played.exit}")
        wrong += [f"{error} from {call}, the caller heard {played.errors}: {fault}" for fault in played.faults]
    return wrong
