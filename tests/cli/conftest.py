"""A shell on a private home."""

from __future__ import annotations

import pytest

from conductor.domain.home import Home
from tests.cli.front import Shell


@pytest.fixture
def shell(home: Home) -> Shell:
    return Shell(home)
