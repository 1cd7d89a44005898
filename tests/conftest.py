"""Fixtures that any test may use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("conductor.testing")  # so that failures of the shipped contract explain themselves

from conductor.domain.home import Home  # noqa: E402 - after what is to be rewritten is known
from tests.support import Conductord, check_nothing_left, write_settings  # noqa: E402

DaemonFactory = Callable[..., Conductord]

settings.register_profile("patient", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("patient")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home of its own, not made yet."""
    return Home(str(tmp_path / "home"))


@pytest.fixture
def daemon(home: Home) -> Iterator[DaemonFactory]:
    """Makes daemons: `daemon(workers=1)` starts one on `home` with the fast settings and these changes to them.

    `launch_only=True` returns before it is up, `on=` takes another home, `env=` adds variables, `log=` is where its
    standard error goes. At the end every one is stopped, and no process that has their homes in its environment may
    be left.
    """
    made: list[Conductord] = []

    def make(
        *arguments: str,
        on: Home | None = None,
        env: dict[str, str] | None = None,
        log: str = "",
        launch_only: bool = False,
        **settings: Any,
    ) -> Conductord:
        where = on or home
        Path(where.path).mkdir(mode=0o700, exist_ok=True)
        write_settings(where, **settings)
        one = Conductord(where, env, log)
        made.append(one)
        return one.launch(*arguments) if launch_only else one.start(*arguments)

    try:
        yield make
    finally:
        try:
            for one in made:
                one.close()
        finally:
            check_nothing_left({one.home for one in made})
