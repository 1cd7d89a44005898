"""The orchestrator: recorded workflows against their lower bound, what lies between two steps, large plans, merging."""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.conductors import Conductord, running
from benchmarks.ground import Ground, until
from benchmarks.report import Figure, NotMeasured, listed, median, percentile
from conductor.app import open_layout
from conductor.app.orchestration import RunOptions, start_run
from conductor.app.stores import open_store
from conductor.domain.graph import Graph
from conductor.domain.plan import Plan, Step
from conductor.domain.run import Activity, Delegation, DelegationState, Project, Run, RunStatus, task_id_of
from conductor.orchestrator.plans import Reading, Replay, read_plan
from conductor.ports.orchestration import Merged
from conductor.projects.repository import GitRepository
from conductor.settings.model import load_settings

_WORKERS = 3
_BOUND_SECONDS = 15.0
_CHAIN = 40
_STAMP = 'date +%s%N >> "{folder}/{step}.times"'
_SILENT_GIT = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}


def measure(ground: Ground, options: argparse.Namespace) -> Iterator[Figure]:
    yield from _workflows(ground, options.workflows)
    yield _between_steps(ground, with_git=False)
    yield _between_steps(ground, with_git=True)
    yield _large_plan(ground)
    yield _flat_cost(ground, options.large)
    yield _merging(ground)


class Runs:
    """Runs on one home, through the same door as the command line."""

    def __init__(self, home: str) -> None:
        self._layout = open_layout(home, {})
        self._settings = load_settings(self._layout.home, {})
        self.store = open_store(self._layout.home, self._settings)

    def finish(self, plan: Plan, project: str = "", workspace: str = "", within: float = 600.0) -> Run:
        """The run when it is over, every step of it completed."""
        options = RunOptions(workspace=workspace)
        run = start_run(self._layout, self._settings, plan=plan, request="", project=project, options=options)
        until(lambda: self._now(run.id).is_over, f"run {run.id}", within=within, every=0.05)
        over = self._now(run.id)
        if over.status is not RunStatus.COMPLETED:
            raise NotMeasured(f"run {over.id} is {over.status.value}: {over.reason}")
        return over

    def cpu_seconds(self, run: Run) -> float:
        """Of its orchestrator, which is about to end: as it last said itself."""
        until(lambda: not os.path.exists(f"{self._layout.home.project(run.project)}/wanted"), "its end")
        time.sleep(0.5)
        return float(self.store.heartbeats()[run.project].state["cpu_seconds"])

    def activity(self, run: Run) -> list[Activity]:
        return self.store.activity(run_id=run.id)

    def _now(self, run_id: str) -> Run:
        found = self.store.run(run_id)
        assert found is not None  # started above
        return found


# -- recorded workflows


def _workflows(ground: Ground, folder: str) -> Iterator[Figure]:
    if not folder or not os.path.isdir(folder):
        raise NotMeasured("--workflows DIR says where recorded workflows (WfFormat 1.5) are")
    with running(ground, ground.folder("workflows"), _WORKERS) as daemon:
        runs = Runs(daemon.home.path)
        for name in sorted(os.listdir(folder)):
            if name.endswith(".json"):
                yield _workflow(runs, f"{folder}/{name}", daemon)


def _workflow(runs: Runs, path: str, daemon: Conductord) -> Figure:
    recorded = read_plan(path, Reading(replay=Replay("sleep", 1.0)))
    scale = _BOUND_SECONDS / _bound(recorded)
    plan = read_plan(path, Reading(replay=Replay("sleep", scale)))
    bound = _bound(plan)
    run = runs.finish(plan, workspace=daemon.home.path)
    steps = runs.store.steps(run.id)
    makespan = max(state.ended for state in steps) - run.started
    ratio = makespan / bound
    return Figure(
        f"{recorded.name[:50]}: makespan against its lower bound",
        "<= 1.05 x",
        f"{ratio:.3f} x",
        ratio <= 1.05,
        (f"{makespan:.2f} s for {bound:.2f} s, {len(steps)} steps, {_WORKERS} workers",),
        "runtimes scaled; bound = max(critical path, total work / workers); from the run's start to its last end",
    )


