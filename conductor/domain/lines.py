"""The two line formats: task lines and result lines, pipe-delimited, with `\\|`, `\\\\`, `\\n` and `\\r` escaped.

    task-id|description|model|thinking[|key=value...]
    task-id|worker-id|STATUS|timestamp|preview

Lines are split at LF only, so other characters that Unicode calls line ends travel as they are.
"""

from __future__ import annotations

import re
from binascii import crc32
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from conductor.domain.durations import parse_duration
from conductor.domain.errors import BadTask, UsageError
from conductor.domain.outcome import Status
from conductor.domain.task import TaskSpec, check_spec

PREVIEW_CHARACTERS = 200
_ESCAPES = {"\\": "\\\\", "|": "\\|", "\n": "\\n", "\r": "\\r"}
_UNESCAPES = {"\\\\": "\\", "\\|": "|", "\\n": "\n", "\\r": "\r"}
_NEEDS_ESCAPE = re.compile(r"[\\|\n\r]")
_ESCAPED = re.compile(r"\\.|\\$", re.DOTALL)
_ESCAPED_OR_BAR = re.compile(r"\\.|\|", re.DOTALL)
_TEXTS = ("project", "budget", "verify", "autonomy", "spec_file")
_CHECKSUM_LENGTH = len("|crc=") + 8


def escape(text: str) -> str:
    return _NEEDS_ESCAPE.sub(lambda match: _ESCAPES[match[0]], text)


def unescape(text: str) -> str:
    """The reverse of `escape`. Raises BadTask on an escape that does not exist."""
    if "\\" not in text:
        return text

    def one(match: re.Match[str]) -> str:
        try:
            return _UNESCAPES[match[0]]
        except KeyError:
            raise BadTask(f"unknown escape {match[0]!r}: write \\\\ for a backslash") from None

    return _ESCAPED.sub(one, text)


def split_fields(line: str) -> list[str]:
    """The fields of `line`, still escaped, cut at each `|` that is not."""
    if "\\" not in line:
        return line.split("|")
    fields, start = [], 0
    for match in _ESCAPED_OR_BAR.finditer(line):
        if match[0] == "|":
            fields.append(line[start : match.start()])
            start = match.end()
    return [*fields, line[start:]]


def format_task(spec: TaskSpec) -> str:
    """`spec` as one task line without its line end; only what differs from the defaults is written."""
    fields = [spec.id, escape(spec.description), escape(spec.model), escape(spec.thinking)]
    default = _DEFAULT
    if spec.agent:
        fields.append("agent=" + escape(spec.agent))
    if spec.pool != default.pool:
        fields.append("pool=" + spec.pool)
    if spec.priority:
        fields.append(f"priority={spec.priority}")
    if spec.timeout_seconds is not None:
        fields.append(f"timeout={spec.timeout_seconds!r}")
    if spec.stall_seconds is not None:
        fields.append(f"stall_timeout={spec.stall_seconds!r}")
    if spec.retries is not None:
        fields.append(f"retries={spec.retries}")
    if spec.workspace:
        fields.append("workspace=" + escape(spec.workspace))
    fields.extend(f"env={name}={escape(value)}" for name, value in spec.env)
    if spec.not_before_ms:
        fields.append(f"not_before={spec.not_before_ms}")
    if spec.submitted_ms:
        fields.append(f"submitted={spec.submitted_ms}")
    fields.extend(f"{name}={escape(value)}" for name in _TEXTS if (value := getattr(spec, name)))
    if spec.fallback:
        fields.append("fallback=" + escape(",".join(spec.fallback)))
    fields.extend("criterion=" + escape(criterion) for criterion in spec.criteria)
    if spec.after:
        fields.append("after=" + ",".join(spec.after))
    return "|".join(fields)


