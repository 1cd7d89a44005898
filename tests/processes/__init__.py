"""Tests that start the real thing: daemons, nurseries, workers, agents, signals."""
