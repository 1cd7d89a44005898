"""Wiring of a nursery and its workers."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from conductor.app import quick_queue
from conductor.domain.errors import ConductorError
from conductor.domain.home import Home
from conductor.queue.layout import Layout, open_home

if TYPE_CHECKING:
    from conductor.domain.agent_events import Limit
    from conductor.domain.agent_setup import AgentSetup, ProviderSetup
    from conductor.domain.task import TaskSpec
    from conductor.domain.usage import Price
    from conductor.gate.server import Gates
    from conductor.limits.doorkeeper import Doors
    from conductor.limits.ledger import DayLedger
    from conductor.limits.prices import PriceList
    from conductor.ports import AgentRegistry, Charge, Gate, Log, TaskQueue
    from conductor.worker.config import WorkerConfig
    from conductor.worker.life import WorkerTools


def nursery_command(control_fd: int, report_fd: int) -> list[str]:
    """-P: what lies in the current directory is not imported. It ends by os._exit: no thread and no exit handler that
    a preloaded module left can hold it."""
    code = f"import os; from conductor.app.nursery import run_nursery; os._exit(run_nursery({control_fd}, {report_fd}))"
    return [sys.executable, "-P", "-c", code]


def run_nursery(control_fd: int, report_fd: int) -> int:
    """The nursery process: reads its settings from the first line on its socket, then forks until told to end."""
    from importlib import import_module

    from conductor.agents.registry import registry
    from conductor.domain.exits import WorkerExit
    from conductor.domain.masking import Masker, secret_values
    from conductor.kit.jsonlog import JsonLog
    from conductor.kit.process import make_unreadable
    from conductor.worker.config import WorkerConfig
    from conductor.worker.nursery import Nursery, adopt_descriptors

    make_unreadable()  # keys are in our environment and in each worker's, and agents run as the same user
    control = adopt_descriptors(control_fd, report_fd)
    log = JsonLog(Masker(secret_values(os.environ)).mask, process="nursery")
    try:
        config = WorkerConfig.from_json(_first_line(control.fileno()))
        log = log.bind(pool=config.pool)
        agents = registry(config.agents, config.kinds)
        for module in (*config.preload, "conductor.agents.command"):
            import_module(module)
        for name in config.warm:
            agents(name)
    except Exception as error:  # whatever a preloaded module does as it is imported, another try would do again
        log.error("nursery_cannot_start", error=f"{type(error).__name__}: {error}")
        return int(WorkerExit.CANNOT_START)
    try:
        rehearse(config, agents, log)
    except (OSError, ConductorError) as error:
        log.warning("rehearsal_left_out", error=str(error), costs="only speed")
    return Nursery(control, report_fd, worker_tools(config, agents, log)).run()


def worker_tools(config: WorkerConfig, agents: AgentRegistry, log: Log) -> WorkerTools:
    """What each worker of a nursery works with. The rooms that only agents with models need are loaded before the
    first fork where the pool is for such agents, else by the worker that meets one."""
    from conductor.domain.agent_setup import AgentSetup
    from conductor.worker.life import WorkerTools

    layout = Layout(Home(config.home))
    rooms = LateRooms(config, {name: AgentSetup.from_dict(fields) for name, fields in config.agents.items()}, log)
    if config.warm:
        rooms.make_gates_ready()
    return WorkerTools(
        config,
        quick_queue(layout, config.retry, rooms),
        agents,
        dict(os.environ),
        log,
        open_gate=rooms.open_gate,
        doorkeeper=rooms,
        ledger=rooms,
        price_of_model=rooms.price,
        settle_left=settle_left,
    )


def settle_left(private_folder: str) -> None:
    from conductor.agents.private_state import take_left_home

    take_left_home(private_folder)


class LateRooms:
    """Limits, ledger, prices and gate, loaded when a task first needs them: most tasks of `command` never do."""

    def __init__(self, config: WorkerConfig, setups: Mapping[str, AgentSetup], log: Log) -> None:
        self._config = config
        self._setups = setups
        self._log = log
        self._loaded: tuple[Doors, DayLedger, PriceList] | None = None
        self._gates: Gates | None = None

    def load(self) -> tuple[Doors, DayLedger, PriceList]:
        if self._loaded is None:
            from conductor.gate.server import Gates
            from conductor.limits.doorkeeper import Doors, World
            from conductor.limits.ledger import DayLedger
            from conductor.limits.prices import PriceList

            self._gates = Gates(os.environ, self._log)
            config, rules = self._config, (self._config.limits, self._config.budgets)
            doors = Doors(config.home, self._setups, config.declared, rules, World(log=self._log))
            self._loaded = doors, DayLedger(config.home, config.budgets, log=self._log), PriceList(config.prices)
        return self._loaded

    # -- the port Doorkeeper

    def lane(self, spec: TaskSpec) -> str:
        return self.load()[0].lane(spec) if spec.agent in self._setups else ""

    def is_open(self, lane: str) -> bool:
        return self.load()[0].is_open(lane)

    def admit(self, spec: TaskSpec, worker_id: str) -> TaskSpec | None:
        return self.load()[0].admit(spec, worker_id)

    def release(self, worker_id: str) -> None:
        if self._loaded is not None:
            self._loaded[0].release(worker_id)

    def park(self, agent: str, limit: Limit) -> float:
        return self.load()[0].park(agent, limit)

    def learn(self, agent: str, *, succeeded: bool, peak_bytes: int | None, version: str = "") -> None:
        self.load()[0].learn(agent, succeeded=succeeded, peak_bytes=peak_bytes, version=version)

    def why(self, spec: TaskSpec) -> str:
        return self.load()[0].why(spec)

    # -- the port Ledger, prices, the gate

    def charge(self, charge: Charge) -> str:
        return self.load()[1].charge(charge)

    def warning(self) -> str:
        return self.load()[1].warning()

    def price(self, model: str) -> Price | None:
        return self.load()[2].price(model)

    def open_gate(self, provider: ProviderSetup, key: str) -> Gate:
        self.load()
        assert self._gates is not None  # loaded with the rest
        return self._gates(provider, key)

    def make_gates_ready(self) -> None:
        """Before the first fork: what gates to the providers of this pool's agents need, and the prices, are loaded
        once for all."""
        self.price("")
        for name in self._config.warm:
            provider = self._setups[name].provider if name in self._setups else None
            if provider is not None and self._gates is not None:
                try:
                    self._gates.make_ready(provider)
                except (OSError, ConductorError) as error:  # its tasks will say so; others need not suffer
                    self._log.warning("gate_not_ready", provider=provider.name, error=str(error))


def rehearse(config: WorkerConfig, agents: AgentRegistry, log: Log) -> None:
    """Runs a few no-op tasks on a throw-away home in memory before the first fork.

    Python specialises code as it runs; done here once, each worker finds it done, and copies fewer pages for it
    (a third less CPU a task, measured). Without a RAM disk it is left out: it only costs speed.
    """
    from dataclasses import replace

    from conductor.domain.task import TaskSpec
    from conductor.worker.life import WorkerTools
    from conductor.worker.rehearsal import ATTEMPTS, perform, scratch_folder

    with scratch_folder() as scratch:
        if not scratch:
            return
        layout = open_home(Home(f"{scratch}/home"))
        queue = quick_queue(layout, config.retry)
        for number in range(ATTEMPTS):
            queue.submit(TaskSpec(f"r-{number}", "true", agent="command", pool=config.pool, workspace=scratch))
        stage = replace(config, home=layout.home.path, max_idle_seconds=0.001)
        perform(WorkerTools(stage, queue, agents, dict(os.environ), log))
        if config.warm:
            _rehearse_agent(stage, queue, scratch, log)


def _rehearse_agent(stage: WorkerConfig, queue: TaskQueue, workspace: str, log: Log) -> None:
    """The way of an agent that asks a model: prompt, private state, events, judgement, charges. Without a gate: its
    threads must not be there when the nursery forks."""
    from dataclasses import replace

    from conductor.agents.registry import registry
    from conductor.domain.agent_setup import AgentSetup
    from conductor.domain.task import TaskSpec
    from conductor.worker.rehearsal import ATTEMPTS, perform

    options = {"argv": ["/bin/echo", '{"say": "well"}'], "output": "jsonl", "paths": {"text": "say"}}
    setup = AgentSetup("rehearsal", "generic", memory_bytes=4096, options=options).to_dict()
    alone = replace(stage, agents={"rehearsal": setup}, warm=("rehearsal",))
    for number in range(ATTEMPTS):
        queue.submit(TaskSpec(f"m-{number}", "x", agent="rehearsal", pool=stage.pool, workspace=workspace))
    perform(worker_tools(alone, registry(alone.agents, alone.kinds), log))


def _first_line(descriptor: int) -> str:
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(descriptor, 1)
        if not byte:
            raise ValueError("the supervisor left before it sent the settings")
        line += byte
    return line.decode()
