"""Secrets never reach a log, a result, an event or `show`: known shapes of keys, and values known to be secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from conductor.domain.task import TaskSpec

MASK = "[masked]"
LONGEST_SECRET = 8192
_SHORTEST_SECRET = 8
_SHORTEST_SECRET_LINE = 20
_SECRET_NAME = re.compile(
    r"(?i)(key(?!board|ring|map)|token(?!iz)|secret|passw|passphrase|sshpass|(?:^|_)pass$|_pwd$|credential"
    r"|auth(?!or(?!i))|cookie|private)"
)
_HARMLESS_NAME = re.compile(
    r"(?i)^(ssh_auth_sock|.*_?(key|token)_?(file|path|dir|id|name|env)|.*_(file|path|dir)|xauthority|authorized.*)$"
)
# Not inside a word: `task-20260101-...` is no key. What an escape sequence ends with, coloured or quoted, is no word.
_BEGINS = rb"%b(?:(?<![A-Za-z0-9]%b)|(?<=[\[;0-9]m%b)|(?<=\\[nrt]%b))"
_SHAPES = re.compile(
    rb"(?:"
    + _BEGINS % ((b"sk-",) * 4)  # Anthropic, OpenAI, OpenRouter and those who copy them
    + rb"(?:ant-|proj-|or-v1-|svcacct-)?[A-Za-z0-9_-]{16,}"
    rb"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}"
    rb"|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{20,}"
    rb"|(?:AKIA|ASIA)[A-Z0-9]{16}"
    rb"|xox[abeprs]-[A-Za-z0-9-]{10,}|pplx-[A-Za-z0-9]{20,}|gsk_[A-Za-z0-9]{20,}|hf_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{30,}"
    rb"|xai-[A-Za-z0-9]{20,}|r8_[A-Za-z0-9]{20,}|[rs]k_(?:live|test)_[A-Za-z0-9]{16,}|nvapi-[A-Za-z0-9_-]{20,}"
    rb"|" + _BEGINS % ((b"eyJ",) * 4) + rb"[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{5,}"
    rb"|https://(?:[a-z]+\.)?discord(?:app)?\.com/api/webhooks/\d+/[A-Za-z0-9_-]{20,}"
    rb")"
    rb"|(?P<lead>(?i:bearer[\s:=]|api[_-]?key\\?[\"']?\s*[:=]|authorization\\?[\"']?\s*[:=]\s*(?:basic|token)\s)"
    rb"\s*\\?[\"']?)"
    rb"(?=[A-Za-z._~+/=-]{0,200}[0-9]|[A-Za-z+/=-]{20})(?P<value>[A-Za-z0-9._~+/=-]{12,})"  # prose has no digits
    rb"|(?P<url>://[^/\s:@\"<>]{0,64}:)(?P<password>[^/\s@\"<>]{1,128})(?=@)"
)
_HINTS = (
    b"sk-",
    b"gh",
    b"github_pat",
    b"glpat",
    b"AIza",
    b"ya29",
    b"AKIA",
    b"ASIA",
    b"xox",
    b"pplx",
    b"gsk_",
    b"hf_",
    b"npm_",
    b"xai-",
    b"r8_",
    b"k_live_",
    b"k_test_",
    b"nvapi-",
    b"eyJ",
    b"discord",
    b"earer",
    b"EARER",
    b"key",
    b"KEY",
    b"Key",
    b"uthorization",
    b"UTHORIZATION",
    b"://",
)


class Masker:
    """Replaces what looks like a key, and each of `secrets`, by `[masked]`. Works on bytes, so that no encoding
    hides anything."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        wanted = {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}
        wanted |= {line for secret in wanted for line in secret.splitlines() if len(line) >= _SHORTEST_SECRET_LINE}
        longest_first = sorted((secret.encode("utf-8", "surrogateescape") for secret in wanted), key=len, reverse=True)
        self._literal = re.compile(b"|".join(map(re.escape, longest_first))) if longest_first else None

    def mask_bytes(self, raw: bytes) -> bytes:
        if self._literal is not None:
            raw = self._literal.sub(MASK.encode(), raw)
        if any(hint in raw for hint in _HINTS):
            raw = _SHAPES.sub(_replacement, raw)
        return raw

    def safe_cut(self, raw: bytes, limit: int) -> int:
        """The last position up to `limit` at which no secret is cut in two; 0 when one reaches from the start on."""
        patterns = [self._literal, _SHAPES] if self._literal is not None else [_SHAPES]
        begin = max(0, limit - LONGEST_SECRET)
        spans = (match.span() for pattern in patterns for match in pattern.finditer(raw, begin))
        for start, end in sorted(spans, reverse=True):
            if start < limit < end:
                limit = start
        return limit

    def mask(self, text: str) -> str:
        try:
            return self.mask_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")
        except UnicodeError:  # a surrogate that stands for no byte
            return self.mask_bytes(text.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")


def _replacement(match: re.Match[bytes]) -> bytes:
    if match["lead"] is not None:
        return match["lead"] + MASK.encode()
    if match["url"] is not None:
        return match["url"] + MASK.encode()
    return MASK.encode()


def masked_spec(spec: TaskSpec) -> TaskSpec:
    """`spec` as it may be shown: nothing that looks like a key, no value of a secret-named variable."""
    env = tuple((name, MASK if is_secret_name(name) else _SHAPES_ONLY.mask(value)) for name, value in spec.env)
    hidden = Masker(secret_values(dict(spec.env)))
    return replace(spec, description=hidden.mask(spec.description), env=env)


def is_secret_name(name: str) -> bool:
    """Whether a variable called `name` is taken to hold a secret."""
    return bool(_SECRET_NAME.search(name)) and not _HARMLESS_NAME.match(name)


def secret_values(environment: Mapping[str, str]) -> set[str]:
    """The values of secret-named variables that are long enough to be masked safely, and each line of a value that
    has several: output is masked as it comes, and may come line by line."""
    values = [value for name, value in environment.items() if is_secret_name(name)]
    parts = {part for value in values for part in (value, *(line.strip() for line in value.split("\n")))}
    return {part for part in parts if len(part) >= _SHORTEST_SECRET}


_SHAPES_ONLY = Masker()
