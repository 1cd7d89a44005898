"""Agents and model providers in conductor.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, ValidationError

from conductor.domain.agent_setup import AgentSetup, Autonomy, ProviderSetup
from conductor.domain.exposure import is_exposed, is_private
from conductor.domain.providers import DEFAULT_PROVIDER, KNOWN_PROVIDERS
from conductor.settings.faults import whats_in
from conductor.settings.generic import GenericOptions
from conductor.settings.nearest import unknown
from conductor.settings.orchestration import OrchestratorSettings
from conductor.settings.places import Key
from conductor.settings.values import Bytes, Name, Strict


def _key_reference(text: str) -> str:
    kind, colon, name = text.partition(":")
    if text and (kind not in ("env", "file", "credential") or not colon or not name):
        raise ValueError("say where the key is, not the key: env:NAME, file:/PATH or credential:NAME")
    return text


def _base_url(url: str) -> str:
    if url and ((is_exposed(url) and not is_private(url)) or not urlsplit(url).hostname):
        raise ValueError("a provider is reached by https://, or by http:// on this machine or at a private IP address")
    return url.rstrip("/")


AbsolutePath = Annotated[str, Field(pattern=r"^(/.*)?$")]
SIMULATED_KEY = "literal:no-key-for-the-simulated-model"
"""No word that anybody writes: whatever is used as a key is masked in every answer and log."""

KeyReference = Annotated[str, AfterValidator(_key_reference)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]


class ProviderSettings(Strict):
    form: Literal["anthropic", "openai", "gemini"] | None = Field(None, description="the protocol it speaks")
    base_url: BaseUrl = Field("", description="up to, not including, /v1")
    key: KeyReference | None = Field(None, description="where its key is: env:NAME, file:/PATH, credential:NAME")
    account: Name = Field("default", description="limits belong to a provider and an account")
    concurrency: int | None = Field(None, ge=1, le=1000, description="most agents at once")


class ProjectSettings(Strict):
    secrets: AbsolutePath = Field("", description="NAME=VALUE lines, mode 0600: keys for this project's agents alone")
    context: AbsolutePath = Field("", description="a file whose text every prompt of the project begins with")
    orchestrator: OrchestratorSettings | None = Field(None, description="what differs from `orchestrator` for it")


class AgentSettings(Strict):
    """One agent. What only its kind knows stands beside these."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: Name | None = Field(None, description="the adapter; by default that of the agent's own name")
    bin: str = Field("", description="its program: a name on the PATH, or a path")
    provider: Name | None = Field(None, description="whose models it uses; none: it has a login of its own")
    gate: bool = Field(True, description="a proxy between agent and provider that holds the key and counts")
    model: str = Field("", pattern=r"^([^-].*)?$", description="when the task names none")
    thinking: str = Field("", description="when the task names none")
    autonomy: Autonomy | None = Field(None, description="read-only, workspace or full")
    pool: Name | None = Field(None, description="where its tasks go when they name no pool")
    memory: Bytes | None = Field(None, description="what one run takes at its peak")


SetupFault = tuple[Key, str]
"""The way to what is wrong in the settings, and what is."""


def setups_of(
    agents: Mapping[str, AgentSettings],
    providers: Mapping[str, ProviderSettings],
    autonomy: Autonomy,
    simulate: str,
    kinds: Iterable[str] = DEFAULT_PROVIDER,
) -> dict[str, AgentSetup]:
    """Every agent there is: those of the settings, and each known kind under its own name.

    `simulate` is the address of a `conductor sim`: every provider is found there then. Raises ValueError.
    """
    faults = setup_faults(agents, providers, simulate, kinds)
    if faults:
        raise ValueError("; ".join(f"{'.'.join(map(str, key))}: {what}" for key, what in faults))
    known = _known_providers(providers, simulate)
    return {name: _setup(name, one, known, autonomy) for name, one in _named(agents, kinds).items()}


