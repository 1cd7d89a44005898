"""Opens the store that the settings name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from conductor.domain.home import Home
from conductor.ports.orchestration import Store

if TYPE_CHECKING:
    from conductor.settings.model import Settings


def open_store(home: Home, settings: Settings) -> Store:
    """Raises SettingsInvalid where there is none of that name, StoreRefused where it can't be used."""
    from conductor.store.opening import load_store

    return load_store(settings.orchestrator.store, home.path, settings.orchestrator.store_location)


def nothing_kept(home: Home, settings: Settings) -> bool:
    """Whether opening the store would only make an empty one."""
    location = os.path.expanduser(settings.orchestrator.store_location) or "conductor.db"
    return settings.orchestrator.store == "sqlite" and not os.path.exists(os.path.join(home.path, location))
