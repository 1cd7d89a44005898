"""The store contract, third part: several processes at one store."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from conductor.domain.run import Changes, Heartbeat, RunStatus, StepStatus
from conductor.ports.orchestration import Store
from conductor.testing.contract_store_base import (
    RUN,
    Opener,
    StoreContractBase,
    delegation,
    happened,
    run,
    step_state,
)

WRITERS, SAVES = 4, 25


class SharingContract(StoreContractBase):
    """What one writes all see, at once and in one order."""

    def test_the_version_changes_when_another_has_written(self, store: Store, opener: Opener) -> None:
        other = opener()
        store.add_run(run())
        writes: list[Callable[[], None]] = [
            lambda: other.save(Changes(activity=(happened(),))),
            lambda: other.stop(RUN),
            lambda: other.beat(Heartbeat("p", "o", 1.0)),
            lambda: other.remember("x", {}),
            lambda: other.add_run(run("r-other")),
        ]
        for write in writes:
            before = store.version()
            write()
            assert store.version() != before

    def test_the_version_stays_while_nobody_else_writes(self, store: Store, opener: Opener) -> None:
        other = opener()
        store.add_run(run())
        before = store.version()
        store.stop(RUN)
        store.save(Changes(activity=(happened(),)))
        other.runs()
        other.wish(RUN)

        assert store.version() == before

    def test_own_writes_do_not_hide_that_another_has_written(self, store: Store, opener: Opener) -> None:
        other = opener()
        store.add_run(run())
        before = store.version()
        other.stop(RUN)
        store.save(Changes(run=run(status=RunStatus.FINISHING)))
        store.runs()

        assert store.version() != before

    def test_writers_at_once_lose_nothing_and_number_without_gap(self, store: Store, opener: Opener) -> None:
        runs = [f"r-{writer}" for writer in range(WRITERS)]
        for run_id in runs:
            store.add_run(run(run_id), [step_state("a", run_id=run_id)])

        def write(run_id: str) -> None:
            mine = opener()
            for number in range(1, SAVES + 1):
                mine.save(
                    Changes(
                        steps=(step_state("a", run_id=run_id, round=number),),
                        delegations=(delegation("a", number, run_id),),
                        activity=(happened(str(number), run_id=run_id), happened(str(number), run_id=run_id)),
                    )
                )

        with ThreadPoolExecutor(WRITERS) as threads:
            list(threads.map(write, runs))

        assert [one.sequence for one in store.activity()] == list(range(1, 2 * WRITERS * SAVES + 1))
        for run_id in runs:
            assert [one.round for one in store.delegations(run_id)] == list(range(1, SAVES + 1))
            assert [one.round for one in store.steps(run_id)] == [SAVES]
            in_order = [str(number) for number in range(1, SAVES + 1) for _ in range(2)]
            assert [one.action for one in store.activity(run_id=run_id)] == in_order

    def test_threads_may_share_a_store(self, store: Store) -> None:
        store.add_run(run(), [step_state(step_id, position) for position, step_id in enumerate("abcd")])

        def write(position: int) -> None:
            for number in range(1, SAVES + 1):
                state = step_state("abcd"[position], position, round=number)
                store.save(Changes(steps=(state,), activity=(happened(),)))
                assert store.steps(RUN)[position] == state

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(write, range(4)))

        assert [one.sequence for one in store.activity()] == list(range(1, 4 * SAVES + 1))

    def test_a_reader_never_sees_half_of_what_was_saved_together(self, store: Store, opener: Opener) -> None:
        store.add_run(run(), [step_state(step_id, position) for position, step_id in enumerate("abcd")])

        def write() -> None:
            mine = opener()
            for number in range(1, SAVES + 1):
                mine.save(Changes(steps=tuple(step_state(one, at, round=number) for at, one in enumerate("abcd"))))
            mine.save(
                Changes(steps=tuple(step_state(one, at, status=StepStatus.FAILED) for at, one in enumerate("abcd")))
            )

        with ThreadPoolExecutor(1) as threads:
            writing = threads.submit(write)
            seen = set()
            while StepStatus.FAILED not in {one.status for one in store.steps(RUN)}:
                seen.add(len({one.round for one in store.steps(RUN)}))
                if writing.done():
                    writing.result()
        assert seen <= {1}

    def test_wishes_of_several_people_at_once_all_count(self, running: Store, opener: Opener) -> None:
        wanted = [f"step-{number}" for number in range(20)]

        def wish(person: int) -> None:
            mine = opener()
            for step_id in wanted[person::2]:
                mine.accept(RUN, step_id)
                mine.approve(RUN, int(step_id.partition("-")[2]))

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(wish, range(2)))

        assert sorted(running.wish(RUN).accept) == sorted(wanted)
        assert running.wish(RUN).approved == 19
