"""Nursery and worker: a lean process that forks, and what a fork does before it exits."""
