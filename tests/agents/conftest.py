from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.agents.loop_runs import LoopNursery


@pytest.fixture(scope="session")
def nursery() -> Iterator[LoopNursery]:
    """Made when a test of the loop first asks for it."""
    made = LoopNursery()
    yield made
    made.close()
