"""What `--help` says: every command shows how it is used, and what it shows is a command line that is understood."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from conductor.cli.main import COMMANDS, cli
from conductor.domain.home import Home
from tests.cli.front import Shell
from tests.support import run_cli

_BLOCK = re.compile(r"\x08\n(.*?)(?:\n\n|\Z)", re.DOTALL)
_BEHIND = re.compile(r"\s{2,}\S.*| (?:\|\||&&|[|&]|> ?\S+|< ?\S+)(?: .*)?$|\\$")
"""A remark, or what the shell makes of it."""
_WIDTH = 80


def context_of(command: click.Command, path: str) -> click.Context:
    """As in a real call: a command remembers the names of its help option from the first that asks."""
    settings = cli.context_settings["help_option_names"]
    return click.Context(command, info_name=f"conductor {path}", terminal_width=_WIDTH, help_option_names=settings)


def every_command(command: click.Command, path: str = "") -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(context_of(command, path)):
            one = command.get_command(context_of(command, path), name)
            assert one is not None
            yield from every_command(one, f"{path} {name}".strip())


ALL = dict(every_command(cli))


def examples(command: click.Command) -> list[str]:
    """Lines of its help that begin with `conductor`, as they are."""
    blocks = _BLOCK.findall((command.help or "") + "\n\n")
    lines = [line.strip() for block in blocks for line in block.split("\n")]
    return [line for line in lines if line.startswith("conductor ") or line == "conductor"]


@pytest.mark.parametrize("path", ALL)
def test_every_command_shows_how_it_is_used(path: str) -> None:
    shown = [line for line in examples(ALL[path]) if line.startswith(f"conductor {path}".strip())]

    assert shown, f"`conductor {path} --help` needs a \\b block with an example of it"


@pytest.mark.parametrize("path", ALL)
def test_help_fits_eighty_columns(path: str) -> None:
    wide = [line for line in ALL[path].get_help(context_of(ALL[path], path)).splitlines() if len(line) > _WIDTH]

    assert wide == []


@pytest.mark.parametrize(
    "line", sorted({line for command in ALL.values() for line in examples(command) if line != "conductor"})
)
def test_every_example_is_understood(line: str) -> None:
    words = shlex.split(_BEHIND.sub("", line))[1:]
    path = ""
    while words and f"{path} {words[0]}".strip() in ALL:
        path = f"{path} {words.pop(0)}".strip()
    command = ALL[path]
    context = context_of(command, path)
    assert not isinstance(command, click.Group) or command.invoke_without_command or "-h" in words, (
        "a command is missing"
    )

    _, left, _ = command.make_parser(context).parse_args(list(words))  # raises for an option that is not there
    assert left == [], "more arguments than it takes"
    required = [one for one in command.params if isinstance(one, click.Argument) and one.required]
    assert len(words) >= len(required), "an argument is missing"


def test_as_a_module_it_is_the_same_command(home: Home) -> None:
    done = run_cli(home, "--help")

    assert done.returncode == 0
    assert done.stdout.startswith("Usage: conductor [OPTIONS] COMMAND")
    assert all(f"\n  {name} " in done.stdout for name in COMMANDS)


@pytest.mark.parametrize(
    ("typed", "hint"), [("stauts", "did you mean status"), ("submitt", "submit"), ("xyzzy", "`conductor --help`")]
)
def test_a_mistyped_command_is_answered_with_what_may_have_been_meant(shell: Shell, typed: str, hint: str) -> None:
    answer = shell(typed)

    assert (answer.code, answer.out) == (2, "")
    assert typed in answer.err
    assert hint in answer.err
