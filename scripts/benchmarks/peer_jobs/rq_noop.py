"""Jobs for `rq worker`: the leanest way in Python to run `true`, and nothing at all."""

import subprocess


def run_true() -> None:
    subprocess.check_call(["true"])


def do_nothing() -> None:
    return None
