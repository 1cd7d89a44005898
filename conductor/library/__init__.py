"""The library: `from conductor import Conductor`. What programs do with a home, as the command line does it."""
