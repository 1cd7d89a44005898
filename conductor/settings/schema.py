"""The JSON schema of conductor.yaml, and what it says of one place: which names and which values belong there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from conductor.settings.places import Key

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
Part = dict[str, Any]


@cache
def settings_schema() -> Part:
    """Draft 2020-12. The same object at each call: not to be changed."""
    from conductor.settings.generic import GenericOptions
    from conductor.settings.model import Settings

    made = Settings.model_json_schema()
    _add_generic(made["$defs"], GenericOptions.model_json_schema(ref_template="#/$defs/{model}"))
    for part in (made, *made["$defs"].values()):
        for one in part.get("properties", {}).values():
            _close(one)
    return {"$schema": _DIALECT, "$id": "urn:conductor:settings", **made, "title": "conductor.yaml"}


def _add_generic(named: Part, options: Part) -> None:
    """What agents of kind `generic` have beside what all have; what others have there is their kind's affair."""
    named.update(options.pop("$defs", {}))
    named["GenericOptions"] = {name: value for name, value in options.items() if name != "additionalProperties"}
    is_generic = {"properties": {"kind": {"const": "generic"}}, "required": ["kind"]}
    named["AgentSettings"] |= {"if": is_generic, "then": {"$ref": "#/$defs/GenericOptions"}}


def _close(part: Part) -> None:
    """What only says which names it takes takes no other. Titles say nothing that the names don't."""
    part.pop("title", None)
    if "patternProperties" in part:
        part.setdefault("additionalProperties", False)
    patterned = part.get("patternProperties", {}).values()
    for inner in (*part.get("anyOf", ()), *patterned, part.get("additionalProperties")):
        if isinstance(inner, dict):
            _close(inner)


def parts_at(key: Key) -> list[Part]:
    """Everything that may stand at `key`; nothing where no such place is known."""
    schema = settings_schema()
    found = [schema]
    for name in key:
        found = [inner for part in found for inner in _inner(part, name, schema)]
    return found


def _inner(part: Part, name: str | int, schema: Part) -> Iterable[Part]:
    if isinstance(name, int):
        items = part.get("items")
        return _unfolded(items, schema) if isinstance(items, dict) else ()
    if name in part.get("properties", {}):
        return _unfolded(part["properties"][name], schema)
    if "then" in part:
        return [one for then in _unfolded(part["then"], schema) for one in _inner(then, name, schema)]
    named = [*part.get("patternProperties", {}).values(), part.get("additionalProperties")]
    return [one for inner in named if isinstance(inner, dict) for one in _unfolded(inner, schema)]


def _unfolded(part: Part, schema: Part) -> list[Part]:
    """Without references and choices: each possibility as itself, with its own description if it has none."""
    if "$ref" in part:
        return _unfolded(schema["$defs"][part["$ref"].rpartition("/")[2]], schema)
    if "anyOf" in part and "x-unit" not in part:
        return [one for inner in part["anyOf"] for one in _unfolded(inner, schema)]
    return [part]


def names_at(key: Key) -> list[str]:
    """The names that a mapping at `key` may hold."""
    parts = parts_at(key)
    thens = [then for part in parts if "then" in part for then in _unfolded(part["then"], settings_schema())]
    return sorted({name for part in (*parts, *thens) for name in part.get("properties", ())})


def unit_at(key: Key) -> str:
    """`seconds`, `bytes` or nothing."""
    return next((str(part["x-unit"]) for part in parts_at(key) if "x-unit" in part), "")


def wanted_at(key: Key) -> str:
    """What may stand there, in words."""
    said = dict.fromkeys(_words(part) for part in parts_at(key) if part.get("type") != "null")
    return " or ".join(said) or "something else"


def _words(part: Part) -> str:
    if "x-unit" in part:
        return _UNITS[part["x-unit"]]
    if "enum" in part or "const" in part:
        return "one of " + ", ".join(map(str, part.get("enum", [part.get("const")])))
    match part.get("type"):
        case "integer":
            return "a whole number" + _range(part)
        case "number":
            return "a number" + _range(part)
        case "boolean":
            return "true or false"
        case "array":
            return "a list"
        case "object":
            names = list(part.get("properties", ()))
            return "a mapping" + (f" of {_listed(names)}" if names else " of names")
    return f"text of the form {part['pattern']}" if "pattern" in part else "text"


_UNITS = {
    "seconds": "a time above 0 such as 30s, 10m or 2h",
    "bytes": "a size of at least 4 KiB such as 500k, 10MiB or 1g",
}


def _range(part: Part) -> str:
    least, most = part.get("minimum"), part.get("maximum")
    if least is not None and most is not None:
        return f" from {least:g} to {most:g}"
    return f" of at least {least:g}" if least is not None else ""


def _listed(names: Sequence[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
