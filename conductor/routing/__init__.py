"""Which agent and model suit a step."""
