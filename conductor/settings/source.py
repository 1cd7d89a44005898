"""Where settings come from, as plain values, read without the checking library: what `submit` can afford.

Each layer wins over those before it: the system's file, the home's conductor.yaml, variables, flags. Mappings are
merged name by name; everything else, lists too, is replaced whole.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, cast

from conductor.domain.errors import SettingsInvalid
from conductor.domain.home import Home

SYSTEM_FILE = "/etc/conductor/conductor.yaml"
SYSTEM_FILE_VARIABLE = "CONDUCTOR_SYSTEM_CONFIG"
"""Names another file in its place; /dev/null: none."""

PREFIX = "CONDUCTOR_"
SHELL_NAMES = {
    "WORKERS": "workers",
    "POLL_INTERVAL": "poll_interval",
    "MAX_IDLE_TIME": "max_idle_time",
    "OPENCLAW_BIN": "openclaw_bin",
    "DISCORD_CHANNEL": "discord_channel",
}
"""Variables that users of the shell version know."""

MOST_BYTES = 1 << 20


class Layer(NamedTuple):
    """What one source says."""

    kind: str
    """`file`, `variable` or `flag`."""
    values: dict[str, Any]
    marks: Mapping[tuple[str | int, ...], int | str]
    """The way to a value to its line in the file, or to the variable or flag that said it."""
    path: str = ""


def find_home(environment: Mapping[str, str], flag: str | None = None) -> Home:
    """The home: the flag, CONDUCTOR_HOME, or `conductor` in the XDG state directory."""
    chosen = flag or environment.get("CONDUCTOR_HOME")
    if not chosen:
        state = environment.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local/state")
        chosen = os.path.join(state, "conductor")
    return Home(os.path.abspath(os.path.expanduser(chosen)))


def raw_settings(home: Home, environment: Mapping[str, str]) -> dict[str, Any]:
    """What files and variables say, unchecked. Raises SettingsInvalid."""
    return merged(layers_of(home, environment))


def layers_of(home: Home, environment: Mapping[str, str], flags: Mapping[str, Any] | None = None) -> tuple[Layer, ...]:
    """Every source that says anything, the weakest first. Raises SettingsInvalid."""
    system = environment.get(SYSTEM_FILE_VARIABLE) or SYSTEM_FILE
    files = [read_layer(system, is_everybodys=True), read_layer(home.settings_file)]
    said = {name: value for name, value in (flags or {}).items() if value is not None}
    layers = (
        *files,
        _variables(environment, merged(files)),
        Layer("flag", said, {(name,): "--" + name.replace("_", "-") for name in said}),
    )
    return tuple(layer for layer in layers if layer.values)


def merged(layers: Iterable[Layer]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for layer in layers:
        found = _over(found, layer.values)
    return found


def _over(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    found = dict(lower)
    for name, value in upper.items():
        below = found.get(name)
        found[name] = _over(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return found


# -- variables


def _variables(environment: Mapping[str, str], below: dict[str, Any]) -> Layer:
    """`CONDUCTOR_TIMEOUT`, `CONDUCTOR_ORCHESTRATOR__WIP`: two underscores go one level down. Empty ones say nothing."""
    said: list[tuple[list[str], str]] = [([SHELL_NAMES[one]], one) for one in SHELL_NAMES if environment.get(one)]
    ours = [one for one in environment if one.startswith(PREFIX) and environment[one]]
    said.extend((one.removeprefix(PREFIX).lower().split("__"), one) for one in ours)
    values: dict[str, Any] = {}
    marks: dict[tuple[str | int, ...], int | str] = {}
    for names, variable in sorted(said, key=lambda one: (len(one[0]), one[1].startswith(PREFIX), one[1])):
        where, level = values, below
        way: tuple[str | int, ...] = ()
        for depth, name in enumerate(names):
            name = _as_known(name, level)
            way = (*way, name)
            marks[way] = variable
            if depth == len(names) - 1:
                where[name] = _value(environment[variable], variable)
                break
            where, level = _inner(where, name), _mapping(level.get(name))
    return Layer("variable", values, marks)


def _inner(values: dict[str, Any], name: str) -> dict[str, Any]:
    """The mapping under `name`, made where there is none."""
    values[name] = _mapping(values.get(name))
    return cast("dict[str, Any]", values[name])


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _as_known(name: str, level: dict[str, Any]) -> str:
    """Variables can't tell `my-shop` from `MY_SHOP`: a name that a file holds is meant where it reads the same."""
    if not level or name in level:
        return name
    return next((known for known in level if known.lower().replace("-", "_").replace(".", "_") == name), name)


def _value(text: str, variable: str) -> Any:
    """Text as it is; lists and mappings as YAML writes them within one line; `null` for no value."""
    if text.startswith(("[", "{")):
        from conductor.settings.documents import parse_value

        return parse_value(text, f"${variable}")
    return None if text == "null" else text


# -- files


def read_file(path: str) -> dict[str, Any]:
    """The mapping in a YAML file, empty where there is no file. Raises SettingsInvalid with the line of the fault."""
    return read_layer(path).values


def read_layer(path: str, *, is_everybodys: bool = False) -> Layer:
    """`is_everybodys`: it says what programs run for users who did not write it, so only root or we may have."""
    text = _read(path, is_everybodys=is_everybodys)
    if all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines()):
        return Layer("file", {}, {}, path)
    from conductor.settings.documents import parse_document

    document = parse_document(text, path)
    return Layer("file", document.values, document.lines, path)


def _read(path: str, *, is_everybodys: bool) -> str:
    """Empty where there is no file. A pipe or a device would be waited for, or never end: refused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                if path == os.devnull:
                    return ""
                raise SettingsInvalid(f"can't read {path}: it is {_kind_of(found.st_mode)}, not a file")
            if is_everybodys:
                _check_writers(path, found)
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        hint = f"; {SYSTEM_FILE_VARIABLE}=/dev/null does without it" if is_everybodys else ""
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise SettingsInvalid(f"can't read {path}: {why}{hint}") from error
    if len(content) > MOST_BYTES:
        raise SettingsInvalid(f"can't read {path}: it is larger than {MOST_BYTES >> 20} MiB: these are no settings")
    return decoded(content, path)


def decoded(content: bytes, name: str) -> str:
    """Raises SettingsInvalid with the line of what is no UTF-8."""
    try:
        return content.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise SettingsInvalid(
            f"{name}:{line}: can't read it: byte {error.object[error.start]:#04x} is no UTF-8"
        ) from None


def _check_writers(path: str, found: os.stat_result) -> None:
    """Whoever may write it, or put another in its place, could have programs run as any user here."""
    folder = os.path.dirname(os.path.realpath(path))
    for what, one in ((path, found), (folder, os.stat(folder))):
        sticky = stat.S_ISDIR(one.st_mode) and one.st_mode & stat.S_ISVTX  # others can't replace what is not theirs
        by_others = one.st_mode & (0o002 | (0o020 if one.st_gid else 0)) and not sticky
        if by_others or one.st_uid not in (0, os.geteuid()):
            why = (
                f"others may write it (mode {stat.S_IMODE(one.st_mode):o})"
                if by_others
                else f"user {one.st_uid} owns it"
            )
            raise SettingsInvalid(
                f"{path} is not trusted: {why if what == path else f'of its folder {what}, {why}'}: "
                f"`chown root {what}; chmod go-w {what}`, or {SYSTEM_FILE_VARIABLE}=/dev/null to do without it"
            )


def _kind_of(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")
