"""What `scripts/bench` measures: one module a figure, on real processes and real files."""
