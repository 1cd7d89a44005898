"""Finds the store's file without checking the settings: for a shell's completion and for `top`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from conductor.domain.errors import SettingsInvalid
from conductor.domain.home import Home
from conductor.settings.source import raw_settings

if TYPE_CHECKING:
    from conductor.store.glance import Glance


def open_glance(home: Home) -> Glance | None:
    """None where nothing is kept, or not in a file that can be read so."""
    import sqlite3

    from conductor.store.glance import Glance

    path = _store_file(home)
    if not path or not os.path.exists(path):
        return None
    try:
        return Glance(path)
    except sqlite3.Error:
        return None


def _store_file(home: Home) -> str:
    """Empty: the store is no file that we know."""
    try:
        chosen = raw_settings(home, os.environ).get("orchestrator")
    except SettingsInvalid:
        return home.database
    if not isinstance(chosen, Mapping):
        return home.database
    if chosen.get("store", "sqlite") != "sqlite":
        return ""
    location = os.path.expanduser(str(chosen.get("store_location") or "conductor.db"))
    return os.path.join(home.path, location)
