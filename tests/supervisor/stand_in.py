"""A stand-in orchestrator: does what the file `mode` in its project's folder says, and writes each start down."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time


def run_orchestrator(home: str, project: str) -> int:
    folder = f"{home}/projects/{project}"
    with open(f"{folder}/mode", encoding="utf-8") as file:
        mode = file.read()
    print(f"{project} {mode}", flush=True)
    if mode == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif mode != "plain":
        signal.signal(signal.SIGTERM, lambda *_: leave(folder))
    if mode == "leaves a child":
        start_child(folder)
    if mode == "tells its settings":
        with open(f"{folder}/settings", "w", encoding="utf-8") as file:
            file.write(sys.stdin.read())
    with open(f"{folder}/starts", "a", encoding="utf-8") as file:
        file.write(f"{os.getpid()}\n")
    if mode.startswith("exit "):
        return int(mode.removeprefix("exit "))
    while not os.path.exists(f"{folder}/finish"):
        beat(folder)
        if mode == "hangs":
            start_child(folder, env={})
            os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(0.02)
    if not os.path.exists(f"{folder}/wanted.keep"):
        os.unlink(f"{folder}/wanted")
    return 0


def beat(folder: str) -> None:
    with open(f"{folder}/heartbeat.new", "w", encoding="utf-8") as file:
        file.write(os.environ["CONDUCTOR_WORKER_ID"])
    os.rename(f"{folder}/heartbeat.new", f"{folder}/heartbeat")


def leave(folder: str) -> None:
    with open(f"{folder}/told", "w", encoding="utf-8") as file:
        file.write("left as told")
    sys.exit(0)


def start_child(folder: str, env: dict[str, str] | None = None) -> None:
    """In a session of its own, as a check may be; with an environment of its own nothing but descent tells whose."""
    child = subprocess.Popen(["/bin/sleep", "600"], start_new_session=True, env=env)
    with open(f"{folder}/child", "w", encoding="utf-8") as file:
        file.write(str(child.pid))
