"""`conductor`: the table of commands, and how errors become exit codes."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from conductor import __version__
from conductor.app.sharing.asking import guest_home
from conductor.domain.errors import (
    ConductorError,
    DaemonNotRunning,
    HomeRefused,
    NoSuchProject,
    NoSuchRun,
    NoSuchTask,
    SettingsInvalid,
    UsageError,
)
from conductor.domain.exits import CliExit

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS = {
    "submit": "conductor.cli.submit:submit",
    "list": "conductor.cli.listing:list_tasks",
    "show": "conductor.cli.showing:show",
    "logs": "conductor.cli.following:logs",
    "results": "conductor.cli.following:results",
    "wait": "conductor.cli.waiting:wait",
    "cancel": "conductor.cli.changing:cancel",
    "retry": "conductor.cli.changing:retry",
    "status": "conductor.cli.live:status",
    "top": "conductor.cli.top:top",
    "scale": "conductor.cli.live:scale",
    "pause": "conductor.cli.live:pause",
    "resume": "conductor.cli.live:resume",
    "drain": "conductor.cli.live:drain",
    "stop": "conductor.cli.live:stop",
    "reload": "conductor.cli.live:reload",
    "why": "conductor.cli.why:why",
    "clean": "conductor.cli.cleaning:clean",
    "explain": "conductor.cli.explaining:explain",
    "doctor": "conductor.cli.doctor:doctor",
    "plan": "conductor.cli.planning:plan",
    "build": "conductor.cli.building:build",
    "run": "conductor.cli.running:run_plan",
    "runs": "conductor.cli.runs:runs",
    "approve": "conductor.cli.approving:approve",
    "taskmaster": "conductor.cli.taskmaster:taskmaster",
    "limits": "conductor.cli.limiting:limits",
    "usage": "conductor.cli.using:usage",
    "agents": "conductor.cli.agents:agents",
    "route": "conductor.cli.routing:route",
    "config": "conductor.cli.config:config",
    "audit": "conductor.cli.auditing:audit",
    "worktrees": "conductor.cli.worktrees:worktrees",
    "project": "conductor.cli.project:project",
    "init": "conductor.cli.starting:init",
    "demo": "conductor.cli.demo:demo",
    "sim": "conductor.cli.simulating:sim",
    "completion": "conductor.cli.completing:completion",
}


class LazyGroup(click.Group):
    """Imports a command's module when it is used, so that `submit` does not pay for `status`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        if guest_home(ctx.params.get("home"), os.environ) is not None:
            from conductor.cli.guest import GUEST_COMMANDS

            if cmd_name in GUEST_COMMANDS:
                return GUEST_COMMANDS[cmd_name]
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        if ctx.resilient_parsing:  # somebody pressed Tab
            from conductor.cli.completing import teach

            teach(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Names what may have been meant where there is no such command."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "`conductor --help` shows them."
            raise click.UsageError(f"No such command {args[0][:40]!r}: {hint}", ctx) from error

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[Any]]:
        """Click's own would import every command to tell a line about it."""
        from conductor.cli.completing import command_names

        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*command_names(self.list_commands(ctx), incomplete), *options]


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--home", metavar="DIR", help="The home; default $CONDUCTOR_HOME or ~/.local/state/conductor.")
@click.version_option(__version__, prog_name="conductor")
@click.pass_context
def cli(context: click.Context, home: str | None) -> None:
    """Gives every agent task a fresh process.

    \b
    conductord --workers 3                          keeps three workers alive
    conductor submit --agent command "pytest -q"    enqueues, prints the task id
    conductor results -f                            shows results as they come
    conductor top                                   all of it on one screen
    conductor build "a calculator" --project calc   makes merged, tested commits

    Exit codes: 0 well, 1 a task or a run failed, 2 usage, 3 no such task, run or project, 4 conductord needed and
    not running, 5 a run waits for `conductor approve`, 78 the home or its settings can't be used.
    """
    context.obj = home


def exit_code_of(error: ConductorError) -> CliExit:
    match error:
        case NoSuchTask() | NoSuchProject() | NoSuchRun():
            return CliExit.NO_SUCH_TASK
        case DaemonNotRunning():
            return CliExit.NO_DAEMON
        case HomeRefused() | SettingsInvalid():
            return CliExit.HOME_OR_SETTINGS
        case UsageError():
            return CliExit.USAGE
    return CliExit.TASK_FAILED


def run(command: click.Command, name: str) -> None:
    """Runs a command line to its exit: one clear line for every error that was foreseen."""
    try:
        code = command.main(prog_name=name, standalone_mode=False) or 0
        sys.stdout.flush()
        sys.exit(code)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(CliExit.USAGE)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(CliExit.INTERRUPTED)
    except ConductorError as error:
        click.echo(f"{name}: {error}", err=True)
        sys.exit(exit_code_of(error))
    except BrokenPipeError:
        _discard_output()
        sys.exit(CliExit.OUTPUT_GONE)
    except OSError as error:
        _discard_output()
        where = f" {error.filename}" if error.filename else ""
        click.echo(f"{name}: the system refused{where}: {error.strerror or error}", err=True)
        sys.exit(CliExit.TASK_FAILED)


def _discard_output() -> None:
    """What could not be written is not tried again at the interpreter's end, which would say so in its own way."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def main() -> None:
    """The entry point `conductor`."""
    run(cli, "conductor")


if __name__ == "__main__":
    main()
