"""What is settled before an agent starts: who it is, what it is asked, where it works, what it may see."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from conductor.domain.agent_setup import AgentSetup, Autonomy, ProviderSetup
from conductor.domain.errors import BadTask
from conductor.domain.models import check_thinking, resolve_model
from conductor.domain.providers import KNOWN_PROVIDERS
from conductor.domain.task import Claim, TaskSpec, parse_fallback
from conductor.kit.durable import write_plain
from conductor.kit.filesystem import remove_tree
from conductor.kit.keys import read_key, read_secrets_file
from conductor.ports import Agent, Endpoint, Gate, Launch, Prompt
from conductor.worker.bench import Workbench
from conductor.worker.environment import agent_environment
from conductor.worker.execute import AgentCommand
from conductor.worker.private_folder import make_private_folder, private_folder
from conductor.worker.prompt_parts import read_parts
from conductor.worker.prompting import render


@dataclass(frozen=True)
class Prepared:
    """An attempt that is ready to start."""

    agent: Agent
    prompt: Prompt
    command: AgentCommand
    gate: Gate | None
    secrets: frozenset[str]
    """Keys that this agent may come to know."""

    def undo(self) -> None:
        """It does not start after all."""
        _clear(self.gate, self.prompt.state_directory)


def _clear(gate: Gate | None, state_directory: str) -> None:
    if gate is not None:
        gate.close()
    if state_directory:
        remove_tree(state_directory)


def prepare(claim: Claim, bench: Workbench) -> Prepared:
    """Lays out workspace, private state and files. Raises BadTask and OSError with what is wrong."""
    agent = bench.agents(claim.spec.agent)
    workspace = _workspace(claim)
    if not agent.abilities.prompted:
        prompt = Prompt(claim.spec, claim.attempt, claim.directory, workspace, environment=bench.environment)
        return _ready(claim, bench, agent, prompt, _Access())
    access = _access(agent.setup, claim.spec, bench)
    try:
        prompt = _ask(claim, bench, agent, workspace, access)
        return _ready(claim, bench, agent, prompt, access)
    except BaseException:
        _clear(access.gate, private_folder(bench.config.home, claim.worker_id))
        raise


def _workspace(claim: Claim) -> str:
    workspace = claim.spec.workspace or f"{claim.directory}/work"
    if not claim.spec.workspace:
        os.makedirs(workspace, mode=0o700, exist_ok=True)
    elif not os.path.isdir(workspace):
        raise BadTask(f"the workspace {workspace} is gone")
    return workspace


@dataclass(frozen=True)
class _Access:
    """How an agent comes to its models."""

    endpoint: Endpoint | None = None
    gate: Gate | None = None
    secrets: frozenset[str] = frozenset()


def _access(setup: AgentSetup, spec: TaskSpec, bench: Workbench) -> _Access:
    """Through a gate with the key, or straight to the provider with it; without a key by the agent's own login."""
    provider = setup.provider
    if provider is None:
        return _Access()
    key = read_key(provider.key, _key_environment(spec.project, bench)) if provider.key else ""
    if provider.key and not key:
        return _own_login(provider)
    if setup.gate and bench.open_gate is not None:
        gate = bench.open_gate(provider, key)
        return _Access(gate.endpoint, gate, frozenset(filter(None, (key,))))
    return _Access(Endpoint(provider.base_url, key), None, frozenset(filter(None, (key,))))


def _own_login(provider: ProviderSetup) -> _Access:
    """Without a key the agent's own login does, but only where that leads to the same place."""
    known = KNOWN_PROVIDERS.get(provider.name)
    if known is None or (known.base_url, known.key) != (provider.base_url, provider.key):
        raise BadTask(f"provider {provider.name}: there is no key at {provider.key}, where its settings say it is")
    return _Access()


def _key_environment(project: str, bench: Workbench) -> Mapping[str, str]:
    """The daemon's environment, and over it the project's own secrets."""
    path = bench.config.project_secrets.get(project, "")
    return {**bench.environment, **read_secrets_file(path)} if path else bench.environment


def _ask(claim: Claim, bench: Workbench, agent: Agent, workspace: str, access: _Access) -> Prompt:
    spec, setup, config = claim.spec, agent.setup, bench.config
    thinking = spec.thinking or setup.thinking
    state = make_private_folder(config.home, claim.worker_id, bench.settle_left)
    autonomy = Autonomy(spec.autonomy) if spec.autonomy else setup.autonomy
    provider = setup.provider.name if setup.provider else ""
    parts = read_parts(claim, workspace, autonomy, setup.kind, config.project_contexts.get(spec.project, ""))
    return Prompt(
        spec,
        claim.attempt,
        claim.directory,
        workspace,
        text=render(parts, f"{config.home}/templates"),
        model=resolve_model(spec.model or setup.model, setup.kind, config.models, provider),
        thinking=_level(thinking, agent, spec),
        autonomy=autonomy,
        endpoint=access.endpoint,
        state_directory=state,
        environment=_key_environment(spec.project, bench),
    )


def _level(asked: str, agent: Agent, spec: TaskSpec) -> str:
    """The level as this agent has it; one that a fallback does not have is left out: it was asked of another."""
    name = agent.setup.name
    try:
        return check_thinking(asked, agent.abilities.thinking, name) if asked else ""
    except BadTask:
        if any(parse_fallback(entry)[0] == name for entry in spec.fallback):
            return ""
        raise


def _ready(claim: Claim, bench: Workbench, agent: Agent, prompt: Prompt, access: _Access) -> Prepared:
    config = bench.config
    launch = agent.launch(prompt)
    _write_files(launch, claim.directory, prompt.state_directory)
    env = agent_environment(bench.environment, config.env_pass, claim, config.home, launch.env)
    command = AgentCommand(
        launch.argv,
        env,
        prompt.workspace,
        f"{config.cgroup}/{claim.worker_id}" if config.cgroup else "",
        os.path.join(claim.directory, launch.stdin) if launch.stdin else os.devnull,
        launch.call,
    )
    return Prepared(agent, prompt, command, access.gate, access.secrets)


def _write_files(launch: Launch, attempt_directory: str, state_directory: str) -> None:
    """Relative ones into the attempt's folder, absolute ones into the state directory and nowhere else."""
    for name, content in launch.files:
        path = os.path.normpath(os.path.join(attempt_directory, name))
        if not any(root and path.startswith(f"{root}/") for root in (attempt_directory, state_directory)):
            raise BadTask(f"the agent wants to write {path}, outside its own folders")
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        write_plain(path, content.encode())
