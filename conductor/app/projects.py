"""Wiring of projects: making one, and what the command line tells of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from conductor.domain.errors import UsageError
from conductor.ports.orchestration import Store

if TYPE_CHECKING:
    from conductor.domain.home import Home
    from conductor.projects.creating import Created, Wanted
    from conductor.settings.model import Settings


def make_project(
    home: Home, store: Store, settings: Settings, wanted: Wanted, environment: Mapping[str, str], now: float
) -> Created:
    """Makes the project and tells the store. Doing it again goes on from what there is.

    Raises UsageError where it can't be, RepositoryBroken where git, gh or openclaw refuse.
    """
    from conductor.projects.creating import ProjectMaker
    from conductor.projects.enrolling import check_free, enroll
    from conductor.projects.tool import Tools, tool_environment

    chosen = settings.orchestrator
    programs = {"OPENCLAW_BIN": settings.openclaw_bin} if settings.openclaw_bin else {}
    tools = Tools(tool_environment({**environment, **programs}, settings.environment))
    maker = ProjectMaker(chosen.projects_dir, chosen.roots, tools)
    place = maker.place(wanted)
    if f"{place}/".startswith(f"{os.path.realpath(home.path)}/"):
        raise UsageError(f"{place} lies in conductor's home {home.path}: choose another --path or projects_dir")
    check_free(store, wanted.name, place)
    created = maker.create(wanted, now)
    return replace(created, project=enroll(store, created.project))
