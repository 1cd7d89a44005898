"""What a run changed, for a reviewer."""

from __future__ import annotations

from conductor.domain.run import Run
from conductor.ports.orchestration import Difference
from conductor.projects.branches import tip_of
from conductor.projects.place import Place


def difference(place: Place, run: Run, most_bytes: int) -> Difference:
    """From the commit that the run was cut from to its branch's tip; no program of the repository's is run for it."""
    span = ("--no-ext-diff", "--no-textconv", "--no-color", run.base, tip_of(place, run), "--")
    stat = place.git("diff", "--stat=100", "--stat-count=500", *span).out
    patch = place.git("diff", *span).out
    return Difference(stat.decode("utf-8", "replace"), patch[:most_bytes].decode("utf-8", "replace"))
