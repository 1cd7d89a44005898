"""Settings: where they come from (`source`, cheap) and what they must be (`model`, which imports pydantic)."""
