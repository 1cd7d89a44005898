"""The tests of conductor."""
