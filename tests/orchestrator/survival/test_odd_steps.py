"""Steps and checks that lie, litter and break out, through the whole product: each ends as README says."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from conductor.domain.home import Home
from tests.conftest import DaemonFactory
from tests.orchestrator.survival.house import (
    GIT_SETTINGS,
    RESTLESS,
    House,
    as_depends,
    check_no_process,
    commit,
    git,
    make_repository,
    step,
)
from tests.support import Gate, eventually

SETTINGS: dict[str, Any] = {**RESTLESS, "workers": 3, "grace": "500ms", "orchestrator": {"bounces": 1}}
DONE, REVIEW, FAILED = "completed", "needs_review", "failed"
BRANCH = "conductor-step/$CONDUCTOR_RUN/$CONDUCTOR_STEP-$CONDUCTOR_ROUND"
WORK = "echo work >$CONDUCTOR_STEP.txt"
"""What a step that is otherwise harmless leaves."""


@dataclass(frozen=True)
class Odd:
    """One odd deed, how its step ends, and words that its reason has."""

    name: str
    command: str
    status: str = DONE
    reason: str = ""
    fields: dict[str, Any] = field(default_factory=dict)


ADA = "git -c user.name=Ada -c user.email=ada@example.com"
COMMIT = f"{ADA} commit -q"

IN_ITS_WORKTREE = (
    Odd("dirty", f"{WORK}; git add .; echo more >>$CONDUCTOR_STEP.txt; git status --short"),
    Odd("commits", f"{WORK}; git add .; {COMMIT} -m mine"),
    Odd("deletes-branch", f"{WORK}; git checkout -q --detach; git branch -qD {BRANCH}"),
    Odd("detaches", f"git checkout -q --detach; {WORK}; git add .; {COMMIT} -m mine"),
    Odd("resets", f"{WORK}; git add .; {COMMIT} -m mine; git reset -q --soft HEAD^"),
    Odd("resets-all", f"{WORK}; git add .; {COMMIT} -m mine; git reset -q --hard HEAD^", REVIEW, "no file"),
    Odd("locks-index", f'{WORK}; touch "$(git rev-parse --git-dir)/index.lock"'),
    Odd("unlinks-git", f"{WORK}; rm .git"),
    Odd("prunes", f"{WORK}; git worktree prune; git gc -q --prune=now || true"),
    Odd("does-nothing", "true", REVIEW, "changed no file"),
    Odd("lies", WORK, REVIEW, "outside of what this step may touch", {"files": ["docs/**"]}),
    Odd("links-out", f"{WORK}; ln -s /etc/passwd out", REVIEW, "a link out of the project"),
    Odd("nests", f"{WORK}; git init -q in; touch in/x; git -C in add x; cd in; {COMMIT} -m x", REVIEW, "repository"),
    Odd("markers", "printf '<<<<<<< a\\n1\\n=======\\n2\\n>>>>>>> b\\n' >$CONDUCTOR_STEP.txt", REVIEW, "markers"),
    Odd("removes-tree", 'tree=$(pwd); cd / && rm -rf "$tree"', FAILED, "gone"),
    Odd("leaves-processes", f"{WORK}; sleep 300 & setsid sleep 300 & (setsid sleep 300 &)"),
    Odd("fails", f"{WORK}; exit 3", FAILED, "exit 3"),
    Odd("never-ends", f"{WORK}; sleep 300", FAILED, "", {"timeout": "2s"}),
)


def test_whatever_a_step_does_in_its_worktree_it_ends_as_told_and_its_work_is_kept(
    daemon: DaemonFactory, house: House
) -> None:
    # given
    conductord = daemon(env=GIT_SETTINGS, **SETTINGS)
    steps = [step(one.name, one.command, **one.fields) for one in IN_ITS_WORKTREE]

    # when
    run_id = house.run(*steps)
    run = house.wait(run_id)

    # then
    states = house.states(run_id)
    assert {one.name: states[one.name].status.value for one in IN_ITS_WORKTREE} == {
        one.name: one.status for one in IN_ITS_WORKTREE
    }, house.told(run_id)
    for one in IN_ITS_WORKTREE:
        assert one.reason in states[one.name].reason, states[one.name].reason
    assert run.status.value == REVIEW
    assert sorted(house.merged(run_id, run.branch)) == sorted(one.name for one in IN_ITS_WORKTREE if one.status == DONE)
    assert house.merged(run_id) == []
    assert git(house.workspace, "status", "--porcelain", "--untracked-files=all") == ""
    _check_kept(house, run_id, run.branch)
    check_no_process(house.home, conductord)


def _check_kept(house: House, run_id: str, branch: str) -> None:
    """Whoever wrote work.txt has it in the branch, or under a ref."""
    for one in IN_ITS_WORKTREE:
        if WORK not in one.command:
            continue
        path = f"{one.name}.txt"
        if one.status == DONE:
            assert house.show(path, branch).startswith("work"), one.name
            continue
        refs = git(
            house.workspace,
            "for-each-ref",
            "--format=%(refname)",
            f"refs/conductor/work/{run_id}/{one.name}-1",
            f"refs/conductor/also/{run_id}/{one.name}-1",
        ).split()
        found = [git(house.workspace, "show", f"{ref}:{path}", check=False) for ref in refs]
        assert "work" in found, f"{one.name}: {refs}"


# -- outside of it

OUTSIDE = (
    Odd("main-file", f"{WORK}; echo stray >{{workspace}}/stray.txt", REVIEW, "changed in the main checkout"),
    Odd("main-edit", f"{WORK}; echo stray >>{{workspace}}/README.md", REVIEW, "changed in the main checkout"),
    Odd("main-commit", f"{WORK}; cd {{workspace}}; {COMMIT} --allow-empty -m stray", REVIEW, "refs/heads/main"),
    Odd("hook", f"{WORK}; printf '#!/bin/sh\\ntouch {{stolen}}\\n' >{{hooks}}/post-checkout; chmod +x {{hooks}}/*",
        REVIEW, "hooks/post-checkout"),
    Odd("config", f"{WORK}; git config core.hooksPath {{hooks}}; git config core.fsmonitor 'touch {{stolen}}'",
        REVIEW, "config changed"),
    Odd("run-branch",
        f"{WORK}; git update-ref refs/heads/conductor/$CONDUCTOR_RUN $({ADA} commit-tree -m x HEAD^{{{{tree}}}})"),
    Odd("tmp", f"{WORK}; echo stray >{{stolen}}.not"),
)  # fmt: skip


@pytest.mark.parametrize("odd", OUTSIDE, ids=lambda odd: odd.name)
def test_whatever_a_step_does_outside_of_its_worktree_it_ends_as_told(
    daemon: DaemonFactory, house: House, tmp_path: Path, odd: Odd
) -> None:
    # given
    daemon(env=GIT_SETTINGS, **SETTINGS)
    hooks = house.workspace / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    stolen = tmp_path / "stolen"
    command = odd.command.format(workspace=house.workspace, hooks=hooks, stolen=stolen)
    before = git(house.workspace, "rev-parse", "main")

    # when
    run_id = house.run(step(odd.name, command), step("next", WORK, odd.name))
    run = house.wait(run_id)

    # then
    state = house.states(run_id)[odd.name]
    assert state.status.value == odd.status, house.told(run_id)
    assert odd.reason in state.reason
    assert not stolen.exists(), "what a step planted was run"
    if odd.status == DONE:
        house.check_merged(run_id, {odd.name: (), "next": (odd.name,)})
        return
    assert run.status.value == REVIEW
    assert house.merged(run_id, run.branch) == []
    assert git(house.workspace, "show", f"refs/conductor/work/{run_id}/{odd.name}-1:{odd.name}.txt") == "work"
    assert odd.name == "main-commit" or git(house.workspace, "rev-parse", "main") == before


def test_a_step_that_sets_back_the_runs_own_record_loses_nobodys_work(daemon: DaemonFactory, house: House) -> None:
    daemon(env=GIT_SETTINGS, **SETTINGS)
    back = "git update-ref refs/conductor/run/$CONDUCTOR_RUN main"
    steps = [step("one", WORK), step("two", f"{WORK}; {back}", "one"), step("three", WORK, "two")]
    run_id = house.run(*steps, check="true")

    house.wait(run_id)

    house.check_merged(run_id, as_depends(steps))


def test_a_run_whose_record_was_set_back_while_nobody_looked_does_not_end_as_done(
    daemon: DaemonFactory, house: House, tmp_path: Path
) -> None:
    # given a run that has merged its first step when everything stops
    conductord = daemon(env=GIT_SETTINGS, **SETTINGS)
    gate = Gate(tmp_path)
    run_id = house.run(step("one", WORK), step("two", f"{WORK}; {gate.command}", "one"), check="true")
    gate.wait_for()
    assert conductord.stop() == 0

    # when somebody takes that step out of the branch
    for ref in (f"refs/conductor/run/{run_id}", f"refs/heads/conductor/{run_id}"):
        git(house.workspace, "update-ref", ref, "main")
    conductord.start()
    gate.open()
    run = house.wait(run_id)

    # then
    assert run.status.value == REVIEW
    assert f"lacks what was merged into it: one ({house.states(run_id)['one'].commit[:12]})" in run.reason
    assert house.merged(run_id) == []


def test_what_is_written_into_another_steps_worktree_goes_back_when_that_declares_its_files(
    daemon: DaemonFactory, house: House, tmp_path: Path
) -> None:
    daemon(env=GIT_SETTINGS, **SETTINGS)
    there = "../$CONDUCTOR_RUN.honest-1"
    mark = tmp_path / "written"
    intrude = f"while ! [ -d {there} ]; do sleep 0.02; done; echo stray >{there}/stray.txt; touch {mark}"
    steps = [
        step("intruder", f"{WORK}; {intrude}", files=["intruder.txt"]),
        step("honest", f"{WORK}; while ! [ -e {mark} ]; do sleep 0.02; done", files=["honest.txt"]),
    ]
    run_id = house.run(*steps, check="true")

    house.wait(run_id)

    house.check_merged(run_id, as_depends(steps))
    assert "stray.txt" not in git(house.workspace, "ls-tree", "-r", "--name-only", "main")
    assert "outside of what this step may touch" in house.rounds(run_id, "honest")[0].reason


def test_a_lock_that_a_step_left_in_the_main_checkout_keeps_the_run_from_landing_and_nothing_else(
    daemon: DaemonFactory, house: House
) -> None:
    daemon(env=GIT_SETTINGS, **SETTINGS)
    lock = house.workspace / ".git/index.lock"
    steps = [step("one", f"{WORK}; touch -d '1 minute ago' {lock}"), step("two", WORK, "one")]
    run_id = house.run(*steps, check="true")

    run = house.wait(run_id)

    assert run.status.value == REVIEW
    assert "index.lock" in run.reason
    assert house.merged(run_id, run.branch) == ["one", "two"]
    assert f"merge --ff-only {run.branch}" in run.reason

    lock.unlink()
    assert house.cli("runs", "retry", run_id).returncode == 0
    house.wait(run_id)
    house.check_whole(run_id, as_depends(steps))


def test_steps_that_break_the_check_only_together_are_never_both_in(daemon: DaemonFactory, house: House) -> None:
    daemon(env=GIT_SETTINGS, **SETTINGS)
    run_id = house.run(
        step("one", "echo 1 >one.txt"), step("two", "echo 2 >two.txt"), check="! test -f one.txt || ! test -f two.txt"
    )

    run = house.wait(run_id)

    states = house.states(run_id)
    (given_up,) = (state for state in states.values() if state.status.value == REVIEW)
    (merged,) = house.merged(run_id, run.branch)
    assert states[merged].status.value == DONE
    assert run.status.value == REVIEW
    assert given_up.step.id != merged
    assert "did not pass after the merge" in given_up.reason
    assert house.show(f"{given_up.step.id}.txt", house.rounds(run_id, given_up.step.id)[-1].work) != ""


def test_a_conflict_is_sent_back_and_done_on_top(daemon: DaemonFactory, house: House) -> None:
    daemon(env=GIT_SETTINGS, **SETTINGS)
    steps = [step(name, f"echo {name} >>shared.txt") for name in ("one", "two")]
    run_id = house.run(*steps, check="true")

    house.wait(run_id)

    house.check_whole(run_id, as_depends(steps))
    assert house.show("shared.txt").split() == house.merged(run_id)
    assert sorted(len(house.rounds(run_id, name)) for name in ("one", "two")) == [1, 2]


# -- checks


def test_a_check_that_never_ends_is_ended_and_nothing_it_saw_is_done(daemon: DaemonFactory, house: House) -> None:
    conductord = daemon(env=GIT_SETTINGS, **{**SETTINGS, "orchestrator": {"bounces": 0, "check_timeout": "1s"}})
    run_id = house.run(step("one", WORK), check="setsid sleep 300 & sleep 300")

    run = house.wait(run_id)

    state = house.states(run_id)["one"]
    assert (run.status.value, state.status.value) == (REVIEW, REVIEW)
    assert "longer than 1" in state.reason
    assert house.merged(run_id, run.branch) == []
    check_no_process(house.home, conductord)


def test_what_a_check_leaves_behind_is_ended_and_what_it_writes_is_in_no_commit(
    daemon: DaemonFactory, house: House
) -> None:
    conductord = daemon(env=GIT_SETTINGS, **SETTINGS)
    commit(house.workspace, {".gitignore": "*.log\n"}, "ignore logs")
    check = f"setsid sleep 300 & echo changed >README.md; echo new >new.txt; rm -f *.txt; git add -A; {COMMIT} -m stray"
    steps = [step("one", WORK), step("two", WORK, "one")]
    run_id = house.run(*steps, check=f"{check}; true")

    house.wait(run_id)

    house.check_whole(run_id, as_depends(steps))
    assert house.show("README.md") == "A project"
    assert git(house.workspace, "ls-tree", "-r", "--name-only", "main").split() == [
        ".gitignore",
        "README.md",
        "one.txt",
        "two.txt",
    ]
    check_no_process(house.home, conductord)


def test_two_projects_do_not_see_each_others_oddities(daemon: DaemonFactory, house: House, home: Home) -> None:
    daemon(env=GIT_SETTINGS, **SETTINGS)
    other = House(home, make_repository(house.workspace.parent / "other", {}), "other")
    other.enroll()
    bad = house.run(step("bad", f"{WORK}; echo x >>{house.workspace}/README.md"))
    good = [step("good", WORK)]
    good_id = other.run(*good)

    assert house.wait(bad).status.value == REVIEW
    assert other.wait(good_id).status.value == DONE
    eventually(lambda: not (other.folder / "service").exists(), what="its orchestrator leaves")
    other.check_merged(good_id, as_depends(good))
    other.check_clean()
    other.close()
