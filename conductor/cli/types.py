"""Parameter types of the command line."""

from __future__ import annotations

from typing import Any

import click

from conductor.domain.durations import parse_duration
from conductor.domain.errors import UsageError


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic in newer clicks only
    """Seconds from `90`, `10m`, `2h`."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return parse_duration(str(value))
        except UsageError as error:
            self.fail(str(error), param, ctx)


DURATION = Duration()