def _bound(plan: Plan) -> float:
    seconds = [step.estimate_seconds or 0.0 for step in plan.steps]
    graph = Graph.of(plan.steps)
    return max(*(graph.remaining(step.id) for step in plan.steps), sum(seconds) / _WORKERS)


# -- from the end of a step to the start of the next


def _between_steps(ground: Ground, *, with_git: bool) -> Figure:
    home = ground.folder("chain-git" if with_git else "chain")
    folder = f"{home}/times"
    os.mkdir(folder)
    with running(ground, home, _WORKERS):
        runs, project = Runs(home), ""
        if with_git:
            project = "chain"
            runs.store.add_project(Project(project, _repository(f"{home}/{project}", 20), "main", time.time()))
        run = runs.finish(_chain(folder, with_git), project, home)
        merged = {one.step_id: one.at for one in runs.activity(run) if one.action == "step_completed"}
    waits = []
    for number in range(1, _CHAIN):
        before = merged[f"s{number - 1}"] if with_git else _times(folder, number - 1)[-1]
        waits.append((_times(folder, number)[0] - before) * 1000)
    p50, p99 = percentile(waits, 0.5), percentile(waits, 0.99)
    what = "the end of its merge" if with_git else "the end of a step"
    return Figure(
        f"from {what} to the next agent's first instruction",
        "p50 <= 40 ms, p99 <= 150 ms",
        f"p50 {p50:.1f} ms, p99 {p99:.1f} ms",
        p50 <= 40 and p99 <= 150,
        (f"{len(waits)} pairs of a chain, least {min(waits):.1f}, most {max(waits):.1f} ms",),
        "clock read by the steps themselves (date), which costs each some 2 ms",
        {"milliseconds": waits},
    )


def _chain(folder: str, with_git: bool) -> Plan:
    steps = []
    for number in range(_CHAIN):
        stamp = _STAMP.format(folder=folder, step=f"s{number}")
        work = f"{stamp}; echo {number} > f{number}.txt; {stamp}" if with_git else f"{stamp}; {stamp}"
        needed = (f"s{number - 1}",) if number else ()
        steps.append(Step(f"s{number}", f"Step {number}", work, agent="command", depends_on=needed))
    return Plan("chain", tuple(steps))


def _times(folder: str, number: int) -> list[float]:
    with open(f"{folder}/s{number}.times", encoding="ascii") as file:
        return [int(line) / 1e9 for line in file]


# -- large plans


def _large_plan(ground: Ground) -> Figure:
    """In a process of its own, so that its memory is only that of this."""
    home = ground.folder("large")
    path = f"{home}/plan.json"
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"name": "large", "steps": _layered(10_000, 4)}, file)
    argv = [sys.executable, "-m", "benchmarks.large_plan", home, path]
    told = json.loads(ground.run(argv, ground.environment(PYTHONPATH=os.environ.get("PYTHONPATH", ""))))
    seconds, memory = told["seconds"], told["peak_mib"]
    parts = ", ".join(f"{name} {value:.2f} s" for name, value in told["parts"].items())
    return Figure(
        "10,000 steps with 40,000 edges: read, validate, order, store, emit the first wave",
        "<= 1.5 s, <= 150 MiB",
        f"{seconds:.2f} s, {memory:.0f} MiB",
        seconds <= 1.5 and memory <= 150,
        (parts,),
        "one process, from the open file to the tasks in the queue; imports before the clock starts",
    )


def _layered(count: int, each: int) -> list[dict[str, object]]:
    """Each step depends on `each` of the hundred before it."""
    dice = random.Random(7)
    steps: list[dict[str, object]] = []
    for number in range(count):
        before = range(max(0, number - 100), number)
        needed = sorted(dice.sample(before, min(each, len(before))))
        steps.append(
            {
                "id": f"s{number}",
                "title": f"Step {number}",
                "description": "true",
                "agent": "command",
                "complexity": number % 5 + 1,
                "depends_on": [f"s{one}" for one in needed],
                "files": [f"src/m{number}/**"],
            }
        )
    return steps


