"""What programs usually do with conductor. Run a conductord, then this."""

from __future__ import annotations

from conductor import Conductor, ConductorError


def main() -> None:
    with Conductor() as conductor:
        # One task, waited for. It is durable once submit returned, whether a conductord runs or not.
        result = conductor.submit("uname -sr", agent="command", timeout="30s").wait(timeout=60)
        print(result.status, result.text.strip())

        # Many at once: one write to disk. Each is told as it ends, whichever comes first.
        sums = conductor.submit_many([f"echo $(({n} * {n}))" for n in range(1, 6)], agent="command", retries=1)
        for result in conductor.as_ended(sums, timeout=60):
            print(result.task_id, "ok" if result.ok else f"{result.status}: {result.reason}", result.preview)

        # One after the other, and one that fails: errors are exceptions, a failed task is a result.
        first = conductor.submit("echo built", agent="command")
        second = conductor.submit("echo tested; exit 3", agent="command", after=[first.id])
        print([result.exit_code for result in conductor.wait([first, second], timeout=60)])
        try:
            conductor.submit("echo again", agent="command", task_id=first.id)
        except ConductorError as error:
            print(error)


if __name__ == "__main__":
    main()
