"""Keys: read from where the settings say they are, never from the settings themselves."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from conductor.domain.agent_setup import AgentSetup, ProviderSetup
from conductor.domain.errors import BadTask

LARGEST_KEY_BYTES = 16_384
LARGEST_SECRETS_BYTES = 1_048_576
_CREDENTIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_SECRET_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)", re.DOTALL)


def read_key(reference: str, environment: Mapping[str, str]) -> str:
    """The key that `reference` points to: `env:NAME`, `file:/PATH` (ours, mode 0600), `credential:NAME` (systemd's), or
    `literal:TEXT`, which conductor makes for the simulated model alone.

    Empty for an empty reference, and where the variable is not set. Raises BadTask, which never holds the key.
    """
    if not reference:
        return ""
    kind, _, name = reference.partition(":")
    match kind:
        case "env":
            return _checked(environment.get(name, ""), reference)
        case "file":
            return _filled(_private_bytes(name, LARGEST_KEY_BYTES), reference)
        case "credential":
            return _filled(_credential(name, environment), reference)
        case "literal":
            return name
    raise BadTask(f"a key is said as env:NAME, file:/PATH or credential:NAME, not as {kind[:20]!r}")


def read_secrets_file(path: str) -> dict[str, str]:
    """NAME=VALUE lines of a project's own secrets, in a file of ours with mode 0600.

    Blank lines and those that begin with # are left out, `export` in front and quotes around a value are dropped.
    Raises BadTask with the number of a line that is none of these, never with its text.
    """
    try:
        text = _private_bytes(path, LARGEST_SECRETS_BYTES).decode()
    except UnicodeDecodeError:
        raise BadTask(f"{path} is not UTF-8: write it as NAME=VALUE lines") from None
    secrets = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = _SECRET_LINE.fullmatch(line)
        if not match or "\0" in line:
            raise BadTask(f"{path}, line {number}: write it as NAME=VALUE")
        secrets[match[1]] = _unquoted(match[2])
    return secrets


def _private_bytes(path: str, most: int) -> bytes:
    """What is in a regular file that only we can read. A link is followed: what counts is the file that was opened."""
    if not path.startswith("/"):
        raise BadTask(f"key file {path[:200]!r}: give its whole path, from / on")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        raise BadTask(f"can't read the key file {path}: {error.strerror}") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise BadTask(f"{path} is no regular file: put the key into one, then chmod 600 {path}")
        if found.st_uid != os.geteuid():
            raise BadTask(f"{path} belongs to user {found.st_uid}, not to us: chown it, then chmod 600 {path}")
        if found.st_mode & 0o077:
            raise BadTask(f"others can read or write {path} (mode {found.st_mode & 0o777:o}): chmod 600 {path}")
        return _bounded(descriptor, path, most)
    finally:
        os.close(descriptor)


def _bounded(descriptor: int, path: str, most: int) -> bytes:
    content = b""
    while chunk := os.read(descriptor, most + 1 - len(content)):
        content += chunk
    if len(content) > most:
        raise BadTask(f"{path} is larger than {most} bytes: that is no file of keys")
    return content


def _credential(name: str, environment: Mapping[str, str]) -> bytes:
    """systemd guards the folder, whatever the file's own mode is."""
    if not _CREDENTIAL.fullmatch(name):
        raise BadTask(f"credential {name[:80]!r} is not a name")
    folder = environment.get("CREDENTIALS_DIRECTORY", "")
    if not folder:
        raise BadTask(f"no credential {name}: give it to the service with LoadCredential={name}:/PATH in its unit")
    path = f"{folder}/{name}"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError as error:
        raise BadTask(f"can't read credential {name}: {error.strerror}: LoadCredential={name}:/PATH gives it") from None
    try:
        return _bounded(descriptor, path, LARGEST_KEY_BYTES)
    except IsADirectoryError:
        raise BadTask(f"credential {name} is a folder: name a file in it as {name}_FILE") from None
    finally:
        os.close(descriptor)


def _filled(content: bytes, reference: str) -> str:
    key = _checked(content.decode("utf-8", "replace"), reference)
    if not key:
        raise BadTask(f"{reference} is empty: write the key into it")
    return key


def _checked(text: str, reference: str) -> str:
    """The key without the line end that editors put behind it. Raises BadTask when it can't stand in a header."""
    key = text.rstrip("\r\n")
    if any(character.isspace() for character in key):
        raise BadTask(f"the key at {reference} has white space in it: it is one word on one line")
    if not (key.isascii() and key.isprintable()):
        raise BadTask(f"the key at {reference} holds characters that no key has: copy it again")
    return key


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value


_OWNERS = (
    ("sk-ant-oat", "a login token of Claude Code (for CLAUDE_CODE_OAUTH_TOKEN), not an API key", ()),
    ("sk-ant-", "a key of Anthropic", ("anthropic",)),
    ("sk-or-", "a key of OpenRouter", ("openai", "anthropic")),
    ("sk-proj-", "a key of OpenAI", ("openai",)),
    ("sk-svcacct-", "a key of OpenAI", ("openai",)),
    ("pplx-", "a key of Perplexity", ("openai",)),
    ("gsk_", "a key of Groq", ("openai",)),
    ("xai-", "a key of xAI", ("openai", "anthropic")),
    ("AIza", "a key of Google", ("gemini", "openai")),
    ("gh", "a token of GitHub", ("openai",)),
)
"""What a key begins with, whose it is, and the protocols that its owner speaks. Plain `sk-` is everybody's."""


def key_fault(provider_form: str, key: str) -> str:
    """What looks wrong about `key` for a provider of that form (anthropic, openai, gemini), for a warning; empty where
    nothing does."""
    if key[:1] in ("'", '"') and key[-1:] == key[:1]:
        return "it stands in quotes: leave them out"
    for beginning, what, forms in _OWNERS:
        if key.startswith(beginning) and (beginning != "gh" or re.match(r"gh[pousr]_", key)):
            return "" if provider_form in forms else f"it looks like {what}; the provider speaks {provider_form}"
    if key.startswith("sk-") and provider_form == "gemini":
        return "it looks like a key of OpenAI or one who copies it; the provider speaks gemini"
    return ""


@dataclass(frozen=True, slots=True)
class KeyFault:
    """What is wrong with a provider's key, for a person. `grave`: no agent can use it."""

    provider: ProviderSetup
    what: str
    grave: bool


def key_faults(setups: Iterable[AgentSetup], environment: Mapping[str, str]) -> Iterator[KeyFault]:
    """Looks at the key of every provider that an agent uses, once each. A variable that is not set is no fault: its
    agents may have a login of their own."""
    for provider in dict.fromkeys(setup.provider for setup in setups if setup.provider is not None):
        try:
            fault = key_fault(provider.form, read_key(provider.key, environment))
        except BadTask as error:
            yield KeyFault(provider, str(error), grave=True)
            continue
        if fault:
            yield KeyFault(provider, f"the key at {provider.key}: {fault}", grave=False)
