"""The store contract on the shipped fake."""

from __future__ import annotations

from pathlib import Path

import pytest

from conductor.ports.orchestration import Store
from conductor.testing.memory_store import MemoryStore
from conductor.testing.store_contract import StoreContract


class TestMemoryStore(StoreContract):
    @pytest.fixture(autouse=True)
    def first(self) -> None:
        self._first = MemoryStore()

    def open_store(self, folder: Path) -> Store:
        return self._first.another()
