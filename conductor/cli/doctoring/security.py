"""The settings as a whole, and what `conductor audit` finds."""

from __future__ import annotations

from collections.abc import Iterator

from conductor.app.audit import MOST_FILES, audit_findings
from conductor.cli.doctoring.case import Case
from conductor.cli.doctoring.sign import Level, Sign, ok, wrong
from conductor.domain.exposure import Finding

_MOST_FILES_AT_ONCE = 500


def look_at_settings(case: Case) -> Iterator[Sign]:
    if case.settings_fault:
        yield wrong("settings", case.settings_fault, "put them right, then `conductor reload`")
    else:
        yield ok("settings", f"{case.home.settings_file} and variables hold")


def look_at_security(case: Case) -> Iterator[Sign]:
    most = MOST_FILES if case.deep else _MOST_FILES_AT_ONCE
    found = [one for one in audit_findings(case.home, case.environment, most) if not _is_told(one, case)]
    yield from (sign_of(one) for one in found)
    if not found:
        yield ok("security", "nothing unsafe found: permissions, keys, confinement")


def sign_of(finding: Finding) -> Sign:
    level = Level.WRONG if finding.grave else Level.WARNING
    return Sign(level, "security", f"{finding.where}: {finding.what}", finding.remedy)


def _is_told(finding: Finding, case: Case) -> bool:
    """That the settings are wrong is told by itself, and which keys the service sees by its agents."""
    return bool(finding.kind == "settings" and case.settings_fault) or finding.where.startswith("providers.")
