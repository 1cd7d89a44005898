"""A new version under a running conductord: new workers run it at once, conductord itself asks to be restarted.

The files are looked at with every scan. Once they have stood still, a nursery of the new version is started for each
pool; when it is up, the old one goes, and workers of the old version finish their task. One that does not start
changes nothing: a broken or half-copied version costs no task.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conductor.kit.installation import Installation
from conductor.ports import EventSink, Log
from conductor.supervisor.fleet import Fleet
from conductor.supervisor.services import Services
from conductor.supervisor.successors import Succession

_TRIED_AGAIN_SECONDS = 300.0
"""One that did not start may have been starved by a busy machine."""
_ORCHESTRATORS_WITHIN_SECONDS = 60.0


class Upgrade:
    """`look` is called with every scan. `own`: what this process runs; `still_seconds`: for how long files that
    were replaced must not change any more."""

    def __init__(
        self,
        own: Installation | None,
        probe: Callable[[], Installation | None],
        still_seconds: float,
        fleet: Fleet,
        services: Services,
        log: Log,
        events: EventSink,
    ) -> None:
        self._own = own
        self._probe = probe
        self._still_seconds = still_seconds
        self._fleet = fleet
        self._services = services
        self._log = log
        self._events = events
        self._in_force = own
        self._trying: Installation | None = None
        self._refused: Installation | None = None
        self._again_at = 0.0
        self._seen: Installation | None = None
        self._seen_since = 0.0

    def look(self, now: float) -> None:
        if self._trying is not None and not self._is_decided(self._trying, now):
            return
        found = self._settled(now)
        if found is not None:
            self._try(found, now)

    def _settled(self, now: float) -> Installation | None:
        """Another version than that of the workers, which nobody is writing any more."""
        found = self._probe()
        if found != self._seen:
            self._seen, self._seen_since = found, now
        if found is None or self._own is None or found == self._in_force:
            return None
        if found == self._refused and now < self._again_at:
            return None
        return found if now - self._seen_since >= self._still_seconds else None

    def _try(self, found: Installation, now: float) -> None:
        assert self._own is not None  # _settled() looked
        self._trying = found
        facts = {"running": self._own.version, "installed": found.version, "fingerprint": found.fingerprint}
        self._log.info("upgrade_tried", **facts)
        self._fleet.replace_nurseries(now)

    def _is_decided(self, found: Installation, now: float) -> bool:
        succession = self._fleet.successors
        if succession.state is Succession.UNDER_WAY:
            return False
        self._trying = None
        if succession.state is Succession.DONE:
            self._take_over(found, now)
        elif succession.state is Succession.REFUSED:
            self._refused, self._again_at = found, now + _TRIED_AGAIN_SECONDS
            self._log.error("upgrade_refused", version=found.version, why=succession.why, kept="the old nurseries")
            self._events.emit("upgrade_refused", version=found.version, why=succession.why)
        return True  # NONE: a reload came between, it is tried again

    def _take_over(self, found: Installation, now: float) -> None:
        self._in_force, self._refused = found, None
        self._services.replace_all(_ORCHESTRATORS_WITHIN_SECONDS, now)
        facts = {"version": found.version, "daemon": self._own.version if self._own else ""}
        self._events.emit("upgraded", **facts)
        if found != self._own:
            self._log.warning("restart_wanted", **facts, why=self.told())
        else:
            self._log.info("upgraded", **facts)

    # -- telling

    def told(self) -> str:
        """One line for a person; empty: this process and its workers run what is installed."""
        own, workers = self._own, self._in_force
        if own is None or workers is None or (own == workers and self._refused is None):
            return ""
        if self._refused is not None:
            what = f"conductor {self._refused.version} is installed and does not start: workers are still made by "
            return f"{what}{workers.version}; mend it (`conductord --check` says what is wrong)"
        named = workers.version if workers.version != own.version else f"{workers.version} (changed since)"
        return f"workers run conductor {named}, this is {own.version}: restart conductord (`conductord --check` first)"

    def status(self) -> dict[str, Any]:
        return {
            "daemon": self._own.version if self._own else "",
            "workers": self._in_force.version if self._in_force else "",
            "restart_wanted": self._own != self._in_force,
            "told": self.told(),
        }
