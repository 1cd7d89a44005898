"""Wiring of orchestration: what the command line needs of store, projects and orchestrators."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from conductor.app.stores import open_store
from conductor.domain.errors import NoSuchProject, NoSuchRun, UsageError
from conductor.domain.plan import Plan
from conductor.domain.run import Changes, Project, Run, RunAutonomy, RunStatus, StepState, reopened
from conductor.kit.ids import stamped_id
from conductor.ports.orchestration import Choice, Store

if TYPE_CHECKING:
    from conductor.domain.home import Home
    from conductor.queue.layout import Layout
    from conductor.settings.model import Settings


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a run is started with, over the project's settings. Empty, 0 and None: as the settings say."""

    autonomy: RunAutonomy | None = None
    sequential: bool = False
    wip: int = 0
    timeout_seconds: float | None = None
    workspace: str = ""
    """The folder of a run without a project."""
    plan_only: bool = False
    planner: str = ""
    """AGENT[:MODEL] that takes the request apart."""
    agent: str = ""
    """Of steps that name none."""
    write_back: str = ""
    """Path of Task Master's file that is told what became of each step."""
    tag: str = ""


def start_run(
    layout: Layout, settings: Settings, *, plan: Plan | None, request: str, project: str, options: RunOptions
) -> Run:
    """Adds the run to the store and wakes who drives it. `plan` None: a model takes `request` apart first.

    Raises NoSuchProject.
    """
    from conductor.orchestrator.planning_phase import planned_run

    store = open_store(layout.home, settings)
    try:
        found = store.project(project) if project else None
        if project and found is None:
            raise NoSuchProject(project)
        run = _new_run(settings, found, request, options)
        if plan is None:
            store.add_run(replace(run, from_model=True))
        else:
            run, states = planned_run(run, plan)
            store.add_run(run, states)
    finally:
        store.close()
    ring_orchestrator(layout.home, run.project)
    return run


def _new_run(settings: Settings, project: Project | None, request: str, options: RunOptions) -> Run:
    run_id = f"r-{stamped_id('r', time.time()).rpartition('-')[2]}"
    chosen = settings.orchestration_of(project.name if project else "")
    return Run(
        id=run_id,
        project=project.name if project else run_id,
        title=" ".join(request.split())[:200],
        status=RunStatus.PLANNING,
        created=time.time(),
        request=request,
        workspace=project.workspace if project else os.path.abspath(options.workspace or os.getcwd()),
        isolated=project is not None,
        autonomy=options.autonomy or chosen.autonomy,
        sequential=options.sequential or chosen.spawn == "sequential",
        wip=options.wip,
        timeout_seconds=options.timeout_seconds or chosen.timeout,
        target=project.target if project else "",
        planner=options.planner,
        agent=options.agent,
        plan_only=options.plan_only,
        write_back=options.write_back,
        tag=options.tag,
    )


def reopen_run(home: Home, store: Store, run_id: str) -> bool:
    """A run that is over goes on, because a person wishes something of one of its steps: wish first, then call this.
    False: no conductord runs."""
    run = store.run(run_id)
    if run is None:
        raise NoSuchRun(run_id)
    if run.is_over:  # nobody else writes it now
        store.save(Changes(reopened(run, approved=store.wish(run_id).approved)))
    return ring_orchestrator(home, run.project)


def ring_orchestrator(home: Home, project: str) -> bool:
    """Tells whoever drives the project's runs to look now, and that it is wanted; False: no conductord runs."""
    from conductor.app import ring_doorbell
    from conductor.domain.service import ServiceFolder
    from conductor.kit.durable import write_plain

    folder = ServiceFolder(home.project(project))
    os.makedirs(folder.doorbell, mode=0o700, exist_ok=True)
    write_plain(folder.wanted, b"")
    bell = f"{folder.path}/ring.{os.getpid()}"
    write_plain(bell, b"")
    os.rename(bell, f"{folder.doorbell}/ring")
    return ring_doorbell(home, project=project)


def most_in_progress(settings: Settings, project: str) -> int:
    """Steps of all runs of a project at once."""
    workers = sum(pool.workers for pool in settings.all_pools().values())
    return settings.orchestration_of(project).wip or max(2, 2 * workers)


def preview(layout: Layout, settings: Settings, plan: Plan) -> list[tuple[int, StepState, Choice]]:
    """Each step with the wave that it comes in and who may do it, best first."""
    from conductor.app.routing import make_router, memory_of
    from conductor.domain.graph import Graph

    store = open_store(layout.home, settings)
    try:
        router = make_router(layout.home, settings, os.environ, memory_of(store))
        graph = Graph.of(plan.steps)
        return [
            (graph.wave_of(step.id) + 1, StepState("", step, position), router.choose(step))
            for position, step in enumerate(plan.steps)
        ]
    finally:
        store.close()


def ensure_project(layout: Layout, settings: Settings, name: str, description: str = "") -> tuple[Project, bool]:
    """The project of that name; made in `projects_dir` where there is none (True)."""
    from conductor.app.projects import make_project
    from conductor.projects.creating import Wanted

    store = open_store(layout.home, settings)
    try:
        found = store.project(name)
        if found is not None:
            return found, False
        wanted = Wanted(name, description=description)
        created = make_project(layout.home, store, settings, wanted, os.environ, time.time())
        return created.project, True
    finally:
        store.close()


def spawn_step(layout: Layout, settings: Settings, project: str, step_id: str) -> str:
    """Emits one step of the project's active run by hand; the id of its task. Raises UsageError while an orchestrator
    drives the project."""
    from conductor.app.orchestrator_process import OneOrchestrator, make_orchestrator

    store = open_store(layout.home, settings)
    with OneOrchestrator(layout.home, project) as one:
        if not one.is_ours:
            raise UsageError(f"an orchestrator drives {project}: it starts {step_id} when it is ready")
        runs: Sequence[Run] = store.runs(project, active=True)
        if not runs:
            raise UsageError(f"project {project} has no run that is not over: `conductor runs --project {project}`")
        return make_orchestrator(layout, settings, project, store).spawn(runs[0].id, step_id)
