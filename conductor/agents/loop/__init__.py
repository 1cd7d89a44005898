"""A tool loop of our own around a model API: what `anthropic` and `chat` run instead of a program."""
