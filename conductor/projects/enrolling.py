"""Which projects the store knows: one name and one folder each, none inside of another."""

from __future__ import annotations

from dataclasses import replace

from conductor.domain.errors import UsageError
from conductor.domain.run import Project
from conductor.ports.orchestration import Store


def check_free(store: Store, name: str, workspace: str) -> None:
    """Raises UsageError where another project has the name or the folder. The same project again is free."""
    for project in store.projects():
        if project.name == name and project.workspace != workspace:
            raise UsageError(f"project {name} lies in {project.workspace} already: choose another name for {workspace}")
        if project.name != name and _overlap(project.workspace, workspace):
            raise UsageError(f"{workspace} overlaps project {project.name} in {project.workspace}: use that one")


def enroll(store: Store, project: Project) -> Project:
    """As the store has it from now on. Known already: only what can change of it is written."""
    check_free(store, project.name, project.workspace)
    known = store.project(project.name)
    if known is None:
        store.add_project(project)
        return project
    renewed = replace(known, target=project.target, repository=project.repository or known.repository)
    store.save_project(renewed)
    return renewed


def _overlap(one: str, other: str) -> bool:
    shorter, longer = sorted((one.rstrip("/") + "/", other.rstrip("/") + "/"), key=len)
    return longer.startswith(shorter)
