"""A task that leaves its process in the worst state that it can, and says when it has."""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import threading
import time


def main() -> None:
    os.environ["POLLUTED"] = os.environ["PATH"] = "yes"
    os.chdir("/")
    os.umask(0)
    os.nice(5)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("500")
    for name, limit in {
        "RLIMIT_NOFILE": 99,
        "RLIMIT_CORE": 0,
        "RLIMIT_FSIZE": 1 << 20,
        "RLIMIT_STACK": 1 << 20,
    }.items():
        resource.setrlimit(getattr(resource, name), (limit, limit))
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, signal.SIG_IGN)
        except OSError:
            continue
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    random.seed(1)
    for number in range(20, 60):
        os.dup2(1, number, inheritable=True)
    for _ in range(3):
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    print("polluted", flush=True)
    if os.fork() == 0:
        time.sleep(600)
    os._exit(int(sys.argv[1]))


if __name__ == "__main__":
    main()