def _flat_cost(ground: Ground, large: int) -> Figure:
    """The first steps and the last ones: what a start costs is in neither."""
    counts, cpu = (100, 1_000, large), []
    for count in counts:
        home = ground.folder(f"cost-{count}")
        with running(ground, home, _WORKERS):
            runs = Runs(home)
            steps = tuple(Step(f"s{n}", f"Step {n}", "true", agent="command") for n in range(count))
            run = runs.finish(Plan("flat", steps), workspace=home, within=3600.0)
            cpu.append(runs.cpu_seconds(run))
    early = (cpu[1] - cpu[0]) / (counts[1] - counts[0]) * 1000
    late = (cpu[2] - cpu[1]) / (counts[2] - counts[1]) * 1000
    return Figure(
        f"orchestrator's CPU a finished step, between 1,000 and {large:,} against between 100 and 1,000",
        "flat (<= 1.25 x)",
        f"{late / early:.2f} x",
        late <= 1.25 * early,
        (f"{early:.2f} ms and {late:.2f} ms a step",),
        "independent no-op steps without git; the orchestrator's own CPU time at its end",
    )


# -- merging


def _merging(ground: Ground) -> Figure:
    home = ground.folder("merging")
    workspace = _repository(f"{home}/repository", 5_000)
    repository = GitRepository("big", workspace, f"{home}/folder", environment=ground.environment(**_SILENT_GIT))
    run = Run("r-aaaaaaaa", "big", "big", RunStatus.RUNNING, 0.0, workspace=workspace, target="main")
    run = repository.open_run(run)
    took: dict[str, list[float]] = {"take": [], "merge": [], "advance": []}
    for number in range(12):
        step = Step(f"s{number}", "A small step", "x")
        tree = repository.cut(run, step, 1)
        with open(f"{tree.path}/new{number}.txt", "w", encoding="utf-8") as file:
            file.write("one line\n")
        delegation = Delegation(
            task_id_of(run.id, step.id, 1), run.id, step.id, 1, DelegationState.WORKING, 0.0, base=tree.base
        )
        delegation = replace(delegation, worktree=tree.path, branch=tree.branch)
        began = time.perf_counter()
        taken = repository.take(run, step, delegation)
        took["take"].append((time.perf_counter() - began) * 1000)
        began = time.perf_counter()
        merged = repository.merge(run, delegation, taken, "feat: a small step")
        took["merge"].append((time.perf_counter() - began) * 1000)
        began = time.perf_counter()
        if not isinstance(merged, Merged) or not repository.advance(run, merged):
            raise NotMeasured("the step did not merge")
        took["advance"].append((time.perf_counter() - began) * 1000)
        repository.release(run, delegation)
    whole = [sum(parts) for parts in zip(*took.values(), strict=True)]
    return Figure(
        "merging one small step into a repository of 5,000 files, the check aside",
        "<= 150 ms",
        f"{median(whole):.0f} ms",
        median(whole) <= 150,
        tuple(f"{name}: median {median(values):.0f} ms ({listed(values)})" for name, values in took.items()),
        "take the work out of its worktree, merge it onto the tip, advance the branch",
    )


def _repository(path: str, files: int) -> str:
    """A repository with so many small files in folders of fifty."""
    for number in range(files):
        folder = f"{path}/d{number // 50}"
        if number % 50 == 0:
            os.makedirs(folder)
        with open(f"{folder}/f{number}.txt", "w", encoding="utf-8") as file:
            file.write(f"line of file {number}\n" * 20)
    env = {"PATH": os.environ["PATH"], **_SILENT_GIT}
    who = ("-c", "user.name=bench", "-c", "user.email=bench@localhost")
    for arguments in (("init", "-q", "-b", "main"), ("add", "."), (*who, "commit", "-q", "-m", "chore: begin")):
        subprocess.run(["git", "-C", path, *arguments], check=True, env=env)
    return path
