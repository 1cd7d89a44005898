"""What is settled before an agent starts: who it is, what it is asked, where it works, what it may see."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from conductor.domain.agent_setup import AgentSetup, Autonomy
from conductor.domain.errors import BadTask
from conductor.domain.failure import Failure, Remedy, remedy_for
from conductor.domain.models import check_thinking, resolve_model
from conductor.domain.task import Claim, TaskSpec
from conductor.kit.durable import write_plain
from conductor.kit.keys import read_key, read_secrets_file
from conductor.ports import Agent, Endpoint, Gate, Launch, Prompt
from conductor.worker.bench import Workbench
from conductor.worker.environment import agent_environment
from conductor.worker.execute import AgentCommand
from conductor.worker.private_folder import make_private_folder
from conductor.worker.prompt_parts import read_history, read_parts
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


def prepare(claim: Claim, bench: Workbench) -> Prepared:
    """Lays out workspace, private state and files. Raises BadTask and OSError with what is wrong."""
    agent = bench.agents(claim.spec.agent)
    if agent.abilities.prompted and claim.attempt > 1:
        claim = replace(claim, spec=after_switch(claim.spec, _failures(claim)))
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
        if access.gate is not None:
            access.gate.close()
        raise


def after_switch(spec: TaskSpec, earlier: list[Failure]) -> TaskSpec:
    """`spec` for the one of its agent and fallbacks whose turn it is: each failure that calls for another has passed
    one of them by."""
    passed = sum(remedy_for(failure) is Remedy.SWITCH for failure in earlier)
    if not passed or not spec.fallback:
        return spec
    agent, _, model = spec.fallback[min(passed, len(spec.fallback)) - 1].partition(":")
    return replace(spec, agent=agent, model=model)


def _failures(claim: Claim) -> list[Failure]:
    """The classes of the failures that count: not those that a limit made, not those that were forgiven."""
    history = read_history(os.path.dirname(claim.directory), claim.attempt)
    known = {failure.value: failure for failure in Failure}
    found = [known.get(one.failure, Failure.NONE) for one in history if one.failure != Failure.LIMIT]
    counted = claim.tries.failures - 1
    return found[-counted:] if counted > 0 else []


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
        return _Access()
    if setup.gate and bench.open_gate is not None:
        gate = bench.open_gate(provider, key)
        return _Access(gate.endpoint, gate, frozenset(filter(None, (key,))))
    return _Access(Endpoint(provider.base_url, key), None, frozenset(filter(None, (key,))))


def _key_environment(project: str, bench: Workbench) -> Mapping[str, str]:
    """The daemon's environment, and over it the project's own secrets."""
    path = bench.config.project_secrets.get(project, "")
    return {**bench.environment, **read_secrets_file(path)} if path else bench.environment


def _ask(claim: Claim, bench: Workbench, agent: Agent, workspace: str, access: _Access) -> Prompt:
    spec, setup, config = claim.spec, agent.setup, bench.config
    thinking = spec.thinking or setup.thinking
    state = make_private_folder(config.home, claim.worker_id)
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
        thinking=check_thinking(thinking, agent.abilities.thinking, setup.name) if thinking else "",
        autonomy=autonomy,
        endpoint=access.endpoint,
        state_directory=state,
        environment=bench.environment,
    )


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
