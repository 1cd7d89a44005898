"""Agents that are Python functions: run in the child that the worker forked, as a program would be."""

from __future__ import annotations

import gc
import os
import signal
import sys
import traceback
from importlib import import_module

FAILED = 70


def call_in_child(call: tuple[str, str], env: dict[str, str]) -> int:
    """Calls `module:function` with its text and returns the exit code. Environment, signals and garbage collection
    are as in a new interpreter; standard input, output and error are those of the process."""
    target, argument = call
    os.environ.clear()
    os.environ.update(env)
    for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_DFL)
    gc.enable()
    sys.stdin = open(0, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115 - as long as the process
    sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    try:
        module, _, attribute = target.partition(":")
        code = getattr(import_module(module), attribute)(argument)
        sys.stdout.flush()
        return int(code)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else FAILED
    except BaseException:  # the process's outer edge: the traceback belongs into the agent's log
        traceback.print_exc()
        sys.stderr.flush()
        return FAILED
