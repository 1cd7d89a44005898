"""The contract that every Store keeps, as tests. Needs pytest (`conductor[test]`).

Subclass StoreContract in a test module, say how a store is opened, and pytest runs the suite on it:

    class TestMyStore(StoreContract):
        def open_store(self, folder): ...

`pytest.register_assert_rewrite("conductor.testing")` in a conftest.py makes its failures explain themselves.
"""

from __future__ import annotations

from conductor.testing.contract_keeping import KeepingContract
from conductor.testing.contract_sharing import SharingContract
from conductor.testing.contract_telling import TellingContract

__all__ = ["StoreContract"]


class StoreContract(KeepingContract, TellingContract, SharingContract):
    """Every promise of the Store port, one test each."""
