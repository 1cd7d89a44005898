"""Tests of the pure part: no disk, no process, no clock."""
