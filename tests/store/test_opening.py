"""Which store is opened, and what is said where none can be."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

from conductor.domain.errors import SettingsInvalid, StoreRefused
from conductor.ports.orchestration import Store
from conductor.store import opening
from conductor.testing.memory_store import MemoryStore


def open_memory(home_path: str, location: str) -> Store:
    assert location == "somewhere"
    return MemoryStore()


def refuse(home_path: str, location: str) -> Store:
    raise StoreRefused("my own words")


def break_down(home_path: str, location: str) -> Store:
    raise RuntimeError("no such server")


def open_rubbish(home_path: str, location: str) -> Any:
    return object()


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Declares a plug-in `other` whose entry point leads to that attribute of this module."""

    def with_other(attribute: str) -> None:
        value = attribute if ":" in attribute else f"{__name__}:{attribute}"
        points = EntryPoints([EntryPoint("other", value, "conductor.storage")])
        monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points.select(group=group))

    return with_other


def test_the_store_that_ships_is_one_of_the_entry_points() -> None:
    from importlib.metadata import entry_points

    declared = {point.name: point.value for point in entry_points(group="conductor.storage")}
    assert declared["sqlite"] == opening.BUILT_IN["sqlite"]


def test_the_usual_one_is_opened_where_the_settings_say(tmp_path: Path) -> None:
    opening.load_store("sqlite", str(tmp_path), "kept.db").close()

    assert (tmp_path / "kept.db").is_file()


def test_a_plug_in_is_opened_by_its_name(tmp_path: Path, install: Callable[[str], None]) -> None:
    install("open_memory")

    assert isinstance(opening.load_store("other", str(tmp_path), "somewhere"), MemoryStore)


def test_an_unknown_one_is_answered_with_what_there_is(tmp_path: Path, install: Callable[[str], None]) -> None:
    install("open_memory")

    with pytest.raises(SettingsInvalid, match=r"no store 'postgres' here: there is other, sqlite$"):
        opening.load_store("postgres", str(tmp_path))


@pytest.mark.parametrize(
    ("attribute", "why"),
    [
        ("break_down", "RuntimeError: no such server"),
        ("open_rubbish", "has no add_project, save_project"),
        ("nothing", "has no attribute 'nothing'"),
        ("no.such.module:x", "No module named 'no'"),
        ("NotCallable", "not callable"),
    ],
)
def test_a_broken_one_is_named_with_what_is_wrong_and_what_there_is(
    tmp_path: Path, install: Callable[[str], None], attribute: str, why: str
) -> None:
    install(attribute)

    with pytest.raises(StoreRefused, match=f"(?s)'other'.*{why}.*there is other, sqlite$"):
        opening.load_store("other", str(tmp_path))


NotCallable = "a text"


def test_what_a_plug_in_refuses_is_told_in_its_own_words(tmp_path: Path, install: Callable[[str], None]) -> None:
    install("refuse")

    with pytest.raises(StoreRefused, match=r"^my own words$"):
        opening.load_store("other", str(tmp_path))
