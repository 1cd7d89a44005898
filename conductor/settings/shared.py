"""Settings of a home that a service shares with a group."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from conductor.settings.values import Strict

GroupName = Annotated[str, Field(pattern=r"^([A-Za-z0-9_][A-Za-z0-9._-]{0,31}\$?)?$")]


class SharedSettings(Strict):
    """Takes hold when conductord starts."""

    group: GroupName = Field("", description="whose members may submit tasks and see their own; empty: nobody")
    operators: GroupName = Field("", description="whose members may see and steer everything; they are in `group` too")
