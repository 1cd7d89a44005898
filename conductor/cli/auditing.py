"""`conductor audit`: keys that others can read, loose permissions, unconfined agents, an exposed API."""

from __future__ import annotations

import json
import os
from dataclasses import asdict

import click

from conductor.app.audit import audit_findings
from conductor.domain.exits import CliExit
from conductor.domain.exposure import Finding
from conductor.domain.masking import Masker, secret_values
from conductor.settings.source import find_home


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.pass_obj
def audit(home_flag: str | None, as_json: bool) -> int:
    """Looks for what is unsafe: exit 1 when something is. Changes nothing, and works on a home that is refused.

    Looks at the home and the folders above it, the settings, files that hold keys and logins, every agent's autonomy,
    and where models are served.

    \b
    conductor audit
    conductor audit --json || mail -s "conductor is open" root
    """
    home = find_home(os.environ, home_flag)
    findings = list(audit_findings(home, os.environ))
    if as_json:
        told = json.dumps({"home": home.path, "findings": [asdict(one) for one in findings]}, indent=1)
        click.echo(Masker(secret_values(os.environ)).mask(told))
    else:
        text = "\n".join(map(_line, findings)) or f"nothing unsafe found in {home.path} and its settings"
        click.echo(Masker(secret_values(os.environ)).mask(text))
    return CliExit.TASK_FAILED if any(one.grave for one in findings) else CliExit.WELL


def _line(finding: Finding) -> str:
    return f"{'WRONG' if finding.grave else 'note '} {finding.where}: {finding.what}\n      → {finding.remedy}"
