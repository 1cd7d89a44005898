"""Secrets never reach a log, a result, an event or `show`: known shapes of keys, and values known to be secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from conductor.domain.task import TaskSpec

MASK = "[masked]"
_SHORTEST_SECRET = 8
_SECRET_NAME = re.compile(r"(?i)(key|token|secret|passw|credential|auth|cookie|private)")
_HARMLESS_NAME = re.compile(
    r"(?i)^(ssh_auth_sock|.*_?(key|token)_?(file|path|dir|id|name|env)|xauthority|authorized.*)$"
)
_SHAPES = re.compile(
    rb"(?:"
    rb"sk-(?:ant-|proj-|or-v1-|svcacct-)?[A-Za-z0-9_-]{16,}"  # Anthropic, OpenAI, OpenRouter and those who copy them
    rb"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}"
    rb"|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{20,}"
    rb"|(?:AKIA|ASIA)[A-Z0-9]{16}"
    rb"|xox[abeprs]-[A-Za-z0-9-]{10,}|pplx-[A-Za-z0-9]{20,}|gsk_[A-Za-z0-9]{20,}|hf_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{30,}"
    rb"|eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{5,}"
    rb"|https://(?:[a-z]+\.)?discord(?:app)?\.com/api/webhooks/\d+/[A-Za-z0-9_-]{20,}"
    rb")"
    rb"|(?P<lead>(?i:bearer|x-api-key[\"']?\s*[:=]|api[_-]?key[\"']?\s*[:=]|authorization[\"']?\s*[:=]\s*basic)"
    rb"\s*[\"']?)(?P<value>[A-Za-z0-9._~+/=-]{12,})"
    rb"|(?P<url>://[^/\s:@]{1,64}:)(?P<password>[^/\s@]{3,128})(?=@)"
)
_HINTS = (
    b"sk-",
    b"gh",
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
        longest_first = sorted({s for s in secrets if len(s) >= _SHORTEST_SECRET}, key=len, reverse=True)
        self._literal = re.compile(b"|".join(re.escape(s.encode()) for s in longest_first)) if longest_first else None

    def mask_bytes(self, raw: bytes) -> bytes:
        if self._literal is not None:
            raw = self._literal.sub(MASK.encode(), raw)
        if any(hint in raw for hint in _HINTS):
            raw = _SHAPES.sub(_replacement, raw)
        return raw

    def mask(self, text: str) -> str:
        return self.mask_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


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
    """The values of secret-named variables that are long enough to be masked safely."""
    return {value for name, value in environment.items() if len(value) >= _SHORTEST_SECRET and is_secret_name(name)}


_SHAPES_ONLY = Masker()
