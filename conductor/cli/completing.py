"""`conductor completion`: Tab in bash, zsh and fish knows commands, options, and ids and names of this home."""

from __future__ import annotations

import os
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from conductor.cli import known_names
from conductor.cli.known_names import Source, offered
from conductor.domain.errors import UsageError
from conductor.settings.source import find_home

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_CONDUCTOR_COMPLETE"
_SOURCES: dict[str, Source] = {
    "task_id": known_names.all_tasks,
    "task_ids": known_names.all_tasks,
    "cancel task_ids": known_names.open_tasks,
    "wait task_ids": known_names.open_tasks,
    "retry task_ids": known_names.dead_tasks,
    "why task_id": known_names.tasks_and_runs,
    "submit after": known_names.open_tasks,
    "run_id": known_names.runs,
    "step_id": known_names.steps,
    "step_ids": known_names.steps,
    "project": known_names.projects,
    "project name": known_names.projects,
    "pool": known_names.pools,
    "agent": known_names.agents,
    "agents name": known_names.agents,
}
"""By the name of a parameter, or of its command (or the group that this is in) and its own: parameters that mean the
same are called the same in every command."""
_NEW = ("submit task_id", "create name")
"""Names that are to be invented."""


@click.command()
@click.argument("shell", type=click.Choice(SHELLS), required=False)
def completion(shell: str | None) -> None:
    """Prints a script that has SHELL complete commands, options, task ids, run ids and names; $SHELL by default.

    \b
    cd ~/.local/share/bash-completion/completions &&
      conductor completion bash >conductor
    conductor completion zsh >~/.zfunc/_conductor     and in ~/.zshrc, before
                                                      compinit: fpath+=~/.zfunc
    conductor completion fish >~/.config/fish/completions/conductor.fish

    bash and zsh, for this very shell only: `eval "$(conductor completion bash)"`.
    """
    wanted = shell or os.path.basename(os.environ.get("SHELL", ""))
    if wanted not in SHELLS:
        raise UsageError(f"no completion for {wanted[:40]!r}: say which of {', '.join(SHELLS)} you use")
    from conductor.cli.main import cli

    found = get_completion_class(wanted)
    assert found is not None  # one of SHELLS
    script = found(cli, {}, "conductor", VARIABLE)
    click.echo(script.source_template % script.source_vars())


class Known(click.types.StringParamType):
    """Any text; Tab offers what is known."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        """Never raises: what it would say would stand in the middle of somebody's command line."""
        flag = ctx.find_root().params.get("home")
        before = ctx.params.get(param.name or "")
        given = before if isinstance(before, tuple | list) else ()
        try:
            line = os.environ.get("COMP_WORDS", "")
            names = self._source(find_home(os.environ, flag), {**ctx.params, "line": line})
            found = offered(names, incomplete, without=map(str, given))
        except Exception:  # Tab is no place for a traceback, whatever is wrong with the home
            return []
        return [CompletionItem(name.text, help=name.about or None) for name in found]


def teach(command: click.Command, group: str = "") -> None:
    """Has the parameters of `command`, and of what it groups, complete what they mean."""
    for parameter in command.params:
        source = source_of(command.name or "", group, parameter.name or "")
        if source is not None and isinstance(parameter.type, type(click.STRING)):
            parameter.type = Known(source)
    if isinstance(command, click.Group):
        for one in command.commands.values():
            teach(one, command.name or "")


def source_of(command: str, group: str, parameter: str) -> Source | None:
    """None: nothing is known, or it is a name that is new."""
    if f"{command} {parameter}" in _NEW:
        return None
    keys = (f"{command} {parameter}", f"{group} {parameter}", parameter)
    return next((_SOURCES[key] for key in keys if key in _SOURCES), None)


def command_names(names: list[str], incomplete: str) -> list[CompletionItem[Any]]:
    """Without a word about each, for which each would have to be loaded."""
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
