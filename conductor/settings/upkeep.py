"""Room on the disk, logs that do not grow for ever, and how long ended tasks are kept."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from conductor.domain.outcome import Status
from conductor.settings.values import Bytes, Seconds, Strict

EndStatus = Literal[Status.SUCCESS, Status.FAILED, Status.TIMEOUT, Status.CANCELLED, Status.BUDGET]


def _off(value: object) -> object:
    """YAML reads `off` as false."""
    return None if value is False or value == "off" else value


class SpaceSettings(Strict):
    """Nothing is claimed while less is free; accepting goes on."""

    min_free: Bytes | None = Field(None, description="bytes kept free in the home; else 500MiB, or 5 % of a small disk")
    min_free_inodes: int | None = Field(None, ge=0, description="the same for inodes; else 10000, or 5 % of few")
    results: Bytes = Field(64 * (1 << 20), description="size at which results.txt is begun anew")
    events: Bytes = Field(64 * (1 << 20), description="size at which events.jsonl is begun anew")
    keep: int = Field(8, ge=1, le=1000, description="how many older segments of each stay")


class RetentionSettings(Strict):
    """What conductord removes by itself; see `conductor clean`."""

    older_than: Annotated[Seconds | None, BeforeValidator(_off)] = Field(
        None, description="ended tasks and runs are removed when they are older, as `30d`; off: never"
    )
    status: tuple[EndStatus, ...] = Field((), description="only tasks that ended so; none: all")
    keep: int = Field(0, ge=0, description="the last so many ended tasks stay, however old")
    every: Seconds = Field(3600.0, description="how often it is looked for what is too old")
