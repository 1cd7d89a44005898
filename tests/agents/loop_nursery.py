"""A nursery for tests of the loop: the SDK is loaded once, each run is a forked child, as a worker makes it.

Reads a line {"call": JSON, "folder": PATH, "env": {...}}, answers with the child's pid and, when it ended, its status.
"""

from __future__ import annotations

import json
import os
import sys

import conductor.agents.loop.chat_model
import conductor.agents.loop.main
import conductor.agents.loop.warm  # noqa: F401
from conductor.worker.incall import call_in_child


def main() -> None:
    print("ready", flush=True)
    for line in sys.stdin:
        told = json.loads(line)
        child = os.fork()
        if child == 0:
            _be_agent(told)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _be_agent(told: dict[str, object]) -> None:
    code = 99
    try:
        os.setsid()
        folder = str(told["folder"])
        for target, name in ((1, "events"), (2, "errors")):
            os.dup2(os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), target)
        code = call_in_child(("conductor.agents.loop.main:run", str(told["call"])), told["env"])  # type: ignore[arg-type]
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
