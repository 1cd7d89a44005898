"""Opens the store that the settings name."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from conductor.domain.errors import StoreRefused
from conductor.domain.home import Home
from conductor.ports.orchestration import Store

if TYPE_CHECKING:
    from conductor.settings.model import Settings

SHIPPED = {"sqlite": "conductor.store.sqlite:open_store"}
"""Found without asking the packages' metadata, which takes tens of milliseconds."""


def open_store(home: Home, settings: Settings) -> Store:
    """Raises StoreRefused."""
    name = settings.orchestrator.store
    opener = _shipped(SHIPPED[name]) if name in SHIPPED else _installed(name)
    if opener is None:
        raise StoreRefused(f"no store {name!r} is installed: set `orchestrator.store` in {home.settings_file}")
    store: Store = opener(home.path, settings.orchestrator.store_location)
    return store


def nothing_kept(home: Home, settings: Settings) -> bool:
    """Whether opening the store would only make an empty one."""
    location = os.path.expanduser(settings.orchestrator.store_location) or "conductor.db"
    return settings.orchestrator.store == "sqlite" and not os.path.exists(os.path.join(home.path, location))


def _shipped(where: str) -> Any:
    module, _, attribute = where.partition(":")
    return getattr(import_module(module), attribute)


def _installed(name: str) -> Any:
    from importlib.metadata import entry_points

    return next((entry.load() for entry in entry_points(group="conductor.storage", name=name)), None)
