"""The queue as a directory: a task's state is where its file is, and every step between states is one rename."""
