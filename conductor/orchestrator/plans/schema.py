"""The JSON schema of a plan file, published as plan.schema.json beside this module.

`python -m conductor.orchestrator.plans.schema` writes that file anew from the form.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from conductor.orchestrator.plans.form import PLAN_ALIASES, STEP_ALIASES, PlanForm

PUBLISHED = Path(__file__).with_name("plan.schema.json")


def plan_schema() -> dict[str, Any]:
    """The JSON schema of a plan file, as it is published beside this module."""
    schema = PlanForm.model_json_schema()
    step = schema["$defs"]["StepForm"]
    _add_aliases(step, STEP_ALIASES)
    _add_aliases(schema, PLAN_ALIASES)
    step["required"] = []
    step["allOf"] = [_either("id", "task_id"), _either("title", "description")]
    schema["required"] = []
    schema["allOf"] = [_either("steps", "tasks")]
    schema["properties"]["$schema"] = {"type": "string"}
    for properties in (step["properties"], schema["properties"]):
        for one in properties.values():
            one.pop("title", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "conductor plan", **schema}


def _either(*names: str) -> dict[str, Any]:
    return {"anyOf": [{"required": [name]} for name in names]}


def _add_aliases(schema: dict[str, Any], aliases: dict[str, str]) -> None:
    for alias, name in aliases.items():
        schema["properties"][alias] = {**schema["properties"][name], "description": f"another word for {name}"}


def schema_text() -> str:
    return json.dumps(plan_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PUBLISHED.write_text(schema_text(), encoding="utf-8")
