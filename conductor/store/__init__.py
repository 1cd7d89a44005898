"""Projects, runs, steps and what became of them, in SQLite."""
