"""conductor: a durable file queue and supervisor that gives every agent task a fresh process."""

__version__ = "0.1.0"
