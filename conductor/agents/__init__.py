"""Agents: what does the work inside a worker. Each is a class with `launch` and `judge`, found by its name."""
