"""The store contract, first part: what is given is kept whole, in order, and wholly or not at all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conductor.domain.errors import NoSuchProject, NoSuchRun, UsageError
from conductor.domain.run import Changes, DelegationState, RunStatus, StepStatus
from conductor.ports.orchestration import Store
from conductor.testing.contract_store_base import (
    FULL_DELEGATION,
    FULL_PROJECT,
    FULL_RUN,
    FULL_STEP,
    RUN,
    Opener,
    StoreContractBase,
    delegation,
    happened,
    project,
    run,
    step_state,
)


class KeepingContract(StoreContractBase):
    """Projects, runs, steps and delegations."""

    def test_every_field_comes_back_as_it_was_given(self, store: Store, opener: Opener) -> None:
        store.add_project(FULL_PROJECT)
        store.add_run(FULL_RUN, [FULL_STEP])
        store.save(Changes(delegations=(FULL_DELEGATION,)))

        for reader in (store, opener()):
            assert reader.project("calculator") == FULL_PROJECT
            assert reader.run(FULL_RUN.id) == FULL_RUN
            assert reader.steps(FULL_RUN.id) == [FULL_STEP]
            assert reader.delegations(FULL_RUN.id) == [FULL_DELEGATION]

    def test_texts_of_five_megabytes_are_kept(self, store: Store) -> None:
        large = "é\n" * (5 << 19)
        state = replace(FULL_STEP, step=replace(FULL_STEP.step, description=large), reason=large)
        store.add_run(FULL_RUN, [state])
        store.save(Changes(activity=(happened(facts={"output": large}),)))
        store.remember("prompt", {"text": large})

        assert store.steps(FULL_RUN.id) == [state]
        assert store.activity()[0].facts == {"output": large}
        assert store.remembered("prompt") == {"text": large}

    def test_what_is_not_there_is_none_or_empty(self, store: Store) -> None:
        assert store.project("nothing") is None
        assert store.run("r-00000000") is None
        assert (store.projects(), store.runs(), store.steps(RUN), store.delegations(RUN)) == ([], [], [], [])
        assert (store.open_delegations("nothing"), store.activity(), store.heartbeats()) == ([], [], {})

    def test_projects_are_listed_by_name_and_replaced_by_name(self, store: Store) -> None:
        for name in ("b", "a", "c"):
            store.add_project(project(name))
        store.save_project(project("b", state={"paused": True}))

        assert [one.name for one in store.projects()] == ["a", "b", "c"]
        assert store.project("b") == project("b", state={"paused": True})

    def test_a_project_name_is_given_once(self, store: Store) -> None:
        store.add_project(project(repository="first/one"))
        with pytest.raises(UsageError, match="calculator"):
            store.add_project(project(repository="second/one"))
        with pytest.raises(NoSuchProject, match="unheard-of"):
            store.save_project(project("unheard-of"))

        assert store.projects() == [project(repository="first/one")]

    def test_a_run_id_is_given_once_and_the_second_leaves_nothing(self, running: Store) -> None:
        before = running.steps(RUN)
        with pytest.raises(UsageError, match=RUN):
            running.add_run(run(title="another"), [step_state("z", 9)])

        assert running.runs() == [run()]
        assert running.steps(RUN) == before

    def test_runs_are_listed_newest_first(self, store: Store) -> None:
        for run_id, created in (("r-a", 5.0), ("r-b", 7.0), ("r-c", 6.0), ("r-d", 7.0)):
            store.add_run(run(run_id, created=created))
        store.save(Changes(run=run("r-b", created=7.0, title="saved later")))

        assert [one.id for one in store.runs()] == ["r-d", "r-b", "r-c", "r-a"]
        assert [one.id for one in store.runs(limit=2)] == ["r-d", "r-b"]

    def test_runs_can_be_asked_for_by_project_and_by_what_is_not_over(self, store: Store) -> None:
        for number, status in enumerate(RunStatus):
            store.add_run(run(f"r-{status}", status=status, created=number))
        store.add_run(run("r-elsewhere", project="other", created=99.0))

        active = ["r-finishing", "r-running", "r-waiting", "r-planning"]
        assert [one.id for one in store.runs("calculator", active=True)] == active
        assert [one.id for one in store.runs(active=True)] == ["r-elsewhere", *active]
        assert [one.id for one in store.runs("calculator", active=True, limit=1)] == ["r-finishing"]
        assert [one.id for one in store.runs("other")] == ["r-elsewhere"]
        assert len(store.runs("calculator")) == len(RunStatus)

    def test_steps_are_in_the_order_of_the_plan_however_they_were_saved(self, store: Store) -> None:
        store.add_run(run(), [step_state("c", 2), step_state("a", 0)])
        store.save(Changes(steps=(step_state("b", 1), step_state("a", 0, status=StepStatus.IN_PROGRESS))))

        assert [(one.step.id, one.status.value) for one in store.steps(RUN)] == [
            ("a", "in_progress"),
            ("b", "pending"),
            ("c", "pending"),
        ]

    def test_the_steps_of_one_run_are_not_those_of_another(self, store: Store) -> None:
        store.add_run(run("r-one"), [step_state("a", run_id="r-one", reason="of one")])
        store.add_run(run("r-two"), [step_state("a", run_id="r-two", reason="of two")])
        store.replace_steps(run("r-two"), [])

        assert [one.reason for one in store.steps("r-one")] == ["of one"]
        assert store.steps("r-two") == []

    def test_a_plan_that_is_made_replaces_all_steps_and_leaves_the_delegations(self, running: Store) -> None:
        running.save(Changes(delegations=(delegation("a"),)))
        planned = run(status=RunStatus.WAITING, planner="claude")
        running.replace_steps(planned, [step_state("x", 0), step_state("b", 1, reason="new")])

        assert running.run(RUN) == planned
        assert [(one.step.id, one.reason) for one in running.steps(RUN)] == [("x", ""), ("b", "new")]
        assert running.delegations(RUN) == [delegation("a")]

    def test_ten_thousand_steps_are_kept_in_order(self, store: Store) -> None:
        steps = [step_state(f"s{position}", position) for position in range(10_000)]
        store.add_run(run(), steps)
        store.save(Changes(steps=(replace(steps[5_000], status=StepStatus.COMPLETED),)))

        found = store.steps(RUN)
        assert found[5_000].status is StepStatus.COMPLETED
        assert [one for one in found if one.position != 5_000] == [one for one in steps if one.position != 5_000]

    def test_changes_are_saved_together(self, running: Store, opener: Opener) -> None:
        changes = Changes(
            run=run(status=RunStatus.FINISHING),
            steps=(step_state("a", 0, status=StepStatus.COMPLETED), step_state("b", 1, status=StepStatus.FAILED)),
            delegations=(delegation("a", state=DelegationState.COMPLETED), delegation("b")),
            activity=(happened("one"), happened("two")),
        )
        running.save(changes)

        other = opener()
        assert other.run(RUN) == changes.run
        assert other.steps(RUN)[:2] == list(changes.steps)
        assert other.delegations(RUN) == list(changes.delegations)
        assert [one.action for one in other.activity()] == ["one", "two"]

    def test_changes_that_can_not_be_saved_whole_leave_nothing(self, running: Store) -> None:
        before = (running.runs(), running.steps(RUN), running.delegations(RUN), running.activity())
        for stray in (
            Changes(steps=(step_state("a", 0, reason="new"), step_state("b", 1, run_id="r-nobody"))),
            Changes(
                run=run(title="new"),
                steps=(step_state("a", 0, reason="new"),),
                delegations=(delegation("a"), delegation("a", run_id="r-nobody")),
                activity=(happened(),),
            ),
        ):
            with pytest.raises(NoSuchRun, match="r-nobody"):
                running.save(stray)

        assert (running.runs(), running.steps(RUN), running.delegations(RUN), running.activity()) == before
        running.save(Changes(activity=(happened(),)))
        assert [one.sequence for one in running.activity()] == [1]

    def test_a_new_run_may_come_with_its_first_changes(self, store: Store) -> None:
        store.save(Changes(run=run(), steps=(step_state("a"),), delegations=(delegation("a"),)))

        assert (store.run(RUN), store.steps(RUN)) == (run(), [step_state("a")])

    def test_no_changes_are_no_error(self, store: Store) -> None:
        store.save(Changes())

        assert store.runs() == []

    def test_delegations_are_listed_oldest_first_by_run_and_by_step(self, running: Store) -> None:
        running.save(Changes(delegations=(delegation("b", 1, created=5.0), delegation("a", 2, created=9.0))))
        running.save(Changes(delegations=(delegation("a", 1, created=4.0), delegation("c", 1, created=9.0))))
        running.save(Changes(delegations=(delegation("a", 2, created=9.0, reason="saved later"),)))

        assert [(one.step_id, one.round) for one in running.delegations(RUN)] == [
            ("a", 1),
            ("b", 1),
            ("a", 2),
            ("c", 1),
        ]
        assert [one.round for one in running.delegations(RUN, "a")] == [1, 2]

    def test_open_delegations_are_those_of_all_runs_of_the_project_that_are_not_over(self, store: Store) -> None:
        for run_id, of_project in (("r-one", "calculator"), ("r-two", "calculator"), ("r-far", "other")):
            store.add_run(run(run_id, project=of_project))
        states = list(DelegationState)
        store.save(Changes(delegations=tuple(delegation(state.value, 1, "r-one", state=state) for state in states)))
        store.save(Changes(delegations=(delegation("a", 1, "r-two", created=0.5), delegation("a", 1, "r-far"))))

        found = [(one.run_id, one.step_id) for one in store.open_delegations("calculator")]
        assert found == [
            ("r-two", "a"),
            *(("r-one", step_id) for step_id in ("spawning", "working", "returned", "merging")),
        ]

    # -- forgetting

    def test_a_run_that_is_over_is_forgotten_with_all_that_belongs_to_it_and_nothing_else(
        self, running: Store, opener: Opener
    ) -> None:
        other = "r-22222222"
        running.add_run(run(other), [step_state("a", run_id=other)])
        running.save(
            Changes(
                run=run(status=RunStatus.COMPLETED),
                delegations=(delegation("a"), delegation("a", run_id=other)),
                activity=(happened(run_id=RUN), happened(run_id=other), happened(run_id=RUN)),
            )
        )
        running.stop(RUN)
        running.stop(other)

        running.forget(RUN)
        running.forget(RUN)

        for reader in (running, opener()):
            assert [one.id for one in reader.runs()] == [other]
            assert (reader.run(RUN), reader.steps(RUN), reader.delegations(RUN)) == (None, [], [])
            assert not reader.wish(RUN).stop
            assert reader.activity(run_id=RUN) == []
            assert (len(reader.steps(other)), len(reader.delegations(other))) == (1, 1)
            assert reader.wish(other).stop
        assert len(running.activity(run_id=other)) == 1

    def test_a_run_that_is_not_over_is_not_forgotten(self, running: Store) -> None:
        with pytest.raises(UsageError, match=RUN):
            running.forget(RUN)

        assert running.run(RUN) is not None
        assert running.steps(RUN)

    def test_after_a_run_was_forgotten_no_number_of_what_happened_is_given_again(self, running: Store) -> None:
        running.save(Changes(run=run(status=RunStatus.FAILED), activity=(happened(run_id=RUN), happened(run_id=RUN))))
        last = running.activity()[-1].sequence

        running.forget(RUN)
        running.save(Changes(activity=(happened(),)))

        assert [one.sequence for one in running.activity(last)] == [last + 1]
        assert running.activity(last + 1) == []
        running.add_run(run(), [])
        assert running.run(RUN) == run()
