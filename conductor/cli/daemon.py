"""`conductord`: the daemon's front door."""

from __future__ import annotations

from typing import Any

import click

from conductor import __version__
from conductor.app.daemon import run_daemon
from conductor.cli.types import DURATION


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--home", metavar="DIR", help="The home; default $CONDUCTOR_HOME or ~/.local/state/conductor.")
@click.option("--workers", type=click.IntRange(0, 1000), help="Workers of the pool `default`; 3 by default.")
@click.option("--poll-interval", type=DURATION, help="How often everything is looked at unasked; 5s by default.")
@click.option("--max-idle-time", type=DURATION, help="An idle worker is replaced after this; 5m by default.")
@click.option("--check", is_flag=True, help="Starts nothing: says whether a restart is safe now.")
@click.version_option(__version__, prog_name="conductord")
def conductord(home: str | None, check: bool, **flags: Any) -> int:
    """Keeps workers alive over the queue of one home, each task in a fresh process, until it is told to stop.

    \b
    SIGTERM   drain: running tasks may finish within stop_timeout, then they are stopped and given back
    SIGINT    (or a second SIGTERM) stop at once
    SIGHUP    read the settings again        SIGUSR1   write status.txt now
    On a terminal: s shows the status, q drains and quits, Ctrl+C stops at once.

    Exit codes: 0 stopped as told, 1 another conductord has this home, 70 every slot was given up,
    78 settings, home or installation are wrong and a restart will not help. Of --check: 0 a restart is safe now,
    1 it would cut running tasks short, 78 what is installed would not come up.
    """
    if check:
        from conductor.cli.restarting import check_restart

        return check_restart(home, flags)
    return run_daemon(home, flags, use_terminal=True)


def main() -> None:
    """The entry point `conductord`."""
    from conductor.cli.main import run

    run(conductord, "conductord")


if __name__ == "__main__":
    main()
