"""Bytes of a file into plain data, whoever wrote them: nothing is executed, nothing grows beyond its text."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import yaml

from conductor.domain.errors import PlanInvalid, UsageError
from conductor.kit.durable import read_bytes

MOST_BYTES = 64 << 20
MOST_DEPTH = 100
MOST_MERGED = 100
MOST_VALUES = 1_000_000


class _Unreadable(Exception):
    """Why data can't be read, for the one fault that is told."""


class _NotJson(_Unreadable):
    """It is not JSON, and may be YAML."""


def read_text(path: str, at_most: int = MOST_BYTES) -> str:
    """The text of a file, no link. Raises UsageError where there is none, PlanInvalid where it is not text or has more
    than `at_most` bytes."""
    try:
        content = read_bytes(path, at_most + 1)
    except OSError as error:
        raise UsageError(f"can't read the plan {path}: {error.strerror or error}") from error
    if len(content) > at_most:
        raise PlanInvalid(path, (f"it is larger than {at_most >> 20} MiB",))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PlanInvalid(path, (f"it is not UTF-8 text (byte {error.start})",)) from None


def load_text(text: str, what: str) -> Any:
    """JSON where it looks like it, else YAML. Raises PlanInvalid."""
    return _answered(_load_json if text.lstrip()[:1] in ("{", "[") else _load_yaml, text, what)


def load_json(text: str, what: str) -> Any:
    """JSON alone. Raises PlanInvalid."""
    return _answered(_strict_json, text, what)


def load_yaml(text: str, what: str) -> Any:
    """Raises PlanInvalid."""
    return _answered(_load_yaml, text, what)


def _answered(load: Callable[[str], Any], text: str, what: str) -> Any:
    try:
        return load(text)
    except _Unreadable as error:
        raise PlanInvalid(what, (str(error),)) from None
    except RecursionError:
        raise PlanInvalid(what, (f"it is nested deeper than {MOST_DEPTH} levels",)) from None


def _load_json(text: str) -> Any:
    try:
        return _strict_json(text)
    except _NotJson as error:
        try:
            return _load_yaml(text)  # `{a: b}` is YAML too
        except _Unreadable:
            raise error from None


def _strict_json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise _NotJson(f"line {error.lineno}, column {error.colno}: it is not JSON: {error.msg}") from None
    except ValueError as error:
        raise _Unreadable(f"it is not JSON: {error}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Unreadable(f"the key {twice[:80]!r} stands twice in one place")
    return found


def _no_constant(name: str) -> Any:
    raise _Unreadable(f"{name} is no number")


def _load_yaml(text: str) -> Any:
    try:
        has_aliases = _look_over(text)
        found = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise _Unreadable(f"{place}it is not YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise _Unreadable(f"it is not YAML: {' '.join(str(error).split())[:200]}") from None
    if has_aliases:
        _check_size(found)
    return found


if TYPE_CHECKING:
    _Fast = yaml.SafeLoader
else:
    _Fast = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _look_over(text: str) -> bool:
    """Whether there are aliases. The C parser builds nodes by recursion without a limit of its own: text that is
    nested too deeply would take the process with it."""
    depth, has_aliases = 0, False
    for event in yaml.parse(text, Loader=_Fast):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MOST_DEPTH:
                raise _Unreadable(f"line {_line(event)}: it is nested deeper than {MOST_DEPTH} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            has_aliases = True
    return has_aliases


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


def _check_size(found: object) -> None:
    """Aliases share what they name, so a short text can stand for more than any memory, or for itself."""
    to_visit, seen = [found], 0
    while to_visit:
        one = to_visit.pop()
        inside = list(one.values()) if isinstance(one, dict) else one if isinstance(one, list) else ()
        seen += 1 + len(inside)
        if seen > MOST_VALUES:
            raise _Unreadable(f"its aliases stand for more than {MOST_VALUES} values")
        to_visit.extend(inside)


class _Loader(_Fast):
    """Safe; a key that stands twice in one place is a fault, and merges (`<<`) stay small."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._flat: set[yaml.MappingNode] = set()

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        if node in self._flat:
            return
        self._flat.add(node)
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise yaml.MarkedYAMLError(None, None, f"the key {twice[:80]!r} stands twice", node.start_mark)
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge" and len(value.value) > MOST_MERGED:
                raise yaml.MarkedYAMLError(None, None, "it merges far too much", key.start_mark)
        super().flatten_mapping(node)
        if len(node.value) > max(MOST_MERGED, len(names)):
            raise yaml.MarkedYAMLError(None, None, "it merges far too much", node.start_mark)
