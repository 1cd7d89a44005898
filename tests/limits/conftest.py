"""A room on a private home."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.limits.rooms import Room


@pytest.fixture
def room(tmp_path: Path) -> Room:
    (tmp_path / "home").mkdir()
    return Room(tmp_path / "home")
