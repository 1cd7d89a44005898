"""Which stores there are: the one that ships, and those of plug-ins (entry points of the group `conductor.storage`)."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

from conductor.domain.errors import ConductorError, SettingsInvalid, StoreRefused
from conductor.ports.orchestration import Store

BUILT_IN = {"sqlite": "conductor.store.sqlite:open_store"}


def load_store(name: str, home_path: str, location: str = "") -> Store:
    """Opens the store that the settings name. Raises SettingsInvalid where there is none of that name, StoreRefused
    where it can't be opened."""
    # Package metadata takes tens of milliseconds to read, which the usual case need not pay.
    kinds = BUILT_IN if name in BUILT_IN else installed_stores()
    if name not in kinds:
        raise SettingsInvalid(f"orchestrator.store: no store {name!r} here: there is {', '.join(sorted(kinds))}")
    try:
        module, _, attribute = kinds[name].partition(":")
        store = getattr(import_module(module), attribute)(home_path, location)
    except ConductorError:
        raise
    except Exception as error:  # a plug-in may do anything
        raise _broken(name, kinds, f"{type(error).__name__}: {error}") from error
    if missing := _missing(store):
        raise _broken(name, kinds, f"what it opens has no {', '.join(missing)}")
    return cast("Store", store)


def installed_stores() -> dict[str, str]:
    from importlib.metadata import entry_points

    return {**{point.name: point.value for point in entry_points(group="conductor.storage")}, **BUILT_IN}


def _missing(store: Any) -> list[str]:
    wanted = [name for name in vars(Store) if not name.startswith("_")]
    return [name for name in wanted if not callable(getattr(store, name, None))]


def _broken(name: str, kinds: dict[str, str], why: str) -> StoreRefused:
    return StoreRefused(
        f"the store {name!r} ({kinds[name]}) can't be opened ({why}): mend that plug-in, or choose another in "
        f"orchestrator.store: there is {', '.join(sorted(kinds))}"
    )
