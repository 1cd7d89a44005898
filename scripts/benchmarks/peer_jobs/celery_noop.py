"""The task for `celery worker`. The address of Redis comes in through the environment."""

import os
import subprocess

from celery import Celery

app = Celery("noop", broker=os.environ["BENCH_BROKER"], backend=os.environ["BENCH_BACKEND"])


@app.task(name="run_true")
def run_true() -> int:
    """The process that ran it, so that the bench can tell whether each task really had its own."""
    subprocess.check_call(["true"])
    return os.getpid()
