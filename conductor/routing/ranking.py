"""Who may do a step, best first, and why the others may not. Pure: all that is known is handed in."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from conductor.domain.agent_setup import THINKING_LEVELS
from conductor.ports.orchestration import Candidate, Choice, PassedOver
from conductor.routing.registry import Model, Registry
from conductor.routing.scoring import Known, Score, score

PARKED_PART = "parked_seconds"
"""No points: how long a candidate is parked still, where all are."""
_SCALE = tuple(level for level in THINKING_LEVELS if level != "adaptive")


@dataclass(frozen=True, slots=True)
class Need:
    """What a step asks for."""

    category: str
    complexity: int
    model: str = ""
    """Empty: any."""
    thinking: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """How an agent stands here and now."""

    fault: str = ""
    """Why it can't run at all, for a person: not installed."""
    no_access: str = ""
    """Why it would be refused, as far as can be seen: no key and no login."""
    parked: str = ""
    """What holds it up, for a person."""
    parked_until: float = 0.0
    """Seconds since 1970; infinite where only a person ends it."""
    prompted: bool = True
    """It asks a model. Others run what they are given as it is: only a step that names them goes there."""
    thinking: tuple[str, ...] | None = None
    """Levels that it accepts; None: any text."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a choice depends on beside the step."""

    now: float
    standing: Callable[[str], Standing | None]
    """Of an agent; None: there is none of that name."""
    known: Callable[[Model, str], Known]
    usd: Callable[[Model, Need], float | None]
    same_model: Callable[[str, str, str], bool]
    """(agent, asked, its model): whether both names mean the same to that agent."""


@dataclass(frozen=True, slots=True)
class _Ranked:
    model: Model
    score: Score
    rating: float
    standing: Standing

    @property
    def order(self) -> tuple[float, float, tuple[int, float], str, str]:
        return -self.score.points, -self.rating, self.model.cost.order, self.model.agent, self.model.model


def rank(need: Need, registry: Registry, scene: Scene) -> Choice:
    """Points decide; then rating, cost and name, so that the order of the registry never matters.

    Whoever is parked is passed over while somebody else can start. Where all that could do it are parked they stay
    candidates, the first to open first: the task waits in its lane.
    """
    fit: list[_Ranked] = []
    passed: list[PassedOver] = []
    for model in registry.models:
        found = _weighed(model, need, registry, scene)
        if isinstance(found, str):
            passed.append(PassedOver(model.agent, model.model, found))
        else:
            fit.append(found)
    fit.sort(key=lambda one: one.order)
    free = [one for one in fit if not one.standing.parked]
    if free:
        passed += [_passed(one, one.standing.parked) for one in fit if one.standing.parked]
    chosen = free or sorted(fit, key=lambda one: one.standing.parked_until)
    if not registry.rules.fallback:
        passed += [_passed(one, "the registry allows no fallback") for one in chosen[1:]]
        chosen = chosen[:1]
    passed.sort(key=lambda one: (one.agent, one.model))
    return Choice(tuple(_candidate(one, need, scene) for one in chosen), tuple(passed))


def _weighed(model: Model, need: Need, registry: Registry, scene: Scene) -> _Ranked | str:
    """Its place among the others, or why it has none."""
    capability = model.capability(need.category)
    if not model.enabled:
        return "disabled in the registry"
    if need.model and not scene.same_model(model.agent, need.model, model.model):
        return f"the step asks for model {need.model}"
    if capability is None:
        return f"the registry says nothing of it for {need.category}"
    points = score(
        capability,
        need.complexity,
        scene.known(model, need.category),
        is_free=model.cost.is_free,
        rules=registry.rules,
    )
    if points is None:
        return f"trusted up to complexity {capability.max_complexity}, the step has {need.complexity}"
    standing = scene.standing(model.agent)
    why = obstacle(model.agent, standing)
    return _Ranked(model, points, capability.rating, standing) if standing is not None and not why else why


def obstacle(agent: str, standing: Standing | None) -> str:
    """Why the agent can take no step that does not name it; empty: it can."""
    if standing is None:
        return f"there is no agent {agent} here"
    if not standing.prompted:
        return "it runs its text as it is, so a step must name it"
    if standing.parked and math.isinf(standing.parked_until):
        return standing.parked
    return standing.fault or standing.no_access


def _passed(one: _Ranked, why: str) -> PassedOver:
    return PassedOver(one.model.agent, one.model.model, why)


def _candidate(one: _Ranked, need: Need, scene: Scene) -> Candidate:
    waits = max(0.0, round(one.standing.parked_until - scene.now)) if one.standing.parked else 0.0
    return Candidate(
        agent=one.model.agent,
        model=one.model.model,
        thinking=fitting_level(need.thinking, one.standing.thinking),
        score=one.score.shown,
        parts=(*one.score.parts, *(((PARKED_PART, waits),) if one.standing.parked else ())),
        usd_expected=scene.usd(one.model, need),
    )


def fitting_level(wanted: str, accepted: tuple[str, ...] | None) -> str:
    """The highest level an agent accepts that is not above `wanted`, else its lowest; empty, its own default, where
    it accepts none or `wanted` is no level known here."""
    if not wanted or accepted is None or wanted in accepted:
        return wanted
    if wanted not in _SCALE:
        return ""
    known = sorted((level for level in accepted if level in _SCALE), key=_SCALE.index)
    below = [level for level in known if _SCALE.index(level) <= _SCALE.index(wanted)]
    return below[-1] if below else next(iter(known), "")
