"""YAML as settings: what stands in it and on which line. Whatever it holds, reading it ends soon and is safe.

Refused with their line: text nested too deeply (the C parser would take the process with it), values that hold
themselves, aliases that unfold into more than any settings have, numbers longer than any number, a name that stands
twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import yaml

from conductor.domain.errors import SettingsInvalid

MOST_DEPTH = 50
MOST_VALUES = 20_000
_LONGEST_NUMBER = 50
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_TOO_DEEP = f"it is nested deeper than {MOST_DEPTH} levels"
_TEXT = "tag:yaml.org,2002:str"
_MERGE = "tag:yaml.org,2002:merge"
_TIMESTAMP = "tag:yaml.org,2002:timestamp"

Key = tuple[str | int, ...]
"""The way to a value: names in mappings, numbers in lists."""


@dataclass(frozen=True)
class Document:
    """The mapping in a text, and the line on which each of its values is named, by the way to it."""

    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[Key, int] = field(default_factory=dict)


if TYPE_CHECKING:
    _Fast = yaml.SafeLoader
else:
    _Fast = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Fast):
    """Makes plain values only; `2024-08-06` is a name, not a day."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as the parent declares it
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in _Fast.yaml_implicit_resolvers.items()
    }

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, OverflowError, TypeError, AttributeError, KeyError) as error:
            raise yaml.constructor.ConstructorError(None, None, f"no value: {error}", node.start_mark) from None


def parse_document(text: str, name: str) -> Document:
    """`name`: what faults call it. Raises SettingsInvalid that says `name:line: why`."""
    try:
        _check_depth(text)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return Document()
            _Measure().of(node)
            found = loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise SettingsInvalid(_told(error, name)) from None
    except yaml.reader.ReaderError as error:
        in_c = error.encoding != "unicode"  # there positions count bytes
        before = text.encode("utf-8", "replace")[: error.position] if in_c else text[: error.position].encode()
        line = before.count(b"\n") + 1
        raise SettingsInvalid(
            f"{name}:{line}: it is not YAML: {error.reason} (#x{_code(error.character):04x})"
        ) from None
    if found is None:
        return Document()
    if not isinstance(found, dict):
        line = node.start_mark.line + 1
        raise SettingsInvalid(f"{name}:{line}: it must hold settings as `name: value`, not a {type(found).__name__}")
    lines: dict[Key, int] = {}
    _note_lines(node, (), lines)
    return Document(found, lines)


def parse_value(text: str, name: str) -> Any:
    """One value, for a variable that holds a list or a mapping. Raises SettingsInvalid."""
    try:
        return parse_document(f"value: {text}", name).values["value"]
    except SettingsInvalid as error:
        raise SettingsInvalid(f"{name}: {re.sub('^[^ ]*: ', '', str(error), count=1)}") from None


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Fast):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MOST_DEPTH:
                raise _refused(event, _TOO_DEEP)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class _Measure:
    """How many values nodes unfold to and how deep; each is looked at once, however often it is referred to."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int] | None] = {}

    def of(self, node: yaml.Node) -> tuple[int, int]:
        if id(node) not in self._known:
            self._known[id(node)] = None
            self._known[id(node)] = self._measured(node)
        known = self._known[id(node)]
        if known is None:
            raise _refused(node, "it holds a value that is a part of itself")
        return known

    def _measured(self, node: yaml.Node) -> tuple[int, int]:
        if isinstance(node, yaml.ScalarNode):
            if node.tag in _NUMBERS and len(node.value) > _LONGEST_NUMBER:
                raise _refused(node, "no number has so many digits")
            return 1, 0
        parts = [self.of(one) for one in _parts_of(node)]
        size, depth = 1 + sum(size for size, _ in parts), 1 + max((depth for _, depth in parts), default=0)
        if size > MOST_VALUES:
            raise _refused(node, f"it unfolds into more than {MOST_VALUES} values")
        if depth > MOST_DEPTH:
            raise _refused(node, _TOO_DEEP)
        return size, depth


def _parts_of(node: yaml.Node) -> list[yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        return list(node.value)
    _check_names(node)
    return [one for pair in node.value for one in pair]


def _check_names(node: yaml.MappingNode) -> None:
    """Each stands once. They are text, whatever they look like: `on`, `17`."""
    first: dict[str, int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
            continue
        key.tag = _TEXT
        line = key.start_mark.line + 1
        if key.value in first:
            raise _refused(key, f"{key.value[:80]!r} stands twice: on line {first[key.value]} and on line {line}")
        first[key.value] = line


def _note_lines(node: yaml.Node, way: Key, lines: dict[Key, int]) -> None:
    """After the values were made: merged keys stand among a mapping's own by then, the own ones last."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*way, key.value)
            lines[here] = key.start_mark.line + 1
            _note_lines(value, here, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, one in enumerate(node.value):
            lines[*way, index] = one.start_mark.line + 1
            _note_lines(one, (*way, index), lines)


def _refused(where: yaml.Node | yaml.Event, why: str) -> yaml.MarkedYAMLError:
    mark = where.start_mark
    return yaml.MarkedYAMLError(problem=why, problem_mark=cast("yaml.Mark | None", mark), note="ours")


def _told(error: yaml.MarkedYAMLError, name: str) -> str:
    mark = error.problem_mark or error.context_mark
    place = f"{name}:{mark.line + 1}" if mark else name
    said = str(error.problem or error.context)
    if error.note == "ours":
        return f"{place}: {said}"
    context = f", {error.context}" if error.problem and error.context else ""
    since = f" on line {error.context_mark.line + 1}" if context and error.context_mark else ""
    return f"{place}: it is not YAML: {said[:200]}{context}{since}"


def _code(character: object) -> int:
    """Of the C parser a number, of the other one a character."""
    if isinstance(character, int):
        return character
    return character[0] if isinstance(character, bytes) else ord(str(character)[:1] or "\0")
