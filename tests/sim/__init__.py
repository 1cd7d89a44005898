"""The simulated model API, asked over real sockets."""