def setup_faults(
    agents: Mapping[str, AgentSettings],
    providers: Mapping[str, ProviderSettings],
    simulate: str,
    kinds: Iterable[str] = DEFAULT_PROVIDER,
) -> list[SetupFault]:
    """What only all of them together show to be wrong."""
    known = _known_providers(providers, simulate)
    no_address = [name for name, setup in known.items() if not setup.base_url]
    faults: list[SetupFault] = [(("providers", name, "base_url"), "must be given") for name in no_address]
    for name, one in _named(agents, kinds).items():
        kind, provider = one.kind or name, _provider_name(one, name)
        if provider != "none" and provider not in known:
            what = f"no provider {provider!r}: there is {', '.join(sorted(known))}"
            faults.append((("agents", name, "provider"), what))
        faults.extend(_option_faults(("agents", name), kind, one.model_extra or {}))
    return faults


def _named(agents: Mapping[str, AgentSettings], kinds: Iterable[str]) -> dict[str, AgentSettings]:
    return {**{kind: AgentSettings.model_validate({}) for kind in kinds}, **agents}


def _known_providers(providers: Mapping[str, ProviderSettings], simulate: str) -> dict[str, ProviderSetup]:
    return {name: _provider(name, providers, simulate) for name in {*KNOWN_PROVIDERS, *providers}}


def _provider(name: str, providers: Mapping[str, ProviderSettings], simulate: str) -> ProviderSetup:
    given = providers.get(name, ProviderSettings.model_validate({}))
    base = KNOWN_PROVIDERS.get(name, ProviderSetup(name, "openai", ""))
    setup = replace(
        base,
        form=given.form or base.form,
        base_url=given.base_url or base.base_url,
        key=base.key if given.key is None else given.key,
        account=given.account,
        concurrency=given.concurrency,
    )
    return replace(setup, base_url=simulate.rstrip("/"), key=SIMULATED_KEY) if simulate else setup


def _provider_name(agent: AgentSettings, name: str) -> str:
    return agent.provider or DEFAULT_PROVIDER.get(agent.kind or name, "none")


def _option_faults(key: Key, kind: str, options: Mapping[str, Any]) -> list[SetupFault]:
    """Of what stands beside the settings that every agent has."""
    if kind == "generic":
        try:
            GenericOptions.model_validate(options)
        except ValidationError as error:
            return whats_in(error, options, key)
    if kind not in _OPTIONS:
        return []  # a plug-in's
    known = (*AgentSettings.model_fields, *_OPTIONS[kind])
    return [((*key, option), unknown(option, known)) for option in options if option not in _OPTIONS[kind]]


_LOOP_OPTIONS = ("max_turns", "budget_tokens", "window", "max_tokens", "silence_seconds", "tools", "path", "extra")
_OPTIONS: dict[str, tuple[str, ...]] = {
    "command": (),
    "claude": ("max_turns",),
    "codex": ("network",),
    "gemini": ("max_turns",),
    "opencode": (),
    "openclaw": ("context_window", "max_tokens", "retries"),
    "anthropic": _LOOP_OPTIONS,
    "chat": _LOOP_OPTIONS,
}
"""What only a kind itself knows, as its adapter reads it. A plug-in's options are its own affair."""


def _setup(name: str, given: AgentSettings, providers: Mapping[str, ProviderSetup], autonomy: Autonomy) -> AgentSetup:
    kind = given.kind or name
    options: dict[str, Any] = dict(given.model_extra or {})
    if kind == "generic":
        options = GenericOptions.model_validate(options).model_dump(mode="json")
    return AgentSetup(
        name=name,
        kind=kind,
        binary=given.bin,
        provider=providers.get(_provider_name(given, name)),
        gate=given.gate,
        model=given.model,
        thinking=given.thinking,
        autonomy=given.autonomy or autonomy,
        memory_bytes=given.memory,
        options=options,
    )
