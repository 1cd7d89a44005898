"""Wiring of the daemon."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from conductor.app import open_layout
from conductor.app.nursery import nursery_command, settle_left
from conductor.domain.home import Home
from conductor.domain.retry import RetryPolicy
from conductor.domain.task import DEFAULT_POOL
from conductor.settings.source import find_home

if TYPE_CHECKING:
    from conductor.domain.exposure import Finding
    from conductor.ports import Agent
    from conductor.settings.model import Settings
    from conductor.supervisor.plan import SupervisorPlan, UpkeepPlan
    from conductor.supervisor.policy import RestartPolicy
    from conductor.worker.config import WorkerConfig

_MOST_FILES_AT_START = 500


def retry_policy(settings: Settings) -> RetryPolicy:
    waits = settings.retry
    return RetryPolicy(
        settings.retries, waits.max_lost, waits.first_wait, waits.longest_wait, waits.transient, waits.verify
    )


def make_plan(home: Home, settings: Settings, kinds: Mapping[str, str], agents: Mapping[str, Agent]) -> SupervisorPlan:
    """What the supervisor and the nurseries are told, from checked settings and the agents that can be made."""
    from conductor.app.handing_on import settings_for
    from conductor.kit.cgroup import delegated_cgroup
    from conductor.supervisor.plan import OrchestratorPlan, PoolPlan, SupervisorPlan

    restart = _restart_policy(settings)
    cgroup = delegated_cgroup() if settings.cgroup == "auto" else settings.cgroup.removeprefix("off")
    common = _common_config(home, settings, kinds, cgroup)
    inherited = tuple(inherited_variables(settings).values())
    pools = {
        name: PoolPlan(pool.workers, _pool_config(common, name, pool.preload, settings, agents).to_json(), inherited)
        for name, pool in settings.all_pools().items()
    }
    return SupervisorPlan(
        pools=pools,
        default_agent=settings.agent,
        poll_interval=settings.poll_interval,
        stop_timeout=settings.stop_timeout,
        grace=settings.grace,
        timeout=settings.timeout,
        restart=restart,
        orchestrators=OrchestratorPlan(
            orchestrator_command(home),
            restart,
            settings.orchestrator.heartbeat.stale,
            lambda project: settings_for(home, settings, project),
        ),
        upkeep=_upkeep_plan(home, settings),
        cgroup=cgroup,
        warnings=tuple(_key_warnings(settings)),
    )


def inherited_variables(settings: Settings) -> dict[str, str]:
    """What agents get from us by way of our own environment; empty: not at all."""
    return {"OPENCLAW_BIN": settings.openclaw_bin, "DISCORD_CHANNEL": settings.discord_channel}


def _restart_policy(settings: Settings) -> RestartPolicy:
    from conductor.supervisor.policy import RestartPolicy

    restart = settings.restart
    return RestartPolicy(
        restart.budget,
        restart.first_delay,
        restart.longest_delay,
        restart.start_timeout,
        idle_timeout=settings.max_idle_time + 60.0,
    )


def _upkeep_plan(home: Home, settings: Settings) -> UpkeepPlan:
    from conductor.supervisor.plan import UpkeepPlan

    space, retention = settings.space, settings.retention
    return UpkeepPlan(
        min_free=space.min_free,
        min_free_inodes=space.min_free_inodes,
        results_bytes=space.results,
        events_bytes=space.events,
        keep=space.keep,
        sweep=sweep_command(home) if retention.older_than is not None else (),
        sweep_every=retention.every,
    )


def sweep_command(home: Home) -> tuple[str, ...]:
    """Removes what the settings say is too old. It ends with this process."""
    code = (
        f"from conductor.kit.process import end_with_parent; end_with_parent({os.getpid()}); "
        f"from conductor.app.cleaning import sweep; sweep({home.path!r})"
    )
    return sys.executable, "-P", "-c", code


def orchestrator_command(home: Home) -> Callable[[str], list[str]]:
    """Project to command line. It ends with this process. -P: what lies in the current directory is not imported."""

    def command(project: str) -> list[str]:
        code = (
            f"from conductor.kit.process import end_with_parent; end_with_parent({os.getpid()}); "
            "from conductor.app.orchestrator_process import run_orchestrator; "
            f"raise SystemExit(run_orchestrator({home.path!r}, {project!r}))"
        )
        return [sys.executable, "-P", "-c", code]

    return command


def _key_warnings(settings: Settings) -> Iterator[str]:
    """Keys and secrets that can't be used, or look like somebody else's."""
    from conductor.domain.errors import BadTask
    from conductor.kit.keys import key_faults, read_secrets_file

    for fault in key_faults(settings.agent_setups().values(), os.environ):
        yield f"provider {fault.provider.name}: {fault.what}"
    for name, project in settings.projects.items():
        try:
            if project.secrets:
                read_secrets_file(project.secrets)
        except BadTask as error:
            yield f"secrets of project {name}: {error}"


def _common_config(home: Home, settings: Settings, kinds: Mapping[str, str], cgroup: str) -> WorkerConfig:
    """What is the same for every pool."""
    from conductor.settings.limits import user_prices
    from conductor.worker.config import WorkerConfig

    return WorkerConfig(
        home=home.path,
        pool="",
        kinds=dict(kinds),
        agents={name: setup.to_dict() for name, setup in settings.agent_setups().items()},
        max_idle_seconds=settings.max_idle_time,
        timeout_seconds=settings.timeout,
        stall_seconds=settings.stall_timeout,
        grace_seconds=settings.grace,
        log_bytes=settings.log_cap,
        env_pass=(*settings.environment, "OPENCLAW_BIN", "DISCORD_CHANNEL"),
        models=settings.aliases(),
        project_secrets={name: project.secrets for name, project in settings.projects.items() if project.secrets},
        project_contexts={name: project.context for name, project in settings.projects.items() if project.context},
        limits=settings.limits.rules(),
        budgets=settings.budgets.rules(),
        prices=user_prices(home, settings.prices),
        cgroup=cgroup,
        retry=retry_policy(settings),
    )


def _pool_config(
    common: WorkerConfig, pool: str, preload: Iterable[str], settings: Settings, adapters: Mapping[str, Agent]
) -> WorkerConfig:
    """With what is worth loading in that pool's nursery: the adapters of the agents that are set up for it."""
    at_home = {name for name, one in settings.agents.items() if (one.pool or DEFAULT_POOL) == pool}
    if pool == DEFAULT_POOL and settings.agent not in ("", "command", *settings.agents):
        at_home.add(settings.agent)
    warm = sorted(name for name in at_home if name in adapters)
    modules = [*preload, *(module for name in warm for module in adapters[name].abilities.preload)]
    declared = {name: agent.abilities.memory_bytes for name, agent in adapters.items()}
    return replace(common, pool=pool, preload=tuple(dict.fromkeys(modules)), warm=tuple(warm), declared=declared)


