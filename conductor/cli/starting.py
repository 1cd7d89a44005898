"""`conductor init`: a commented conductor.yaml to begin with."""

from __future__ import annotations

import os

import click

from conductor.app import open_layout
from conductor.domain.errors import UsageError
from conductor.kit.durable import replace_file

TEMPLATE = """\
# conductor.yaml: settings of this home. What is commented out is the default.
# Times: 30s, 10m, 2h. Sizes: 500k, 10MiB. `kill -HUP` or `conductor reload` makes a running conductord read it again.

# The agent of tasks that name none. `command` runs the description with /bin/sh, so say it only where every
# submitter means shell commands. Without a default, `conductor submit` asks for --agent.
{agent_line}

# workers: 3                 # workers of the pool `default`
# pools:                     # further pools, for `conductor submit --pool heavy`
#   heavy: {{workers: 1}}

# timeout: 1h                # how long an attempt may run
# stall_timeout: 10m         # how long an agent may say nothing; no limit by default
# grace: 10s                 # between SIGTERM and SIGKILL for an agent
# retries: 0                 # further attempts after a failure
# retry:
#   max_lost: 3              # attempts that worker or machine may lose, in all
#   first_wait: 1s           # before the first retry, doubling
#   longest_wait: 60s

# poll_interval: 5s          # how often everything is looked at unasked
# max_idle_time: 5m          # an idle worker is replaced after this
# stop_timeout: 60s          # how long running tasks may go on after SIGTERM
# restart:
#   budget: 5                # starts in a row that may fail before a slot is given up
#   first_delay: 1s
#   longest_delay: 60s

# log_cap: 10MiB             # of agent.log; its head and its tail are kept
# cgroup: auto               # a cgroup for each attempt where systemd delegated one; off; or a folder for them
# environment: []            # variables that agents inherit beyond PATH, HOME, LANG and the like: NAME or PREFIX*
"""


@click.command()
@click.option("--agent", help="Make this the default agent.")
@click.option("--force", is_flag=True, help="Replace a conductor.yaml that is there.")
@click.pass_obj
def init(home_flag: str | None, agent: str | None, force: bool) -> None:
    """Makes the home and writes a commented conductor.yaml into it."""
    from conductor.agents.registry import installed_kinds

    if agent is not None and agent not in installed_kinds():
        raise UsageError(f"no agent {agent!r}: there is {', '.join(sorted(installed_kinds()))}")
    home = open_layout(home_flag, os.environ).home
    if os.path.exists(home.settings_file) and not force:
        raise UsageError(f"{home.settings_file} is there already: edit it, or --force to replace it")
    text = TEMPLATE.format(agent_line=f"agent: {agent}" if agent else "# agent: command")
    replace_file(home.settings_file, text.encode(), synced=True)
    click.echo(home.settings_file)
