"""A home that a service shares with a group."""
