"""The same no-op as the other queues want it written."""
