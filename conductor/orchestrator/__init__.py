"""Drives the runs of one project: what is ready goes into the queue, what comes back goes to the merge queue."""