def parse_task(line: str, missing_id: str = "") -> TaskSpec:
    """The task that `line` (without its line end) asks for; an empty id becomes `missing_id`. Raises BadTask."""
    fields = split_fields(line)
    if len(fields) < 4:
        raise BadTask(
            f"a task line has at least four fields, task-id|description|model|thinking; this has {len(fields)}"
        )
    task_id, description, model, thinking = (unescape(field) for field in fields[:4])
    spec = replace(
        _DEFAULT, id=task_id or missing_id, description=description, model=model.strip(), thinking=thinking.strip()
    )
    for field in fields[4:]:
        spec = _with_option(spec, unescape(field))
    return check_spec(spec)


def _with_option(spec: TaskSpec, field: str) -> TaskSpec:
    key, equals, value = field.partition("=")
    if not equals:
        raise BadTask(f"option {field[:80]!r} is not key=value")
    try:
        match key:
            case "agent":
                return replace(spec, agent=value)
            case "pool":
                return replace(spec, pool=value)
            case "workspace":
                return replace(spec, workspace=value)
            case "priority":
                return replace(spec, priority=int(value))
            case "retries":
                return replace(spec, retries=int(value))
            case "timeout":
                return replace(spec, timeout_seconds=parse_duration(value))
            case "stall_timeout":
                return replace(spec, stall_seconds=parse_duration(value))
            case "env":
                name, equals, value = value.partition("=")
                return replace(spec, env=(*spec.env, (name, value)))
            case "not_before":
                return replace(spec, not_before_ms=int(value))
            case "submitted":
                return replace(spec, submitted_ms=int(value))
            case "project" | "budget" | "verify" | "autonomy" | "spec_file":
                return with_text(spec, key, value)
            case "fallback":
                return replace(spec, fallback=tuple(filter(None, value.split(","))))
            case "after":
                return replace(spec, after=(*spec.after, *filter(None, value.split(","))))
            case "criterion":
                return replace(spec, criteria=(*spec.criteria, value))
    except (ValueError, UsageError) as error:
        raise BadTask(f"option {field[:80]!r}: {error}") from None
    raise BadTask(f"unknown option {key[:80]!r}")


def with_text(spec: TaskSpec, name: str, value: str) -> TaskSpec:
    """`spec` with one of its further texts."""
    return replace(spec, **{name: value})  # type: ignore[arg-type]  # all of _TEXTS are strings


def seal(line: str) -> str:
    """`line` with a checksum as its last field and its line end: how a task lies on disk, so that a torn one shows."""
    return f"{line}|crc={crc32(line.encode()):08x}\n"


def unseal(text: str) -> str:
    """The line inside a sealed one. Raises BadTask when it is torn or was changed."""
    body, checksum = text[: -_CHECKSUM_LENGTH - 1], text[-_CHECKSUM_LENGTH - 1 :]
    if checksum != f"|crc={crc32(body.encode('utf-8', 'replace')):08x}\n":
        raise BadTask("torn or changed: its checksum is missing or wrong")
    return body


def parse_description(line: str) -> str:
    """One line of plain text as a description: `|` and backslashes are literal."""
    return line.rstrip("\r")


@dataclass(frozen=True, slots=True)
class ResultLine:
    """One line of results.txt: one finished attempt."""

    task_id: str
    worker_id: str
    status: Status
    timestamp: str
    preview: str


def format_result(result: ResultLine) -> str:
    """`result` as one line of results.txt, its line end included."""
    preview = escape(result.preview[:PREVIEW_CHARACTERS])
    return f"{result.task_id}|{result.worker_id}|{result.status.value}|{result.timestamp}|{preview}\n"


def parse_result(line: str) -> ResultLine:
    """The reverse of `format_result`. Raises BadTask."""
    fields = split_fields(line.removesuffix("\n"))
    if len(fields) != 5:
        raise BadTask(f"a result line has five fields, this has {len(fields)}")
    try:
        return ResultLine(fields[0], fields[1], Status(fields[2]), fields[3], unescape(fields[4]))
    except ValueError:
        raise BadTask(f"unknown status {fields[2][:80]!r}") from None


def format_timestamp(epoch_seconds: float) -> str:
    """RFC 3339 in UTC with milliseconds."""
    seconds, milliseconds = divmod(int(epoch_seconds * 1000), 1000)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{milliseconds:03d}Z"


_DEFAULT = TaskSpec(id="", description="")
