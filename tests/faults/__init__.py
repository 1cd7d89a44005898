"""Faults put in on purpose: every syscall killed or refused, the power cut at every point, bad input of every kind."""
