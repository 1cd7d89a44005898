"""The store contract on a real database."""

from __future__ import annotations

from pathlib import Path

from conductor.ports.orchestration import Store
from conductor.store.sqlite import open_store
from conductor.testing.store_contract import StoreContract


class TestSqliteStore(StoreContract):
    def open_store(self, folder: Path) -> Store:
        return open_store(str(folder))
