"""The contract that every TaskQueue keeps, as tests. Needs pytest (`conductor[test]`).

Subclass QueueContract in a test module, say how a queue is made, and pytest runs the suite on it:

    class TestMyQueue(QueueContract):
        def make_queue(self, world): ...
        def results(self, world, queue): ...
        def die_in_finish(self, world, queue, claim, result): ...

`pytest.register_assert_rewrite("conductor.testing")` in a conftest.py makes its failures explain themselves.
"""

from __future__ import annotations

from conductor.testing.contract_accepting import AcceptingContract
from conductor.testing.contract_base import World
from conductor.testing.contract_changing import ChangingContract
from conductor.testing.contract_depending import DependingContract
from conductor.testing.contract_running import RunningContract

__all__ = ["QueueContract", "World"]


class QueueContract(AcceptingContract, RunningContract, ChangingContract, DependingContract):
    """Every promise of the TaskQueue port, one test each."""
