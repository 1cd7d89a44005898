"""Shipped for those who extend conductor: the queue in memory, and the contract that every queue must keep."""
