"""Tests of the worker's parts, each by itself."""
