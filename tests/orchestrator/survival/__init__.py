"""What runs survive: real daemons, orchestrators, workers and repositories."""
