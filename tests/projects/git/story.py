"""A whole run, told again from the start whenever it was killed: what an orchestrator does, in one file."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from conductor.domain.run import Run
from conductor.ports.orchestration import Conflict, Merged
from conductor.testing.repository_contract import Hand, a_run
from tests.projects.git.world import make_repository

STEPS = {"one": {"src/one.txt": "1 and more\n"}, "two": {"deep/two.txt": "2\n"}}


def tell(folder: Path, hook: Callable[[str, tuple[str, ...]], None] | None = None, *, until: str = "") -> None:
    """Converges from wherever it was killed: asks the branch what is merged, does the rest. `until`: a step, the last
    one that it does, or `landing`."""
    repository = make_repository(folder, folder / "workspace", hook=hook)
    opened = folder / "opened"
    if (folder / "landed").exists():
        repository.close_run(_remembered(opened), keep_branch=False)
        return
    run = _remembered(opened) if opened.exists() else repository.open_run(a_run())
    opened.write_text(f"{run.branch} {run.target} {run.base}")
    hand = Hand.__new__(Hand)
    hand.repository, hand.run = repository, run
    if not (folder / "merged").exists():
        for step_id in STEPS:
            _bring(hand, step_id)
            if step_id == until:
                return
        repository.seal(run, "feat: project - 2 tasks completed")
        (folder / "merged").touch()
    if until == "landing":
        return
    merged = repository.land(run)
    assert isinstance(merged, Merged)
    assert repository.finish_landing(run, merged).commit
    (folder / "landed").touch()
    repository.close_run(run, keep_branch=False)


def _bring(hand: Hand, step_id: str) -> None:
    if step_id not in hand.repository.merged_steps(hand.run):
        tree = Path(hand.cut(step_id).path)
        for path, content in STEPS[step_id].items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(content)
        work = hand.take(step_id)
        assert not work.faults
        merged = hand.merge(step_id, work)
        assert not isinstance(merged, Conflict)
        hand.repository.checkout_for_check(hand.run, merged.commit)
        assert hand.repository.advance(hand.run, merged)
    hand.release(step_id)


def _remembered(opened: Path) -> Run:
    branch, target, base = opened.read_text().split()
    return replace(a_run(), branch=branch, target=target, base=base)


class Dying:
    """Kills this process before or after the n-th git command."""

    def __init__(self, moment: str, number: int) -> None:
        self._moment, self._left = moment, number

    def __call__(self, moment: str, arguments: tuple[str, ...]) -> None:
        if moment == self._moment:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
