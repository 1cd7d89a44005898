"""claw-conductor's `agent-registry.json`: read as it is, and written back with what was learned, unknown keys kept.

Who runs a model of it: the agent that its entry names under `agent` (a key of ours), else the first that can be used
here of: an agent of the settings that uses a provider of that name; the vendor's own CLI (anthropic: claude, openai:
codex, google: gemini); OpenClaw, with `openclaw_model_id` or `model_id`. None of them here: the first of these.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from conductor.domain.errors import SettingsInvalid
from conductor.domain.plan import DEFAULT_COMPLEXITY
from conductor.kit.durable import replace_file
from conductor.routing.learning import Record, Records, metrics, total
from conductor.routing.reading import (
    AgentName,
    Category,
    Count,
    Dollars,
    Level,
    ModelName,
    Stars,
    checked,
    is_claw,
    read_document,
)
from conductor.routing.registry import Capability, Cost, CostType, Model, Registry, Rules

OPENCLAW = "openclaw"
VENDORS = {
    "anthropic": "claude",
    "openai": "codex",
    "openai-codex": "codex",
    "google": "gemini",
    "gemini": "gemini",
    "google-gemini-cli": "gemini",
}
"""The vendor's own CLI, by the form's `provider`. All others run in OpenClaw, which that form was made for."""

_BEFORE = "before_conductor"
"""Beside what we write stands what stood there before: writing twice counts nothing twice."""


class _Kept(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class _Fallback(_Kept):
    enabled: bool = True
    penalize_failures: bool = True
    failure_penalty_points: Annotated[float, Field(ge=0, le=100)] = 5.0


class _UserConfig(_Kept):
    prefer_free_when_equal: bool = True
    default_complexity_if_unknown: Level = DEFAULT_COMPLEXITY
    fallback: _Fallback = _Fallback()


class _UserCost(_Kept):
    type: CostType = CostType.PAY_PER_USE
    input_cost_per_million: Dollars | None = None
    output_cost_per_million: Dollars | None = None


class _Skill(_Kept):
    rating: Stars
    max_complexity: Level
    experience_count: Count = 0
    before_conductor: Count | None = None
    notes: str | None = None

    def value(self) -> Capability:
        known = self.experience_count if self.before_conductor is None else self.before_conductor
        return Capability(self.rating, self.max_complexity, known, self.notes or "")


class _Metrics(_Kept):
    tasks_completed: Count = 0
    success_rate: Annotated[float, Field(ge=0, le=100)] | None = None
    avg_completion_time_minutes: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    total_tokens_used: Annotated[int, Field(ge=0)] = 0


class _Agent(_Kept):
    model_id: ModelName
    openclaw_model_id: ModelName | None = None
    provider: str = ""
    agent: AgentName | None = None
    enabled: bool = True
    user_cost: _UserCost = _UserCost()
    capabilities: dict[Category, _Skill] = {}
    performance_metrics: _Metrics = _Metrics()


class _Form(_Kept):
    user_config: _UserConfig = _UserConfig()
    agents: dict[str, _Agent]


def from_claw(
    document: Mapping[str, Any], path: str, agents: Sequence[str] = (), serving: Mapping[str, str] | None = None
) -> Registry:
    """The registry of a document in that form. Raises SettingsInvalid with every fault."""
    form = checked(_Form, document, path)
    config, fallback = form.user_config, form.user_config.fallback
    rules = Rules(
        fallback.failure_penalty_points if fallback.penalize_failures else 0.0,
        config.prefer_free_when_equal,
        fallback.enabled,
    )
    models = tuple(_model(one, agents, serving or {}) for one in form.agents.values())
    return Registry(models, config.default_complexity_if_unknown, rules, path)


def _model(one: _Agent, agents: Sequence[str], serving: Mapping[str, str]) -> Model:
    agent, name = runner(one.model_dump(), agents, serving)
    cost = Cost(one.user_cost.type, one.user_cost.input_cost_per_million, one.user_cost.output_cost_per_million)
    return Model(
        agent, name, cost, {name: skill.value() for name, skill in one.capabilities.items()}, None, one.enabled
    )


def runner(entry: Mapping[str, Any], agents: Sequence[str], serving: Mapping[str, str]) -> tuple[str, str]:
    """(agent, model) that an entry stands for."""
    provider, model = str(entry.get("provider") or "").lower(), str(entry["model_id"])
    bare = model.removeprefix(f"{provider}/")
    if entry.get("agent"):
        return str(entry["agent"]), bare if entry["agent"] != OPENCLAW else _openclaw_model(entry, provider)
    ways = [(name, bare) for name in (serving.get(provider), VENDORS.get(provider)) if name]
    ways.append((OPENCLAW, _openclaw_model(entry, provider)))
    return next((way for way in ways if way[0] in agents), ways[0])


def _openclaw_model(entry: Mapping[str, Any], provider: str) -> str:
    """OpenClaw's names are `provider/model`."""
    name = str(entry.get("openclaw_model_id") or entry["model_id"])
    return name if "/" in name or not provider else f"{provider}/{name}"


# -- writing back


def write_back(path: str, records: Records, agents: Sequence[str], serving: Mapping[str, str]) -> None:
    """Writes experience and performance_metrics into the file; whatever else is in it stays as it is.

    Raises SettingsInvalid where it is not in that form.
    """
    document = read_document(path)
    if not is_claw(document):
        raise SettingsInvalid(f"{path} is not in the form of agent-registry.json: only that is written back")
    checked(_Form, document, path)
    entries = {key: _learned(entry, records, agents, serving) for key, entry in document["agents"].items()}
    content = json.dumps({**document, "agents": entries}, indent=2, ensure_ascii=False) + "\n"
    real = os.path.realpath(path)
    replace_file(real, content.encode(), stat.S_IMODE(os.stat(real).st_mode), synced=True)


def _learned(
    entry: Mapping[str, Any], records: Records, agents: Sequence[str], serving: Mapping[str, str]
) -> dict[str, Any]:
    of_model = records.get(Model(*runner(entry, agents, serving)).name, {})
    if not of_model:
        return dict(entry)
    skills = {name: _skill(skill, of_model.get(name)) for name, skill in entry.get("capabilities", {}).items()}
    return {
        **entry,
        **({"capabilities": skills} if skills else {}),
        "performance_metrics": _summed(entry.get("performance_metrics") or {}, total(of_model.values())),
    }


def _skill(skill: Mapping[str, Any], record: Record | None) -> dict[str, Any]:
    if record is None:
        return dict(skill)
    before = skill.get(_BEFORE, skill.get("experience_count", 0))
    return {**skill, "experience_count": before + record.succeeded, _BEFORE: before}


def _summed(found: Mapping[str, Any], ours: Record) -> dict[str, Any]:
    """Ours and what stood there before us, together."""
    before = found.get(_BEFORE) or {name: found[name] for name in metrics(Record()) if name in found}
    return {**found, **metrics(_as_record(before) + ours), _BEFORE: before}


def _as_record(before: Mapping[str, Any]) -> Record:
    done, rate = int(before.get("tasks_completed") or 0), float(before.get("success_rate") or 0.0)
    share = rate / 100 if rate > 1 else rate
    return Record(
        succeeded=done,
        failed=round(done / share) - done if share else 0,
        seconds=done * 60 * float(before.get("avg_completion_time_minutes") or 0.0),
        tokens=int(before.get("total_tokens_used") or 0),
    )
