"""What the simulated model says when nobody told it what to say. All of it follows from the question and the seed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

FIBONACCI = '''def fibonacci(count: int) -> list[int]:
    """The first `count` Fibonacci numbers, from 0 on."""
    numbers: list[int] = []
    current, following = 0, 1
    for _ in range(count):
        numbers.append(current)
        current, following = following, current + following
    return numbers


if __name__ == "__main__":
    print(fibonacci(10))  # [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]
'''

_CODE = re.compile(
    r"\b(?:write|create|implement|build|make|generate)\b.{0,80}?"
    r"\b(?:function|script|program|class|code|module|method|tests?)\b\s*(?:(?:to|that|which|for)\s+)?(?P<deed>[^.\n]*)",
    re.I | re.S,
)
_SIDE_CALL = re.compile(
    r"title generator|generate (?:a|an) [^.\n]{0,60}title|new conversation topic|"
    r"(?:summari[sz]e|name) this (?:coding )?(?:conversation|session)|extract any file paths",
    re.I,
)
_OPENINGS = ("Understood", "Done", "Here is my answer", "Noted")

REVIEW = """Review (simulated):

1. Correctness: no defect found in what was given.
2. Tests: the empty input has no test yet.
3. Style: fine.

Verdict: approved, with one suggestion."""


def is_side_call(instructions: str, prompt: str) -> bool:
    """Whether a CLI asks for itself: a title, a summary of the topic."""
    return bool(_SIDE_CALL.search(instructions[:2000]) or _SIDE_CALL.search(prompt[:400]))


def title(prompt: str) -> str:
    words = re.findall(r"[A-Za-z]{3,}", prompt)[:4]
    return " ".join(words).capitalize() or "Simulated conversation"


def plain_answer(prompt: str, seed: int) -> str:
    """A short answer; where code is asked for, a small piece of it."""
    if "fibonacci" in prompt.lower():
        return f"Here is a function for the Fibonacci numbers:\n\n```python\n{FIBONACCI}```"
    if found := _CODE.search(prompt):
        return f"Here is a small start:\n\n```python\n{_stub(found['deed'])}```"
    lines = [line.strip() for line in prompt.splitlines() if line.strip()]
    asked = lines[-1] if lines else "nothing"
    opening = _OPENINGS[seed % len(_OPENINGS)]
    return f"{opening}. This is a simulated answer to: {asked[:120]}"


def _stub(deed: str) -> str:
    words = re.findall(r"[a-z]+", deed.lower())[:4] or ["answer"]
    about = deed.strip().replace('"', "'")[:80] or "What was asked for"
    return f'def {"_".join(words)}(value: str) -> str:\n    """{about}"""\n    return value.strip()\n'


def instance_of(schema: Mapping[str, Any], text: str = "simulated", depth: int = 0) -> Any:
    """The simplest value that a JSON schema allows; strings say `text`. Schemas in a circle end at six levels."""
    for known in ("const", "default"):
        if known in schema:
            return schema[known]
    if schema.get("enum"):
        return schema["enum"][0]
    for choice in ("anyOf", "oneOf", "allOf"):
        if schema.get(choice):
            return instance_of(schema[choice][0], text, depth + 1)
    return _of_type(schema, text, depth)


def _of_type(schema: Mapping[str, Any], text: str, depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = str(kind[0] if isinstance(kind, list) else kind).lower()
    if kind == "object":
        properties = schema.get("properties") or {}
        wanted = schema.get("required") or list(properties)
        inner = {name: properties[name] for name in wanted if name in properties} if depth < 6 else {}
        return {name: instance_of(one, text, depth + 1) for name, one in inner.items()}
    if kind == "array":
        few = int(schema.get("minItems", 0))
        return [instance_of(schema.get("items") or {}, text, depth + 1) for _ in range(min(few, 10))]
    if kind in ("integer", "number"):
        return schema.get("minimum", 1)
    return {"boolean": True, "null": None}.get(kind, text[: schema.get("maxLength", 400)])
