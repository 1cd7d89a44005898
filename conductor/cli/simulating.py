"""`conductor sim`: a model API on loopback, so that everything can be tried without a key."""

from __future__ import annotations

import signal

import click

from conductor.testing.sim import Sim
from conductor.testing.sim.faults import NAMES, read_fault


@click.command(
    epilog=f"Faults: {NAMES}. Behind the name: nN for the first N model calls only, rN for retry-after N seconds, "
    "sN for a used-up subscription that resets in N seconds, ~TAG for a counter of its own."
)
@click.option("--port", type=click.IntRange(0, 65535), default=8199, show_default=True, help="0: any that is free.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed, the same answers and ids.")
@click.option(
    "--script", type=click.Path(exists=True, dir_okay=False), help="YAML: a list of {match: REGEX, do: [...]}."
)
@click.option("--fault", default="ok", show_default=True, metavar="NAME", help="What every request meets.")
@click.option("--record", type=click.Path(dir_okay=False), help="Appends each request as a JSON line, keys masked.")
def sim(port: int, seed: int, script: str | None, fault: str, record: str | None) -> int:
    """Serves a simulated model: Anthropic, OpenAI and Gemini protocols on 127.0.0.1, until Ctrl-C.

    \b
    Directives in a prompt:
      [[say WORDS]]  [[write PATH CONTENT]]  [[run COMMAND]]  [[read PATH]]
      [[think SECONDS]]  [[plan]]  [[review]]  [[together]]

    \b
    conductor sim --port 8199 &
    conductor sim --fault 429n2r5             limits, twice, for five seconds
    """
    read_fault(fault)
    wanted = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)  # before the threads begin: they inherit it
    server = Sim(port, seed, script, record, keep=0)
    server.fault = fault
    with server:
        click.echo(_greeting(server.url))
        signal.sigwait(wanted)
    return 0


def _greeting(url: str) -> str:
    return "\n".join(
        (
            f"conductor sim: a SIMULATED model API at {url}. No answer here comes from a real model.",
            "",
            "  use it:         CONDUCTOR_SIMULATE=" + url + " conductord",
            f"                  or, in conductor.yaml:  simulate: {url}",
            f"  with a fault:   {url}/fault/429r7  in front of any path, or  curl -X POST {url}/sim/fault/429r7",
            "  stop it:        Ctrl-C",
        )
    )
