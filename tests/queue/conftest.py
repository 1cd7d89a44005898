"""Fixtures of the queue's tests."""

from pathlib import Path

import pytest

from tests.queue.homes import Inbox


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path)
