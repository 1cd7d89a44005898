"""A simulated model API for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conductor.testing.sim import Sim


@pytest.fixture
def sim() -> Iterator[Sim]:
    with Sim() as one:
        yield one