def unsafe_at_start(home: Home, environment: Mapping[str, str]) -> Iterator[Finding]:
    """What `conductor audit` tells, in a bounded time, without the keys at fault that the plan warns of."""
    from conductor.app.audit import audit_findings

    found = audit_findings(home, environment, _MOST_FILES_AT_START)
    return (finding for finding in found if not finding.where.startswith("providers."))


def run_daemon(home_flag: str | None, flags: Mapping[str, Any], *, use_terminal: bool) -> int:
    """conductord, whole. Raises ConductorError when it can't start."""
    from conductor.app.in_force import SettingsInForce
    from conductor.app.sharing.door import shared_door, tighten
    from conductor.kit.process import make_unreadable
    from conductor.supervisor.boot import Boot
    from conductor.worker.private_folder import sweep_private_folders

    make_unreadable()
    tighten(find_home(os.environ, home_flag), os.environ)
    layout = open_layout(home_flag, os.environ)
    sweep_private_folders(layout.home.path, settle_left)
    boot = Boot(layout.home, os.environ, flags)
    with boot.only_daemon():
        in_force = SettingsInForce(layout, boot.load_settings)
        with shared_door(layout, in_force.settings.shared, os.environ):
            return boot.run(
                plan=in_force.plan,
                in_force=in_force,
                queue=in_force.queue,
                rotate_results=in_force.queue.rotate_results,
                inbox=layout.inbox,
                nursery_command=nursery_command,
                audit=lambda: unsafe_at_start(layout.home, os.environ),
                use_terminal=use_terminal,
            )
