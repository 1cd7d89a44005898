"""The command line of scripts/bench. Standard library only: it is read before anything is installed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

FIGURES = {
    "throughput": "no-op tasks, 3 workers: conductor, RQ, Celery and task-spooler in turn",
    "latency": "submit to the agent's first instruction, idle daemon",
    "submit": "`conductor submit` as a whole process against `python -c 'import click'`",
    "batch": "`conductor submit -` with 10,000 lines",
    "claim": "a claim with 200,000 pending against one with 100",
    "idle": "50 idle workers: CPU, and memory a worker",
    "agents": "on top of an agent's turn: time, CPU, memory, a fast stream; the API agent's way to the wire",
    "dag": "the orchestrator: recorded workflows, what lies between steps, large plans, merging",
    "list": "`conductor list` with 1,000,000 finished and 10,000 waiting tasks",
    "memory": "conductord and nursery after 100,000 tasks against after the first ones",
    "start": "start with 100,000 pending and 50 stale claims, to the first new task",
}

_EXPLANATION = """\
Each figure is a ratio or a time from one run on this machine, real processes and a real disk; the numbers behind it
and how it was taken are printed with it. Nothing else should be busy meanwhile: the load is printed too. The whole
run takes half an hour, most of it `list` and `memory`; the others together five to ten minutes. Redis, Celery, RQ and
task-spooler run privately, on sockets in a temporary folder; what is not installed is skipped and named. Exit code 0
when every figure was reached, 1 when one was missed or could not be measured.

figures:
"""


def parse_options(arguments: Sequence[str]) -> argparse.Namespace:
    listed = "\n".join(f"  {name:<11} {what}" for name, what in FIGURES.items())
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measures what conductor must reach, and prints it.",
        epilog=_EXPLANATION + listed,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help="which to measure; all by default")
    parser.add_argument("--rounds", type=_positive, default=5, help="rounds of throughput, batch and start (5)")
    parser.add_argument("--tasks", type=_positive, default=600, help="tasks a round for conductor (600)")
    parser.add_argument("--samples", type=_positive, default=300, help="samples of latency and claim (300)")
    parser.add_argument("--pairs", type=_positive, default=40, help="pairs of processes for submit (40)")
    parser.add_argument("--idle-seconds", type=_positive, default=40, help="how long to watch the idle daemon (40)")
    parser.add_argument("--workflows", metavar="DIR", default="", help="recorded workflows (WfFormat 1.5) for dag")
    parser.add_argument("--large", type=_positive, default=10_000, help="steps of dag's largest run (10000)")
    parser.add_argument("--finished", type=_positive, default=1_000_000, help="finished tasks of list (1000000)")
    parser.add_argument("--memory-tasks", type=_positive, default=100_000, help="tasks of memory (100000)")
    parser.add_argument("--dir", default="/var/tmp", help="where temporary homes go: a real disk (/var/tmp)")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.figures if name not in FIGURES]
    if unknown:
        parser.error(f"no figure {unknown[0]!r}: there is {', '.join(FIGURES)}")
    options.figures = options.figures or list(FIGURES)
    return options


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
