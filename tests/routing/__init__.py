"""Tests of routing: who does a step."""
