"""`conductor config`: what the settings are and where each came from, what they may be, whether a file is right."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from conductor.domain.errors import ConductorError, SettingsInvalid, UsageError
from conductor.domain.exits import CliExit
from conductor.settings.source import MOST_BYTES, SYSTEM_FILE, SYSTEM_FILE_VARIABLE, Layer, decoded, find_home

if TYPE_CHECKING:
    from conductor.domain.home import Home
    from conductor.settings.faults import Fault
    from conductor.settings.reporting import Row

_FROM_COLUMN = 46


@click.group()
def config() -> None:
    """Shows settings and where they came from, prints their schema, checks a file.

    \b
    Each of these wins over those before it, name by name:
      defaults, /etc/conductor/conductor.yaml, conductor.yaml in the home,
      variables: CONDUCTOR_TIMEOUT=2h, CONDUCTOR_ORCHESTRATOR__WIP=4 (two
      underscores go one level down), flags of conductord

    \b
    conductor config show workers
    conductor config check conductor.yaml
    """


@config.command("show")
@click.argument("key", required=False)
@click.option("--changed", is_flag=True, help="Only what is not a default.")
@click.option("--running", is_flag=True, help="What conductord has in force, in place of what it would read now.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.pass_obj
def show_settings(home_flag: str | None, key: str | None, changed: bool, running: bool, as_json: bool) -> None:
    """Prints each setting and where it came from.

    That is a default, FILE:LINE, $VARIABLE or --flag. KEY: only that one, or that section. Secrets are masked.

    \b
    conductor config show                    everything
    conductor config show orchestrator       one section
    conductor config show timeout --json     one setting, for programs
    """
    home = find_home(os.environ, home_flag)
    in_force = _in_force(home, is_needed=running)
    rows = in_force if running and in_force is not None else _rows(home)
    chosen = [row for row in _within(rows, key) if not changed or row.place.kind != "default"]
    if as_json:
        click.echo(json.dumps({"home": home.path, "settings": [row.to_dict() for row in chosen]}, indent=1))
        return
    is_cut = sys.stdout.isatty() and key is None
    width = shutil.get_terminal_size().columns if is_cut else 0
    click.echo("\n".join(_lines(chosen, home, width)))
    if not running and in_force is not None:
        _tell_of_others(rows, in_force)


def _rows(home: Home) -> Sequence[Row]:
    from conductor.domain.masking import Masker, secret_values
    from conductor.settings.model import load_layers
    from conductor.settings.reporting import rows_of

    return rows_of(load_layers(home, os.environ), Masker(secret_values(os.environ)))


def _in_force(home: Home, *, is_needed: bool) -> Sequence[Row] | None:
    """What conductord says of its settings; None where it is not there to be asked."""
    from conductor.app import ask_daemon
    from conductor.settings.reporting import Row

    try:
        return [Row.from_dict(one) for one in ask_daemon(home, {"verb": "settings"})["settings"]]
    except ConductorError:
        if is_needed:
            raise
        return None


def _within(rows: Sequence[Row], key: str | None) -> Sequence[Row]:
    """Raises UsageError for what is no setting."""
    if key is None:
        return rows
    from conductor.settings.nearest import unknown
    from conductor.settings.schema import parts_at

    found = [row for row in rows if row.key == key or row.key.startswith(f"{key}.")]
    if not found and not parts_at(tuple(key.split("."))):
        names = {row.key for row in rows} | {row.key.partition(".")[0] for row in rows}
        raise UsageError(f"no setting {key!r}: {unknown(key, sorted(names))}; `conductor config show` lists them all")
    return found


def _lines(rows: Iterable[Row], home: Home, width: int) -> Iterable[str]:
    """Two columns. `width`: lines are cut to it; 0: never."""
    system = os.environ.get(SYSTEM_FILE_VARIABLE) or SYSTEM_FILE
    for path in (system, home.settings_file):
        yield f"# {path}{'' if os.path.exists(path) else ' (not there)'}"
    for row in rows:
        said, place = f"{row.key}: {row.shown}", _short(str(row.place), home)
        room = max(_FROM_COLUMN - 2, width - len(place) - 2)
        if width and len(said) > room:
            said = f"{said[: room - 3]}..."
        yield f"{said:<{_FROM_COLUMN}}{place}" if len(said) < _FROM_COLUMN else f"{said}  {place}"


def _short(place: str, home: Home) -> str:
    return place.removeprefix(f"{home.path}/")


def _tell_of_others(rows: Sequence[Row], in_force: Sequence[Row]) -> None:
    """Says on standard error what conductord still has otherwise: a file that nobody reloaded, its own variables."""
    mine = {row.key: row for row in rows}
    theirs = {row.key: row for row in in_force}
    others = [key for key in sorted({*mine, *theirs}) if _shown(mine.get(key)) != _shown(theirs.get(key))]
    if not others:
        return
    click.echo("\nconductord has others in force (`conductor reload` makes it read its files again):", err=True)
    for key in others:
        row = theirs.get(key)
        place = f"  ({row.place})" if row is not None else ""
        click.echo(f"  {key}: {_shown(row) or '(nothing)'}{place}", err=True)


def _shown(row: Row | None) -> str:
    return row.shown if row is not None else ""


@config.command("schema")
def print_schema() -> None:
    """Prints the JSON schema of conductor.yaml.

    It is of draft 2020-12, for editors and for CI.

    \b
    conductor config schema > conductor.schema.json
    # the first line of conductor.yaml, for editors with a YAML language server:
    # yaml-language-server: $schema=conductor.schema.json
    """
    from conductor.settings.schema import settings_schema

    click.echo(json.dumps(settings_schema(), indent=2))


@config.command("check")
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def check_file(file: str, as_json: bool) -> int:
    """Checks a file of settings by itself.

    FILE, or standard input for `-`, is read without a home or variables. Every fault is told with its line. Exit 0: it
    is right; 78: it is not.

    \b
    conductor config check conductor.yaml
    ssh build1 cat /etc/conductor/conductor.yaml | conductor config check -
    """
    from conductor.settings.model import checked

    try:
        settings, faults = checked([_layer_of(file)])
    except SettingsInvalid as error:
        if not as_json:
            raise
        click.echo(json.dumps({"file": file, "valid": False, "faults": [{"what": str(error)}]}, indent=1))
        return CliExit.HOME_OR_SETTINGS
    if as_json:
        described = _described(faults)
        click.echo(json.dumps({"file": file, "valid": not faults, "faults": described}, indent=1))
    elif faults:
        _tell_of_faults(file, faults)
    else:
        click.echo(f"{file}: right", err=True)
    return CliExit.HOME_OR_SETTINGS if settings is None or faults else CliExit.WELL


def _layer_of(file: str) -> Layer:
    from conductor.settings.documents import parse_document
    from conductor.settings.source import read_layer

    if file != "-":
        if not os.path.lexists(file):
            raise UsageError(f"no file {file}")
        return read_layer(file)
    content = sys.stdin.buffer.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise SettingsInvalid(f"standard input holds more than {MOST_BYTES >> 20} MiB: these are no settings")
    document = parse_document(decoded(content, "-"), "-")
    return Layer("file", document.values, document.lines, "-")


def _tell_of_faults(file: str, faults: Sequence[Fault]) -> None:
    from conductor.settings.faults import told

    count = f"{len(faults)} faults" if len(faults) > 1 else "a fault"
    click.echo(f"{file}: {count}\n{told(faults)}", err=True)


def _described(faults: Iterable[Fault]) -> list[dict[str, Any]]:
    from conductor.domain.masking import Masker
    from conductor.settings.faults import dotted, in_order

    return [
        {"key": dotted(one.key), "line": one.place.line, "what": Masker().mask(one.what)} for one in in_order(faults)
    ]
