"""A Plan as the document that reads back as the same Plan."""

from __future__ import annotations

import os
from dataclasses import fields
from typing import Any

import yaml

from conductor.domain.plan import Plan, Step, StepType
from conductor.kit.durable import replace_file
from conductor.orchestrator.plans.form import VERSION

_CALLED = {"estimate_seconds": "estimate", "timeout_seconds": "timeout"}


def plan_document(plan: Plan) -> dict[str, Any]:
    """Only what differs from the defaults; `source` and `notes` are of the reading, not of the plan."""
    document: dict[str, Any] = {"version": VERSION, "name": plan.name}
    for name in ("description", "project", "check", "from_model"):
        if value := getattr(plan, name):
            document[name] = value
    document["steps"] = [_step_document(step) for step in plan.steps]
    return document


def write_plan(plan: Plan, path: str) -> None:
    """As YAML, in place of what stood there."""
    text = yaml.dump(plan_document(plan), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    replace_file(os.path.abspath(path), text.encode(), 0o644)


def _step_document(step: Step) -> dict[str, Any]:
    return {
        _CALLED.get(field.name, field.name): _plain(value)
        for field in fields(step)
        if (value := getattr(step, field.name)) != field.default
    }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else str(value) if isinstance(value, StepType) else value


class _Dumper(yaml.SafeDumper):
    """Text of several lines as a block."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)
