"""What differs between the protocols of providers: which requests are model calls and which others
may pass, where a key stands, how an error looks. `form` is anthropic, openai or gemini."""

from __future__ import annotations

import json
import re
from _operator import _compare_digest as same  # what hmac uses where there is no OpenSSL: hashlib is large
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass

from conductor.gate.heads import Headers, RequestHead, end_to_end, render, values

_PLAIN = re.compile(r"(?:/[\w.:@+~-]+)*/*", re.ASCII)
_MODEL_CALLS = (
    (re.compile(r"(?:.*/v\d\w*)?/messages"), "messages"),
    (re.compile(r"(?:.*/v\d\w*)?/responses(?:/compact)?"), "responses"),
    (re.compile(r"(?:.*)/(?:chat/)?completions"), "chat"),
    (re.compile(r".*:(?:stream)?[gG]enerateContent"), "generate"),
)
_FREE = (
    ("POST", re.compile(r"(?:.*/v\d\w*)?/messages/count_tokens|.*:countTokens")),
    ("GET", re.compile(r"(?:/v\d\w*)?/models(?:/.+)?|/?")),
    ("HEAD", re.compile(r"(?:/v\d\w*)?/models(?:/.+)?|/?")),
)
"""What costs nothing and agents ask for: how long a prompt is, which models there are, whether anybody is there."""
_KEY_HEADERS = ("authorization", "x-api-key", "x-goog-api-key")


def call_kind(head: RequestHead) -> str:
    """Which API of models the request calls: messages, responses, chat or generate; empty: none."""
    path = _plain_path(head.path)
    if head.method != "POST" or path is None:
        return ""
    return next((kind for pattern, kind in _MODEL_CALLS if pattern.fullmatch(path)), "")


def may_pass(head: RequestHead) -> bool:
    """Whether the request may go upstream with the real key: a model call, which is counted, or one of the few that
    cost and change nothing. Batches, files and the account's administration would go past every budget."""
    path = _plain_path(head.path)
    if path is None:
        return False
    return bool(call_kind(head)) or any(head.method == method and rule.fullmatch(path) for method, rule in _FREE)


def _plain_path(path: str) -> str | None:
    """As a provider may understand it: percent-decoded, without slashes at its end. None: it has what two readers
    could understand in two ways."""
    plain = re.sub(r"%([0-9A-Fa-f]{2})", lambda match: chr(int(match[1], 16)), path)
    if not _PLAIN.fullmatch(plain) or {".", ".."} & set(plain.split("/")):
        return None
    return plain.rstrip("/")


def worthless_key(form: str, random_bytes: Callable[[int], bytes]) -> str:
    """A key that nobody else can guess and that opens nothing but its gate, in the shape of the form's own."""

    def letters(count: int) -> str:
        return re.sub("[-_]", "x", urlsafe_b64encode(random_bytes(count)).decode())[:count]

    if form == "anthropic":
        return f"sk-ant-api03-{letters(93)}AA"
    return f"AIza{letters(35)}" if form == "gemini" else f"sk-proj-{letters(156)}"


def key_header(form: str, key: str) -> tuple[str, str]:
    """The header in which the form wants its key."""
    if form == "anthropic":
        return "x-api-key", key
    return ("x-goog-api-key", key) if form == "gemini" else ("authorization", f"Bearer {key}")


def key_query(form: str) -> str:
    """The name under which the form takes a key in a query; empty: it does not."""
    return "key" if form == "gemini" else ""


@dataclass(frozen=True, slots=True)
class Exchanger:
    """Takes the worthless `token` out of requests and puts the real `key` in. `host` and `prefix` are upstream's."""

    form: str
    token: str
    key: str
    host: str
    prefix: str = ""

    def admits(self, head: RequestHead) -> bool:
        """Whether the request shows the token, in any place where a client may put it."""
        shown = [text for name in _KEY_HEADERS for text in values(head.headers, name)]
        shown += [text[7:].strip() for text in shown if text[:7].lower() == "bearer "]
        shown += [text for name, text in self._query(head.target) if name == key_query(self.form) and name]
        token = self.token.encode()
        return any([same(text.encode("latin-1"), token) for text in shown])  # noqa: C419 - all, so that time tells nothing

    def forwarded(self, head: RequestHead) -> bytes:
        """The head as it goes upstream."""
        kept: Headers = end_to_end(head.headers, without=("host", "expect", "accept-encoding", *_KEY_HEADERS))
        own = [("host", self.host), ("accept-encoding", "identity")]
        if self.key:
            own.append(key_header(self.form, self.key))
        return render(f"{head.method} {self.prefix}{self._target(head.target)} HTTP/1.1", (*own, *kept))

    def _target(self, target: str) -> str:
        path, mark, _ = target.partition("?")
        if not mark or not key_query(self.form):
            return target
        rest = [f"{name}={text}" if text else name for name, text in self._query(target) if name != "key"]
        return f"{path}?{'&'.join(rest)}" if rest else path

    @staticmethod
    def _query(target: str) -> list[tuple[str, str]]:
        pairs = (part.partition("=") for part in target.partition("?")[2].split("&") if part)
        return [(name, text) for name, _, text in pairs]


_ANTHROPIC_TYPES = {400: "invalid_request_error", 403: "permission_error", 426: "invalid_request_error"}
_GEMINI_STATUSES = {400: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 426: "INVALID_ARGUMENT", 502: "UNAVAILABLE"}
_OPENAI_TYPES = {400: "invalid_request_error", 403: "permission_error", 426: "invalid_request_error"}


def error_body(form: str, status: int, message: str) -> bytes:
    """An error of the gate's own as the form's clients can read it, in JSON."""
    if form == "anthropic":
        kind = _ANTHROPIC_TYPES.get(status, "api_error")
        told: dict[str, object] = {"type": "error", "error": {"type": kind, "message": message}}
    elif form == "gemini":
        told = {"error": {"code": status, "message": message, "status": _GEMINI_STATUSES.get(status, "INTERNAL")}}
    else:
        kind = _OPENAI_TYPES.get(status, "server_error")
        told = {"error": {"message": message, "type": kind, "param": None, "code": None}}
    return json.dumps(told).encode()


_REASONS = {
    400: "Bad Request",
    403: "Forbidden",
    426: "Upgrade Required",
    431: "Request Header Fields Too Large",
    502: "Bad Gateway",
}


def own_answer(form: str, status: int, message: str, *, close: bool) -> bytes:
    """A whole answer of the gate's own. `close`: the connection ends with it."""
    body = error_body(form, status, message)
    headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
    if close:
        headers.append(("connection", "close"))
    return render(f"HTTP/1.1 {status} {_REASONS[status]}", headers) + body
