"""Which protocol a path belongs to, and which fault stands in front of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from conductor.testing.sim import anthropic_form, chat_form, gemini_form, responses_form
from conductor.testing.sim.asked import Asked, Json, Reply
from conductor.testing.sim.telling import Event

_FAULTY = re.compile(r"^/fault/(?P<fault>[^/]+)(?P<path>/.*|)$")


class Form(Protocol):
    """A protocol: reads its requests, writes its answers whole or as events."""

    NAME: str

    def read(self, body: Json, path: str) -> Asked: ...

    def whole(self, reply: Reply) -> Json: ...

    def events(self, reply: Reply) -> Iterator[Event]: ...


FORMS: Mapping[str, Form] = MappingProxyType(
    {form.NAME: form for form in (anthropic_form, responses_form, chat_form, gemini_form)}
)


@dataclass(frozen=True, slots=True)
class Route:
    """`deed`: answer, count, models, or nothing that is known. `fault` is empty where the path names none."""

    deed: str
    form: str
    path: str
    fault: str = ""


def split_fault(path: str) -> tuple[str, str]:
    """The fault named in front of a path, and the path itself."""
    found = _FAULTY.match(path)
    return (found["fault"], found["path"] or "/") if found else ("", path)


def route(method: str, whole_path: str, headers: Mapping[str, str]) -> Route:
    """`whole_path` without its query; names of `headers` in lower case."""
    fault, path = split_fault(whole_path)
    deed, form = _place(path) if method == "POST" else _listing(path, headers)
    return Route(deed, form, path, fault)


def _place(path: str) -> tuple[str, str]:
    for ending, place in {
        "/messages": ("answer", "anthropic"),
        "/messages/count_tokens": ("count", "anthropic"),
        "/responses": ("answer", "responses"),
        "/chat/completions": ("answer", "chat"),
        ":generateContent": ("answer", "gemini"),
        ":streamGenerateContent": ("answer", "gemini"),
        ":countTokens": ("count", "gemini"),
    }.items():
        if path.endswith(ending):
            return place
    return "", _family(path, {})


def _listing(path: str, headers: Mapping[str, str]) -> tuple[str, str]:
    return ("models" if path.rstrip("/").endswith("/models") else ""), _family(path, headers)


def _family(path: str, headers: Mapping[str, str]) -> str:
    if "/v1beta" in path or "x-goog-api-key" in headers:
        return "gemini"
    return "anthropic" if "anthropic-version" in headers else "responses"


def counted(form: str, tokens: int) -> Json:
    return gemini_form.counted(tokens) if form == "gemini" else anthropic_form.counted(tokens)


def models(form: str) -> Json:
    match form:
        case "gemini":
            return gemini_form.models()
        case "anthropic":
            return anthropic_form.models()
    return responses_form.models()
