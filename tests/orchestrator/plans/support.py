"""What the tests of plans share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conductor.domain.errors import PlanInvalid
from conductor.domain.plan import Plan
from conductor.orchestrator.plans import parse_plan
from tests.support import REPOSITORY

SHARED = REPOSITORY.parent / "shared" / "data"


def step(step_id: str = "a", **fields: Any) -> dict[str, Any]:
    return {"id": step_id, "title": f"Step {step_id}", **fields}


def plan_of(*steps: Any, **head: Any) -> Plan:
    return parse_plan({"steps": list(steps), **head}, "the plan")


def faults_of(data: Any, *, from_model: bool = False) -> tuple[str, ...]:
    with pytest.raises(PlanInvalid) as caught:
        parse_plan(data, "the plan", from_model=from_model)
    return caught.value.faults


def shared(name: str) -> str:
    """Path of a real input; skips where it is not there."""
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"{name} is not beside the repository (shared/data)")
    return str(path)


def written(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return str(path)
