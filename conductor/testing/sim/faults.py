"""What goes wrong on demand, by name: `429r7`, `429n2r1`, `stall`, `slow5~a`.

    400 to 599   refused with that status, in the form's own words
    429r7        with `retry-after: 7`
    429s3600     a subscription that is used up for another hour, told as each provider tells it
    nomodel      no such model (always so for a model whose name contains `nosuch`)
    toolong      the prompt is longer than the context window
    nocredit     the account has no money
    hang         nothing is ever sent
    stall        the first piece of the answer, then nothing
    slow5        the answer spread over five seconds
    cut          the connection is closed after the first piece
    badjson      broken JSON
    wrongtype    a page of HTML with status 200
    streamerror  a stream that begins well and then tells an overload (a 529 where nothing is streamed)
    warn         a good answer whose headers say that nine tenths of the subscription are used

Behind any of them `n2`: only the first two model calls, and `~tag`: a counter of its own. 401 and 403 refuse the lists
of models and counting too; everything else only model calls.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from threading import Lock

from conductor.domain.errors import UsageError

NAMES = "ok, 400 to 599, hang, stall, slowN, cut, badjson, wrongtype, nomodel, toolong, nocredit, streamerror, warn"
_FAULT = re.compile(
    r"(?P<kind>ok|[45]\d\d|hang|stall|cut|badjson|wrongtype|nomodel|toolong|nocredit|streamerror|warn|slow(?P<slow>\d+))"
    r"(?:n(?P<first>\d+))?(?:r(?P<retry>\d+))?(?:s(?P<reset>\d+))?(?:~.*)?"
)
_REFUSALS = {"nomodel": 404, "toolong": 400, "nocredit": 400}


@dataclass(frozen=True, slots=True)
class Fault:
    """`first`: only that many model calls go wrong, then all are well. Seconds everywhere."""

    kind: str = "ok"
    first: int | None = None
    retry_after: int | None = None
    resets_in: int | None = None
    """A limit of a subscription, that long."""
    spread_seconds: float = 0.0
    """An answer takes that long."""

    @property
    def status(self) -> int | None:
        """The HTTP status of a refusal; None: the answer begins well."""
        return int(self.kind) if self.kind.isdigit() else _REFUSALS.get(self.kind)

    @property
    def refuses_everything(self) -> bool:
        """A bad key is bad for lists of models and for counting too."""
        return self.kind in ("401", "403")


WELL = Fault()


def read_fault(name: str) -> Fault:
    """Raises UsageError for a name that says nothing."""
    found = _FAULT.fullmatch(name)
    if found is None:
        raise UsageError(f"no fault {name!r}: there is {NAMES}; behind it nN (the first N calls), rN (retry-after), sN")
    first, retry, reset = (int(found[key]) if found[key] else None for key in ("first", "retry", "reset"))
    kind = "slow" if found["slow"] else found["kind"]
    return Fault(kind, first, retry, reset, float(found["slow"] or 0))


class FaultCounter:
    """Says for each model call whether its fault still bites. A counter for each name; `~tag` makes another."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._calls: dict[str, int] = {}

    def bites(self, name: str, fault: Fault) -> bool:
        if fault.first is None:
            return True
        with self._lock:
            self._calls[name] = self._calls.get(name, 0) + 1
            return self._calls[name] <= fault.first
