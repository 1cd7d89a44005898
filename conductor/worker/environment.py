"""What an agent sees of the daemon's environment: an allow-list, the task's own variables, and who it is."""

from __future__ import annotations

from collections.abc import Mapping

from conductor.domain.inherited import inherited_environment
from conductor.domain.task import Claim
from conductor.domain.worker_id import OWNER_VARIABLE


def agent_environment(
    daemon: Mapping[str, str], also_pass: tuple[str, ...], claim: Claim, home: str, more: tuple[tuple[str, str], ...]
) -> dict[str, str]:
    """The whole environment of an agent; what is said later in the list above wins, who it is always."""
    return {
        **inherited_environment(daemon, also_pass),
        **dict(more),
        **dict(claim.spec.env),
        "CONDUCTOR_TASK_ID": claim.spec.id,
        "CONDUCTOR_ATTEMPT": str(claim.attempt),
        OWNER_VARIABLE: claim.worker_id,
        "CONDUCTOR_HOME": home,
        "CONDUCTOR_TASK_DIR": claim.directory,
    }
