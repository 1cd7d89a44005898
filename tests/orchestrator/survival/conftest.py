"""A house in each test's own folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from conductor.domain.home import Home
from tests.orchestrator.survival.house import House, make_repository


@pytest.fixture
def house(tmp_path: Path, home: Home) -> Iterator[House]:
    """A project `demo` in a repository with one commit; no daemon runs yet."""
    one = House(home, make_repository(tmp_path / "demo", {}))
    one.enroll()
    yield one
    one.close()
