"""The review at a run's end: what the manager model is asked, what it answered, and the report for a person."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from conductor.domain.quoting import fenced, head_of
from conductor.domain.run import Run, StepState
from conductor.orchestrator.planning.json_in_text import find_json
from conductor.orchestrator.templating import PromptTemplates

MOST_DIFF = 120_000
MOST_STAT = 20_000
MOST_FINDINGS = 200
_LONGEST = 4_000
_VERDICT = re.compile(r"verdict\W{0,10}(\w[\w -]{0,40})", re.I)
_FINDING = re.compile(r"^[ \t]*(?:[-*•]|[0-9]{1,3}[.)])[ \t]+(?P<text>\S.*)$", re.M)
_PLACE = re.compile(r"`?(?P<file>[\w./-]{1,200}\.\w{1,10}):(?P<line>[0-9]{1,7})`?")


class Verdict(StrEnum):
    APPROVED = "approved"
    CHANGES = "changes"
    UNCLEAR = "unclear"
    """The answer does not say."""


class Severity(StrEnum):
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


_VERDICTS = {
    "approve": Verdict.APPROVED,
    "accept": Verdict.APPROVED,
    "pass": Verdict.APPROVED,
    "lgtm": Verdict.APPROVED,
    "change": Verdict.CHANGES,
    "request": Verdict.CHANGES,
    "reject": Verdict.CHANGES,
    "fail": Verdict.CHANGES,
    "needs": Verdict.CHANGES,
    "not": Verdict.CHANGES,
}
_SEVERITIES = {
    **dict.fromkeys(("high", "critical", "blocker", "error", "major", "severe"), Severity.HIGH),
    **dict.fromkeys(("low", "minor", "info", "note", "nit", "trivial", "suggestion"), Severity.LOW),
}


@dataclass(frozen=True, slots=True)
class Finding:
    severity: Severity
    text: str
    file: str = ""
    line: int = 0
    """0: none."""


@dataclass(frozen=True, slots=True)
class Review:
    verdict: Verdict
    summary: str = ""
    findings: tuple[Finding, ...] = ()


def review_prompt(
    run: Run, steps: Sequence[StepState], diff_stat: str, diff_head: str, templates: PromptTemplates
) -> str:
    """Raises SettingsInvalid where a template is broken."""
    request = _fenced(run.request or run.title, "request", MOST_STAT)
    return templates.render(
        "review.md.j2",
        request,
        project=run.project,
        request=request,
        base=run.base[:12] or "the beginning",
        steps=_fenced("\n".join(map(_step_line, steps)), "steps", MOST_STAT),
        diff_stat=_fenced(diff_stat, "files", MOST_STAT),
        diff=_fenced(diff_head, "diff", MOST_DIFF),
    )


def _step_line(state: StepState) -> str:
    reason = f" ({_line(state.reason)})" if state.reason else ""
    criteria = f"; wanted: {'; '.join(map(_line, state.step.criteria))}" if state.step.criteria else ""
    return f"{state.step.id}: {_line(state.step.title)}: {state.status}{reason}{criteria}"


def read_review(text: str) -> Review:
    """Whatever can be made of the answer; never raises."""
    found = find_json(text, lambda value: isinstance(value, dict) and ("verdict" in value or "findings" in value))
    if found.values:
        return _from_json(found.values[-1])
    said = None if found.broke_off else _VERDICT.search(text)
    findings = tuple(_from_line(one["text"]) for one in _FINDING.finditer(text))[:MOST_FINDINGS]
    return Review(_verdict(said[1] if said else ""), head_of(_plain(text).strip(), _LONGEST), findings)


def _from_json(answer: Mapping[str, Any]) -> Review:
    listed = answer.get("findings")
    findings = [_finding(one) for one in (listed if isinstance(listed, list) else [])[:MOST_FINDINGS]]
    return Review(
        _verdict(answer.get("verdict")),
        head_of(_text(answer.get("summary")), _LONGEST),
        tuple(one for one in findings if one.text),
    )


def _finding(given: Any) -> Finding:
    if not isinstance(given, dict):
        return Finding(Severity.MEDIUM, head_of(_text(given), _LONGEST))
    text = _text(next((given[key] for key in ("text", "message", "description", "title") if given.get(key)), ""))
    line = given.get("line")
    return Finding(
        _severity(given.get("severity")),
        head_of(text, _LONGEST),
        _line(_text(given.get("file") or given.get("path")))[:500],
        line if isinstance(line, int) and not isinstance(line, bool) and 0 < line < 10**9 else 0,
    )


def _from_line(text: str) -> Finding:
    place = _PLACE.search(text)
    severity = next((_severity(word) for word in re.findall(r"[a-z]+", text[:60].lower()) if word in _SEVERITIES), None)
    plain = head_of(_plain(text).strip(), _LONGEST)
    return Finding(
        severity or Severity.MEDIUM, plain, place["file"] if place else "", int(place["line"]) if place else 0
    )


def _verdict(said: Any) -> Verdict:
    words = re.findall(r"[a-z]+", said.lower()) if isinstance(said, str) else []
    return next(
        (verdict for word in words[:1] for start, verdict in _VERDICTS.items() if word.startswith(start)),
        Verdict.UNCLEAR,
    )


def _severity(said: Any) -> Severity:
    return _SEVERITIES.get(said.strip().lower(), Severity.MEDIUM) if isinstance(said, str) else Severity.MEDIUM


def review_report(review: Review, run: Run) -> str:
    """As Markdown, in which nothing that the model wrote can pass for more than its words."""
    said = {
        Verdict.APPROVED: "approved",
        Verdict.CHANGES: "changes are wanted",
        Verdict.UNCLEAR: "unclear: the answer does not say",
    }[review.verdict]
    parts = [
        f"# Review of {run.id}: {_inline(run.title)}",
        f"Verdict: **{said}**. {len(review.findings)} finding{'s' if len(review.findings) != 1 else ''}.",
        fenced(review.summary, "text"),
        *(_told(number, one) for number, one in enumerate(sorted(review.findings, key=_weight), 1)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _weight(finding: Finding) -> int:
    return list(Severity).index(finding.severity)


def _told(number: int, finding: Finding) -> str:
    place = f"{finding.file}:{finding.line}" if finding.file and finding.line else finding.file
    where = f" in {_inline(place)}" if place else ""
    return f"{number}. **{finding.severity}**{where}\n\n{fenced(finding.text, 'text')}"


def _inline(text: str) -> str:
    return "`" + _line(text).replace("`", "'") + "`" if text.strip() else "(no title)"


def _text(value: Any) -> str:
    return "" if value is None else _plain(value if isinstance(value, str) else str(value)).strip()


def _plain(text: str) -> str:
    clean = text.encode("utf-8", "replace").decode()
    return "".join(one if one.isprintable() or one in "\n\t" else " " for one in clean)


def _line(text: str) -> str:
    return " ".join(text.split())


def _fenced(text: str, label: str, most: int) -> str:
    return fenced(head_of(text.strip("\n"), most), label) or fenced("(nothing)", label)
