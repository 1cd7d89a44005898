"""`conductor demo`: the main job on real input, in a home of its own that is gone afterwards."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import click

from conductor.app import open_layout, quick_queue, ring_doorbell
from conductor.cli.demo_build import build_and_show, settings_of
from conductor.cli.waiting import ResultsFollower
from conductor.domain.durations import format_duration
from conductor.domain.errors import ConductorError
from conductor.domain.lines import format_result
from conductor.domain.outcome import Status
from conductor.domain.task import TaskSpec
from conductor.kit.durable import replace_file
from conductor.kit.ids import stamped_id
from conductor.queue.directory import DirectoryQueue
from conductor.queue.layout import Layout

_DEADLINE_SECONDS = 60.0
_FILES = "find . -type f -not -path './.*' -not -name '*.pyc'"
_PYTHON = f"{_FILES} -name '*.py'"
_SUMS = '"$CONDUCTOR_TASK_DIR/sums"'
_TAR = '"$CONDUCTOR_TASK_DIR/tree.tgz"'
TASKS = {
    "checksums": f"{_FILES} -exec sha256sum {{}} + | sort > {_SUMS}; "
    f"echo $(wc -l < {_SUMS}) files, all together $(sha256sum < {_SUMS} | cut -c1-16)",
    "compression": f"{_FILES} -print0 | tar czf {_TAR} --null -T -; echo $(wc -c < {_TAR}) bytes compressed",
    "words": f"{_PYTHON} -exec cat {{}} + | wc -w | sed 's/$/ words of Python/'",
    "commonest": f"{_PYTHON} -exec cat {{}} + | tr -cs A-Za-z '\\n' | sort | uniq -c | sort -rn | sed 3q | xargs",
    "longest": f"{_PYTHON} -exec wc -l {{}} + | sort -rn | sed -n 2p",
    "flaky": 'test "$CONDUCTOR_ATTEMPT" = 2 || { echo the first attempt fails on purpose; exit 7; }; echo it made it',
    "hopeless": "echo this one fails for good; exit 1",
}
ASKED = "Write a Python function to calculate fibonacci numbers, in fibonacci.py"
CHECK = "python3 -c 'import fibonacci; assert fibonacci.fibonacci(7) == [0, 1, 1, 2, 3, 5, 8]'"
SETTINGS = {"agents": {"anthropic": {"pool": "api"}}, "pools": {"api": {"workers": 2}}}


@click.command()
@click.option("--workers", type=click.IntRange(1, 64), default=3, show_default=True)
@click.option("--tree", type=click.Path(exists=True, file_okay=False), default=".", help="Whose files to work on.")
def demo(workers: int, tree: str) -> int:
    """Runs seven real tasks over a folder's files through a conductord of its own; one is retried, one fails. An
    eighth is an agent's, on a simulated model, which then builds a small project from a request, in merged commits.

    \b
    conductor demo --workers 4
    """
    from conductor.testing.sim import Sim
    from conductor.testing.sim.samples import FIBONACCI

    script = [{"match": "fibonacci", "do": [{"write": "fibonacci.py", "content": FIBONACCI}]}]
    with Sim(script=script) as model:
        return _demonstrate(workers, tree, model.url)


def _demonstrate(workers: int, tree: str, model_url: str) -> int:
    folder = tempfile.mkdtemp(prefix="conductor-demo-")
    home = f"{folder}/home"
    environment = {**os.environ, "CONDUCTOR_HOME": home, "CONDUCTOR_SIMULATE": model_url}
    layout = open_layout(home, environment)
    settings = {**SETTINGS, "orchestrator": settings_of(f"{folder}/projects")}
    replace_file(layout.home.settings_file, json.dumps(settings).encode())
    click.echo(f"home {home} ({folder} is removed at the end, and ~ below)\n$ conductord --workers {workers}")
    with open(f"{home}/conductord.log", "wb") as log:
        command = [sys.executable, "-P", "-m", "conductor.cli.daemon", "--workers", str(workers)]
        daemon = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_for_doorbell(layout, daemon)
        follower = ResultsFollower(layout.home.results)
        ids = _submit(layout, os.path.abspath(tree))
        statuses = _show_results(layout, follower, ids)
        is_built = build_and_show(folder, environment)
    finally:
        daemon.send_signal(signal.SIGTERM)
        code = daemon.wait(timeout=_DEADLINE_SECONDS)
        click.echo(f"$ kill -TERM {daemon.pid}\nconductord stopped, exit {code}")
        shutil.rmtree(folder)
    wanted = {name: Status.FAILED if name == "hopeless" else Status.SUCCESS for name in ids}
    as_meant = statuses == wanted and is_built and code == 0
    told = "7 succeeded, 1 of them at its second attempt, 1 of them an agent's on a simulated model, and 1 failed"
    built = "5 steps of a simulated model's plan were merged, and their tests pass"
    click.echo(f"all as meant: {told}; {built}" if as_meant else "NOT as meant")
    return 0 if as_meant else 1


def _wait_for_doorbell(layout: Layout, daemon: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not ring_doorbell(layout.home):
        if daemon.poll() is not None or time.monotonic() > deadline:
            with open(f"{layout.home.path}/conductord.log", encoding="utf-8", errors="replace") as log:
                raise ConductorError(f"conductord did not come up:\n{log.read()}")
        time.sleep(0.02)


def _submit(layout: Layout, tree: str) -> dict[str, str]:
    queue = quick_queue(layout)
    ids = {}
    for name, command in TASKS.items():
        ids[name] = stamped_id("t", time.time())
        retries = 1 if name == "flaky" else 0
        spec = TaskSpec(ids[name], command, agent="command", workspace=tree, retries=retries)
        queue.submit(spec, fresh=True)
        ring_doorbell(layout.home, submitted=spec.id)
        shown = command if len(command) <= 70 else command[:67] + "..."
        click.echo(f"$ conductor submit --agent command {'--retries 1 ' if retries else ''}{shown!r}")
    ids["agent"] = _ask_agent(layout, queue)
    click.echo("$ tail -f results.txt")
    return ids


def _ask_agent(layout: Layout, queue: DirectoryQueue) -> str:
    """A task for the agent `anthropic`: the SDK, the tools and the gate are real, only the model is simulated."""
    task_id = stamped_id("t", time.time())
    spec = TaskSpec(task_id, ASKED, agent="anthropic", pool="api", verify=CHECK, budget="1usd")
    queue.submit(spec, fresh=True)
    ring_doorbell(layout.home, submitted=task_id)
    click.echo(f'$ conductor submit --agent anthropic --budget 1usd "{ASKED}" --verify ...   # on a SIMULATED model')
    return task_id


def _show_results(layout: Layout, follower: ResultsFollower, ids: dict[str, str]) -> dict[str, Status]:
    names = {task_id: name for name, task_id in ids.items()}
    statuses: dict[str, Status] = {}
    began = time.monotonic()
    while len(statuses) < len(ids):
        for line in follower.fresh():
            waited = format_duration(time.monotonic() - began)
            click.echo(f"{waited:>7}  {names[line.task_id]:<12} {format_result(line)}", nl=False)
            if line.status is not Status.RETRY:
                statuses[names[line.task_id]] = line.status
        if time.monotonic() - began > _DEADLINE_SECONDS:
            raise ConductorError(f"only {len(statuses)} of {len(ids)} tasks ended: see {layout.home.path}")
        time.sleep(0.01)
    return statuses
