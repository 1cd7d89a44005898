"""Tests of the supervisor's parts, each by itself: no daemon is started here."""
