"""What kind of plan it is, by its content, and who reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conductor.domain.plan import Plan
from conductor.orchestrator.plans.building import Source, build_plan
from conductor.orchestrator.plans.faults import refuse
from conductor.orchestrator.plans.loading import load_text, read_text


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader may be told beside the path."""

    tag: str = ""
    """Of Task Master; empty: `master`, or the only one there is."""


def read_plan(path: str, reading: Reading | None = None) -> Plan:
    """The plan in a file or folder.

    Raises UsageError where it can't be read, PlanInvalid with every fault where it is no plan."""
    text = read_text(path)
    name = os.path.splitext(os.path.basename(path))[0]
    return _plan_in(load_text(text, path), Source(path, path=path, name=name))


def parse_plan(data: Any, what: str, *, from_model: bool = False) -> Plan:
    """The plan in data that is loaded already, in the form of a plan file or as a bare list of steps.

    `what`: whose it is, for errors. `from_model`: names that the form does not know are passed over, steps without an
    id get one, and the plan says that a model wrote it. Raises PlanInvalid with every fault.
    """
    return _plan_in(data, Source(what, from_model=from_model))


def _plan_in(data: Any, source: Source) -> Plan:
    if isinstance(data, list):
        data = {"steps": data}
    if not isinstance(data, Mapping):
        raise refuse(source.what, ["it holds no steps: a plan is `steps:` with a list, or the list alone"])
    return build_plan(data, source)
