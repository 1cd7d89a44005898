"""Tests of the command line, each command as its user would run it."""
