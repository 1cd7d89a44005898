"""The store contract, second part: wishes, life signs, history and small documents."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conductor.domain.errors import NoSuchRun
from conductor.domain.run import Changes, Heartbeat, Wish
from conductor.ports.orchestration import Store
from conductor.testing.contract_store_base import NASTY, RUN, Opener, StoreContractBase, happened, run


class TellingContract(StoreContractBase):
    """What people want, and what they are told."""

    def test_nobody_wished_anything(self, running: Store) -> None:
        assert running.wish(RUN) == Wish(RUN)
        assert running.wish("r-nobody") == Wish("r-nobody")

    def test_wishes_add_up(self, running: Store) -> None:
        running.approve(RUN, 2)
        running.approve(RUN, 1)
        running.again(RUN, "c")
        running.accept(RUN, "b")
        running.accept(RUN, "a")
        running.stop(RUN)
        running.stop(RUN)

        assert running.wish(RUN) == Wish(RUN, stop=True, approved=2, accept=("b", "a"), again=("c",))

    def test_a_granted_wish_is_wanted_no_more_and_the_others_still_are(self, running: Store) -> None:
        running.accept(RUN, "a")
        running.again(RUN, "b")
        running.again(RUN, "c")
        running.approve(RUN, 1)

        running.granted(RUN, "a")
        running.granted(RUN, "b")
        running.granted(RUN, "b")
        assert running.wish(RUN) == Wish(RUN, approved=1, again=("c",))

        running.again(RUN, "b")
        assert running.wish(RUN).again == ("c", "b")

    def test_of_a_step_the_last_word_counts(self, running: Store) -> None:
        running.accept(RUN, "a")
        running.again(RUN, "a")
        running.again(RUN, "b")
        running.accept(RUN, "b")
        running.accept(RUN, "b")

        assert running.wish(RUN) == Wish(RUN, accept=("b",), again=("a",))

    def test_wishing_something_of_a_step_takes_a_stop_back(self, running: Store) -> None:
        running.stop(RUN)
        running.again(RUN, "a")
        assert running.wish(RUN) == Wish(RUN, again=("a",))

        running.stop(RUN)
        running.accept(RUN, "a")
        assert running.wish(RUN) == Wish(RUN, accept=("a",))

    def test_a_stop_can_be_taken_back_alone(self, running: Store) -> None:
        running.resume(RUN)
        running.approve(RUN, 1)
        running.stop(RUN)
        running.again(RUN, "a")
        running.stop(RUN)
        running.resume(RUN)

        assert running.wish(RUN) == Wish(RUN, approved=1, again=("a",))

    def test_wishes_of_one_run_are_not_those_of_another(self, running: Store) -> None:
        running.add_run(run("r-other"))
        running.accept("r-other", "a")
        running.stop("r-other")
        running.accept(RUN, "a")
        running.granted("r-other", "a")

        assert running.wish(RUN) == Wish(RUN, accept=("a",))
        assert running.wish("r-other") == Wish("r-other", stop=True)

    def test_a_wish_for_a_run_that_is_not_there_is_refused(self, running: Store, opener: Opener) -> None:
        other = opener()
        wishes: list[Callable[[], None]] = [
            lambda: running.stop("r-nobody"),
            lambda: other.stop("r-nobody"),
            lambda: other.approve("r-nobody", 1),
            lambda: other.accept("r-nobody", "a"),
            lambda: other.again("r-nobody", "a"),
        ]
        for wish in wishes:
            with pytest.raises(NoSuchRun, match="r-nobody"):
                wish()
        running.granted("r-nobody", "a")

        assert running.wish("r-nobody") == Wish("r-nobody")

    def test_saving_a_run_and_its_steps_leaves_the_wishes(self, running: Store) -> None:
        running.stop(RUN)
        running.replace_steps(run(title="new"), [])
        running.save(Changes(run=run(title="newer")))

        assert running.wish(RUN).stop

    def test_of_each_project_the_latest_life_sign_is_kept(self, store: Store) -> None:
        store.beat(Heartbeat("b", "orchestrator-1-1-1", 10.0, {"runs": ["r-a"]}))
        store.beat(Heartbeat("a", "orchestrator-2-2-2", 11.0))
        store.beat(Heartbeat("b", "orchestrator-3-3-3", 12.5, {"text": NASTY}))

        assert list(store.heartbeats().items()) == [
            ("a", Heartbeat("a", "orchestrator-2-2-2", 11.0)),
            ("b", Heartbeat("b", "orchestrator-3-3-3", 12.5, {"text": NASTY})),
        ]

    def test_what_happened_is_told_in_order_from_where_one_left_off(self, store: Store) -> None:
        for number in range(5):
            store.save(Changes(activity=tuple(happened(f"{number}-{letter}") for letter in "ab")))

        told = store.activity()
        assert [one.sequence for one in told] == list(range(1, 11))
        assert [one.action for one in told[:3]] == ["0-a", "0-b", "1-a"]
        assert store.activity(4, limit=3) == told[4:7]
        assert store.activity(10) == []
        assert store.activity(-5) == told

    def test_what_happened_is_kept_whole_and_numbered_by_the_store(self, store: Store) -> None:
        facts = {"text": NASTY, "deep": [1, {"x": None}], "usd": 0.1}
        given = happened("step_merged", project="calculator", run_id=RUN, step_id="a", facts=facts, sequence=77)
        store.save(Changes(activity=(given,)))

        assert store.activity() == [
            happened("step_merged", project="calculator", run_id=RUN, step_id="a", facts=facts, sequence=1)
        ]

    def test_what_happened_can_be_asked_for_by_project_and_by_run(self, store: Store) -> None:
        places = [("p", "r-1"), ("q", "r-2"), ("p", "r-3"), ("p", "r-1"), ("", "")]
        store.save(Changes(activity=tuple(happened(project=name, run_id=run_id) for name, run_id in places)))

        assert [one.sequence for one in store.activity(project="p")] == [1, 3, 4]
        assert [one.sequence for one in store.activity(1, project="p")] == [3, 4]
        assert [one.sequence for one in store.activity(project="p", limit=2)] == [1, 3]
        assert [one.sequence for one in store.activity(run_id="r-1")] == [1, 4]
        assert store.activity(project="q", run_id="r-1") == []

    def test_a_document_is_replaced_as_a_whole(self, store: Store) -> None:
        assert store.remembered("experience") == {}
        store.remember("experience", {"claude": {"tasks": 3}, "text": NASTY})
        store.remember("events told", {"sequence": 4})
        store.remember("experience", {"codex": [1, 2.5, None]})

        assert store.remembered("experience") == {"codex": [1, 2.5, None]}
        assert store.remembered("events told") == {"sequence": 4}

    def test_what_was_handed_out_or_in_can_be_changed_without_changing_the_store(self, store: Store) -> None:
        given = {"numbers": [1]}
        store.remember("numbers", given)
        given["numbers"].append(2)
        dict(store.remembered("numbers"))["numbers"].append(3)

        assert store.remembered("numbers") == {"numbers": [1]}
