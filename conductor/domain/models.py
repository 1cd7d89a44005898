"""Names of models: aliases that mean the fitting model of each kind of agent, and levels of thinking."""

from __future__ import annotations

from collections.abc import Mapping

from conductor.domain.errors import BadTask
from conductor.domain.providers import DEFAULT_PROVIDER

Aliases = Mapping[str, Mapping[str, str]]
"""Alias to kind of agent to model; the kind `*` stands for all that are not named."""

DEFAULT_ALIASES: Aliases = {
    "cheap": {
        "claude": "haiku",
        "anthropic": "claude-haiku-5-5",
        "codex": "gpt-6-luna",
        "gemini": "flash",
        "opencode": "anthropic/claude-haiku-4-5",
    },
    "primary": {
        "claude": "sonnet",
        "anthropic": "claude-sonnet-5-5",
        "codex": "gpt-6.1-sol",
        "gemini": "pro",
        "opencode": "anthropic/claude-sonnet-5",
    },
    "coder": {
        "claude": "sonnet",
        "anthropic": "claude-sonnet-5-5",
        "codex": "gpt-6.1-sol",
        "gemini": "pro",
        "opencode": "anthropic/claude-sonnet-5",
    },
    "research": {
        "claude": "opus",
        "anthropic": "claude-opus-5-5",
        "codex": "gpt-6-astra",
        "gemini": "pro",
        "opencode": "anthropic/claude-opus-5",
    },
}
"""Each name was found in the program's own catalogue or its vendor's SDK: Claude Code and Gemini CLI follow their
newest models by such names themselves. A kind that is missing serves whatever its endpoint has: the user must say."""

_LONG_NAMES = frozenset({"opencode", "openclaw"})
"""Kinds whose own names of models are `provider/model`."""


def merged_aliases(given: Mapping[str, str | Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """The aliases there are: `given` (the settings' `models`) over our own. A plain model is that of every kind."""
    merged = {alias: dict(models) for alias, models in DEFAULT_ALIASES.items()}
    for alias, models in given.items():
        merged[alias] = {"*": models} if isinstance(models, str) else {**merged.get(alias, {}), **models}
    return merged


def resolve_model(asked: str, kind: str, aliases: Aliases, provider: str = "") -> str:
    """The name that an agent of `kind` is given for `asked`; empty stays empty, the agent's own default.

    An alias may stand for another one. The name of the agent's own `provider` in front of a model is left out, except
    where the kind wants it there. Raises BadTask where an alias has no model for this kind.
    """
    model, seen = asked, {asked}
    while model in aliases:
        meant = _of_kind(model, kind, aliases[model])
        if meant == model:
            break  # `sonnet: {claude: sonnet}` means the model of that name
        if meant in seen:
            raise BadTask(f"model {asked!r} stands for itself in conductor.yaml (models: {meant}): name a model")
        model = meant
        seen.add(meant)
    own = provider or DEFAULT_PROVIDER.get(kind, "")
    if own and kind not in _LONG_NAMES and model.startswith(f"{own}/"):
        return model.removeprefix(f"{own}/")
    return model


def _of_kind(alias: str, kind: str, models: Mapping[str, str]) -> str:
    found = models.get(kind) or models.get("*", "")
    if not found:
        raise BadTask(
            f"model {alias!r} means nothing to {kind} yet: say `models: {{{alias}: {{{kind}: MODEL}}}}`"
            " in conductor.yaml, or name a model"
        )
    return found


def check_thinking(level: str, accepted: tuple[str, ...], agent: str) -> str:
    """`level` as the agent wants it; any text where it declares no levels. Raises BadTask with what it accepts."""
    wanted = level.strip().lower()
    if not wanted or wanted in accepted:
        return wanted
    if not accepted:
        return level.strip()
    raise BadTask(f"agent {agent} has no thinking level {level[:40]!r}: it accepts {', '.join(accepted)}")
