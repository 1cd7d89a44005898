"""Tests of the queue itself, on real files."""
