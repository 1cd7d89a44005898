"""Small tools over the operating system, standard library only. None of them knows what a task is."""
