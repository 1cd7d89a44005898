"""Fixtures of the queue's tests; failures of the shipped contract suite explain themselves."""

from pathlib import Path

import pytest

pytest.register_assert_rewrite("conductor.testing")

from tests.queue.homes import Inbox  # noqa: E402 - it imports what is to be rewritten


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path)
