"""Parked providers: one file each, so that parking survives every restart and `ls` shows it.

`<home>/limits/parked/<provider>~<account>.json` holds {mode, until, told, kind, said, since, by, strikes}. A file whose
time is over stays for its strikes, until a success forgives them. Lifting removes the file.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from conductor.domain.agent_events import Limit
from conductor.domain.durations import format_duration
from conductor.domain.errors import LockTimeout
from conductor.domain.limit_rules import LimitRules
from conductor.limits.files import FolderLock, read_as, write_fields
from conductor.limits.times import clock_time
from conductor.ports import Log

FIRST_WAIT_SECONDS = 30.0
LONGEST_WAIT_SECONDS = 1800.0
BY_HAND = "hand"
_LONGEST_SAID = 300
_CLOCK_STEP_SECONDS = 2.0


class Mode(StrEnum):
    PARKED = "parked"
    FORBIDDEN = "forbidden"
    """By hand, without end."""
    NEVER = "never"
    """By hand: its limits hold up only the tasks that meet them."""


@dataclass(frozen=True, slots=True)
class Parked:
    """One provider and account. Times are seconds since 1970."""

    provider: str
    account: str
    since: float
    until: float = 0.0
    """Says nothing with FORBIDDEN and NEVER."""
    mode: Mode = Mode.PARKED
    told: float | None = None
    """The reset as the provider told it."""
    kind: str = ""
    said: str = ""
    by: str = ""
    """The agent that met the limit, or `hand`."""
    strikes: int = 0
    """Limits met with no success and no parking between them."""

    @property
    def key(self) -> tuple[str, str]:
        return self.provider, self.account

    @property
    def name(self) -> str:
        return self.provider if self.account == "default" else f"{self.provider}:{self.account}"

    def to_fields(self) -> dict[str, Any]:
        fields = asdict(self)
        del fields["provider"], fields["account"]
        return fields

    @classmethod
    def from_fields(cls, key: tuple[str, str], fields: dict[str, Any]) -> Parked:
        told = fields.get("told")
        return cls(
            *key,
            since=_finite(fields["since"]),
            until=_finite(fields.get("until", 0.0)),
            mode=Mode(fields.get("mode", Mode.PARKED)),
            told=None if told is None else _finite(told),
            kind=str(fields.get("kind", "")),
            said=str(fields.get("said", "")),
            by=str(fields.get("by", "")),
            strikes=int(fields.get("strikes", 0)),
        )


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no time")
    return number


# -- decisions


def growing_wait(strikes: int) -> float:
    """Seconds after the strike of that number, from 1: where nobody told a time that can be believed."""
    return min(FIRST_WAIT_SECONDS * 2.0 ** min(max(strikes, 1) - 1, 16), LONGEST_WAIT_SECONDS)


def after_limit(before: Parked | None, met: Parked, limit: Limit, longest_seconds: float) -> Parked:
    """How its provider is parked after a limit was met. `met` says whose, when (`since`) and by which agent.

    A told reset is believed up to `longest_seconds`; from the second strike in a row on the growing wait is the least,
    so that a provider that says `in 1 s` for ever is not asked for ever. Limits met while it is parked (agents that ran
    already) are no further strikes, but a later reset that they tell counts.
    """
    now, told = met.since, limit.resets_at
    believed = min(told, now + longest_seconds) if told is not None and now < told < math.inf else None
    words = {"told": told if believed else None, "kind": limit.kind, "said": limit.said[:_LONGEST_SAID]}
    if before is not None and before.mode != Mode.FORBIDDEN and before.until > now:
        if before.by == BY_HAND or believed is None or believed <= before.until:
            return before
        return replace(before, since=now, until=believed, **words)  # type: ignore[arg-type]
    strikes = (before.strikes if before else 0) + 1
    least = growing_wait(strikes - 1 if believed else strikes) if strikes > 1 or not believed else 0.0
    mode = Mode.PARKED if before is None else before.mode
    return replace(met, until=max(believed or now, now + least), mode=mode, strikes=strikes, **words)  # type: ignore[arg-type]


def ends_at(parked: Parked, longest_seconds: float) -> float:
    """When it opens: infinite for a forbidden one, 0 for one that is never parked."""
    if parked.mode == Mode.FORBIDDEN:
        return math.inf
    if parked.mode == Mode.NEVER:
        return 0.0
    return parked.until if parked.by == BY_HAND else min(parked.until, parked.since + longest_seconds)


def is_in_force(parked: Parked, now: float, longest_seconds: float) -> bool:
    """Whether it says anything beyond old strikes."""
    return parked.mode == Mode.NEVER or ends_at(parked, longest_seconds) > now


def anchored(parked: Parked, now: float) -> Parked:
    """The same length from now on, where it was parked in the future: the clock was set back since."""
    if parked.since <= now + _CLOCK_STEP_SECONDS:
        return parked
    return replace(parked, since=now, until=parked.until - (parked.since - now))


def describe(parked: Parked, now: float, longest_seconds: float) -> str:
    """`provider anthropic is parked until 14:00 UTC, in 2h10m (five_hour)`, for people."""
    if parked.mode == Mode.FORBIDDEN:
        return f"provider {parked.name} is forbidden: `conductor limits lift {parked.name}` ends that"
    if parked.mode == Mode.NEVER:
        return f"provider {parked.name} is never parked: `conductor limits lift {parked.name}` ends that"
    end = ends_at(parked, longest_seconds)
    text = f"provider {parked.name} is parked until {clock_time(end, now)}, in {format_duration(max(0.0, end - now))}"
    reasons = [parked.kind or ("by hand" if parked.by == BY_HAND else "")]
    if parked.told is not None and parked.told > end + 1:
        reasons.append(f"it told {clock_time(parked.told, now)}, which is further than longest_park")
    told = ", ".join(filter(None, reasons))
    return f"{text} ({told})" if told else text


# -- files


class Parking:
    """The parked providers of one home. Who calls this does not hold the room's lock."""

    def __init__(self, home: str, rules: LimitRules, clock: Callable[[], float], log: Log | None = None) -> None:
        self._folder = f"{home}/limits/parked"
        self._rules = rules
        self._lock = FolderLock(f"{home}/limits")
        self._clock = clock
        self._log = log

    def holding(self, key: tuple[str, str]) -> Parked | None:
        """What holds up that provider and account now; None: it is open."""
        parked = self.find(key)
        if parked is None or ends_at(parked, self._rules.longest_park) <= self._clock():
            return None
        by_itself = parked.mode == Mode.PARKED and parked.by != BY_HAND
        return None if by_itself and not self._rules.park else parked

    def find(self, key: tuple[str, str]) -> Parked | None:
        """What its file says, strikes of old ones too."""
        parked = self._read(key)
        if parked is None or anchored(parked, self._clock()) == parked:
            return parked
        with self._lock:
            return self._anchor(key)

    def all(self) -> list[Parked]:
        """Every file, sorted by name."""
        try:
            names = sorted(name for name in os.listdir(self._folder) if name.endswith(".json"))
        except FileNotFoundError:
            return []
        found = (self.find(_key(name)) for name in names)
        return [parked for parked in found if parked is not None]

    def limit_met(self, key: tuple[str, str], agent: str, limit: Limit) -> float:
        """Parks it; until when. The task that met the limit waits until then, parked or not.

        Where the disk refuses, only that task waits.
        """
        met = Parked(*key, since=self._clock(), by=agent)
        try:
            with self._lock:
                before = self._anchor(key)
                after = after_limit(before, met, limit, self._rules.longest_park)
                if after != before:
                    self._write(after)
        except (OSError, LockTimeout) as error:
            after = after_limit(None, met, limit, self._rules.longest_park)
            if self._log is not None:
                self._log.warning("parking_not_written", provider=met.name, error=str(error))
        return after.until if after.mode != Mode.PARKED else ends_at(after, self._rules.longest_park)

    def succeeded(self, key: tuple[str, str]) -> None:
        """Forgives the strikes: the next limit begins with the first wait again."""
        if not os.path.exists(self._path(key)):
            return
        with self._lock:
            parked = self._anchor(key)
            if parked is None or not parked.strikes:
                return
            if parked.mode == Mode.PARKED and ends_at(parked, self._rules.longest_park) <= self._clock():
                self._remove(key)
            else:
                self._write(replace(parked, strikes=0))

    def put(self, parked: Parked) -> None:
        """By hand."""
        with self._lock:
            self._write(parked)

    def lift(self, key: tuple[str, str]) -> bool:
        """Ends parking, forbidding and allowing; whether there was any."""
        with self._lock:
            return self._remove(key)

    def _anchor(self, key: tuple[str, str]) -> Parked | None:
        parked = self._read(key)
        if parked is None:
            return None
        right = anchored(parked, self._clock())
        if right != parked:
            self._write(right)
        return right

    def _read(self, key: tuple[str, str]) -> Parked | None:
        return read_as(self._path(key), lambda fields: Parked.from_fields(key, fields), self._log)

    def _write(self, parked: Parked) -> None:
        write_fields(self._path(parked.key), parked.to_fields())

    def _remove(self, key: tuple[str, str]) -> bool:
        with suppress(FileNotFoundError):
            os.unlink(self._path(key))
            return True
        return False

    def _path(self, key: tuple[str, str]) -> str:
        return f"{self._folder}/{key[0]}~{key[1]}.json"


def _key(name: str) -> tuple[str, str]:
    provider, _, account = name.removesuffix(".json").partition("~")
    return provider, account or "default"


def parked_lines(home: str, now: float, rules: LimitRules | None = None) -> list[str]:
    """One line for each provider that is parked, forbidden or never parked, for people."""
    limits = rules or LimitRules()
    told = (one for one in Parking(home, limits, lambda: now).all() if is_in_force(one, now, limits.longest_park))
    return [describe(one, now, limits.longest_park) for one in told]
