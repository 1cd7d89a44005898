"""`conductor init`: finds the agents that are here, and writes a commented conductor.yaml to begin with."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from conductor.app import open_layout
from conductor.domain.errors import UsageError
from conductor.kit.durable import replace_file

if TYPE_CHECKING:
    from conductor.cli.choosing import Candidate

TEMPLATE = """\
# conductor.yaml: settings of this home. What is commented out is the default.
# Times: 30s, 10m, 2h. Sizes: 500k, 10MiB. `kill -HUP` or `conductor reload` makes a running conductord read it again.

# The agent of tasks that name none. `command` runs the description with /bin/sh, so say it only where every
# submitter means shell commands. Without a default, `conductor submit` asks for --agent.
{agent_line}

# workers: 3                 # workers of the pool `default`
# pools:                     # further pools, for `conductor submit --pool heavy`
#   heavy: {{workers: 1}}

# autonomy: workspace        # how far agents may go: read-only, workspace, full (unconfined)
# models: {{}}                 # names for models beyond cheap, primary, coder, research: quick: {{claude: haiku}}
# agents: {{}}                 # agents by name, where they differ: claude: {{model: opus, thinking: high}}
# providers: {{}}              # who serves models; keys are said by their place: env:NAME, file:/PATH, credential:NAME
# fallback: []               # who takes over from an agent that is parked or fails so: [codex, gemini:MODEL]
# projects: {{}}               # shop: {{secrets: /etc/conductor/shop.env, context: /srv/shop/CONTEXT.md}}
# limits:
#   park: true               # a limit parks its provider; false: it holds up only the task that met it
#   longest_park: 7d         # no told reset parks a provider for longer
#   wait_in_run: 60s         # an agent may wait in its run for a reset that is nearer
#   memory_floor: 256MiB     # kept free by not starting agents
# budgets: {{}}              # task: {{usd: 2}}, day: {{usd: 40, runs_per_hour: 60}}, projects: {{shop: {{usd: 9}}}}
# shared: {{}}                 # others use it too: {{group: crew, operators: wheel}}; from the next start on
# prices: prices.yaml        # prices of models, over the shipped ones

# orchestrator:              # projects and plans; autonomy, check, wip, ... of one project: projects.NAME.orchestrator
#   planner: []              # who takes requests apart, the best one first: [claude:opus, codex]
#   autonomy: full           # who says go: manual, to each wave; confirm, to the plan; full
#   check: ""                # must pass before each merge; found by the project's files by default
#   allow_commands: []       # commands that a model may write unseen: ["pytest *"]
#   projects_dir: ~/projects
# routing: {{submit: false}}   # true: tasks that name no agent and no model go to who suits them best

# timeout: 1h                # how long an attempt may run
# stall_timeout: 10m         # how long an agent may say nothing; no limit by default
# grace: 10s                 # between SIGTERM and SIGKILL for an agent
# retries: 0                 # further attempts after a failure
# retry:
#   max_lost: 3              # attempts that worker or machine may lose, in all
#   first_wait: 1s           # before the first retry, doubling
#   longest_wait: 60s
#   transient: 3             # further attempts after a network or overload failure, where retries are fewer
#   verify: 2                # the same where the task's own check did not pass

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


API_KINDS = ("anthropic",)
"""Kinds whose library takes seconds to import: a pool of their own pays that once."""

_POOLS = "# pools:                     # further pools, for `conductor submit --pool heavy`\n#   heavy: {workers: 1}\n"
_AGENTS = "# agents: {}  "
_API_POOL = """\
pools:                       # further pools, for `conductor submit --pool heavy`
  api: {workers: 3}          # its nursery keeps the API's library loaded
  # heavy: {workers: 1}
"""
_API_AGENTS = "agents: {anthropic: {pool: api}}  "


@click.command()
@click.option("--agent", help="Make this the default agent.")
@click.option(
    "--simulate", metavar="URL", default="", help="Use the `conductor sim` at this address for every provider."
)
@click.option("--force", is_flag=True, help="Replace a conductor.yaml that is there.")
@click.pass_obj
def init(home_flag: str | None, agent: str | None, simulate: str, force: bool) -> None:
    """Makes the home and writes a commented conductor.yaml into it, for the agents and keys found here.

    Keys stay where they are: the file only says where. Says on standard error what it chose and why.

    \b
    conductor init
    conductor init --agent claude --force
    conductor init --simulate http://127.0.0.1:8199       no keys, no costs
    """
    from conductor.agents.registry import installed_kinds
    from conductor.cli.choosing import choose, explain

    kinds = installed_kinds()
    if agent is not None and agent not in kinds:
        raise UsageError(f"no agent {agent!r}: there is {', '.join(sorted(kinds))}")
    candidates = _candidates(kinds, simulate)
    home = open_layout(home_flag, os.environ).home
    if os.path.exists(home.settings_file) and not force:
        raise UsageError(f"{home.settings_file} is there already: edit it, or --force to replace it")
    chosen = None if agent else choose(candidates)
    with_api = agent in API_KINDS or any(one.works and one.kind in API_KINDS for one in candidates)
    text = settings_text(agent or (chosen.kind if chosen else ""), simulate, with_api=with_api)
    replace_file(home.settings_file, text.encode(), synced=True)
    click.echo(home.settings_file)
    if not agent:
        click.echo("\n".join(explain(chosen, candidates, simulate)), err=True)


def _candidates(kinds: Mapping[str, str], simulate: str) -> list[Candidate]:
    """What is here of each kind that a default can be. Raises UsageError for an address that can't be used."""
    from pydantic import ValidationError

    from conductor.agents.access import abilities_of, access_of, has_access, is_installed, program_path
    from conductor.app.setups import chosen_setups
    from conductor.cli.choosing import PREFERRED, Candidate
    from conductor.settings.model import Settings

    try:
        setups = chosen_setups(Settings(simulate=simulate), kinds)
    except ValidationError as error:
        raise UsageError(f"--simulate {simulate}: {error.errors()[0]['msg']}") from None
    found = []
    for kind in (kind for kind in PREFERRED if kind in setups):
        setup = setups[kind]
        abilities = abilities_of(setup, kinds)
        path = program_path(setup, abilities, os.environ)
        access = has_access(setup, os.environ)
        fault = access_of(setup, os.environ)["access_fault"]
        found.append(Candidate(kind, is_installed(setup, abilities, path), path, access, fault))
    return found


def settings_text(agent: str, simulate: str, *, with_api: bool) -> str:
    """conductor.yaml: what was chosen, and everything else commented out."""
    chosen = [f"agent: {agent}" if agent else "# agent: command"]
    if simulate:
        chosen.append(
            f"simulate: {json.dumps(simulate)}   # no real model answers; take this line out to use the real ones"
        )
    text = TEMPLATE.format(agent_line="\n".join(chosen))
    if with_api:
        text = text.replace(_POOLS, _API_POOL).replace(_AGENTS, _API_AGENTS)
    return text
