"""Who is next: an agent that failed in a way that calls for another is passed by."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from conductor.domain.task import TaskSpec, parse_fallback


def without(spec: TaskSpec, passed: Collection[str]) -> TaskSpec:
    """`spec` with the first of its agent and fallbacks that is not in `passed`, and the rest as fallbacks; the last one
    stays in any case."""
    own = (spec.agent, spec.model)
    candidates = [own, *(parse_fallback(entry) for entry in spec.fallback)]
    left = [one for one in candidates if one[0] not in passed] or candidates[-1:]
    (agent, model), rest = left[0], left[1:]
    if (agent, model) == own and len(left) == len(candidates):
        return spec
    return replace(
        spec, agent=agent, model=model, fallback=tuple(f"{name}:{model}" if model else name for name, model in rest)
    )
