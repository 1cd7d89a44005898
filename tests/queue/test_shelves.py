"""ready/ and waiting/: their order, and that no folder of them grows without bound."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conductor.domain.task import Tries
from conductor.queue.names import parse_ordered
from conductor.queue.shelves import ReadyShelf, WaitingShelf

MOST_ENTRIES = 256
NEW = Tries()


def ready_at(folder: Path) -> ReadyShelf:
    root = folder / "ready"
    root.mkdir(exist_ok=True)
    return ReadyShelf(str(root))


def waiting_at(folder: Path) -> WaitingShelf:
    root = folder / "waiting"
    root.mkdir(exist_ok=True)
    return WaitingShelf(str(root))


def put(path: str) -> str:
    Path(path).touch(exist_ok=False)
    return path


def take(shelf: ReadyShelf, pool: str = "default") -> str | None:
    """Claims as the queue does: the first entry goes, then the folders that it emptied."""
    first = shelf.first(pool)
    if first is None:
        return None
    os.unlink(f"{first.path}/{first.name}")
    shelf.taken(first)
    return id_in(first.name)


def take_all(shelf: ReadyShelf, pool: str = "default") -> Iterator[str]:
    while (task_id := take(shelf, pool)) is not None:
        yield task_id


def id_in(name: str) -> str:
    entry = parse_ordered(name)
    assert entry is not None
    return entry.task_id


def largest_folder(root: Path) -> int:
    return max(len(folders) + len(files) for _, folders, files in os.walk(root))


# -- ready/

deeds = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.sampled_from(["a", "b"])),
        st.tuples(st.sampled_from(["tail", "tail", "head"]), st.sampled_from(["a", "b"]), st.sampled_from([-9, 0, 7])),
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(deeds)
def test_entries_are_taken_by_priority_then_from_head_to_tail(deeds: list[tuple[str, ...]]) -> None:
    model: dict[str, list[tuple[int, str]]] = {"a": [], "b": []}
    with TemporaryDirectory() as folder:
        shelf = ready_at(Path(folder))
        for number, (deed, pool, *rest) in enumerate(deeds):
            if deed == "take":
                assert take(shelf, pool) == (model[pool].pop(0)[1] if model[pool] else None)
                continue
            priority, name = int(rest[0]), f"t{number}"
            put(shelf.place(pool, priority, name, NEW, at_head=deed == "head"))
            rank = -priority
            place = sum(other < rank if deed == "head" else other <= rank for other, _ in model[pool])
            model[pool].insert(place, (rank, name))
        walked = [(path.split("/")[-5], entry.task_id) for path, entry in shelf.walk()]
        assert walked == [(pool, name) for pool in ("a", "b") for _, name in model[pool]]
        for pool, expected in model.items():
            assert list(take_all(shelf, pool)) == [name for _, name in expected]
            assert not Path(folder, "ready", pool).exists() or os.listdir(Path(folder, "ready", pool)) == []


def test_extreme_priorities_sort_as_numbers(tmp_path: Path) -> None:
    shelf = ready_at(tmp_path)
    for priority in (0, -999, 999, 9, 10, -10, -9, 100):
        put(shelf.place("default", priority, f"p{priority}", NEW))

    assert list(take_all(shelf)) == ["p999", "p100", "p10", "p9", "p0", "p-9", "p-10", "p-999"]


def test_no_folder_of_ready_holds_more_than_256_entries(tmp_path: Path) -> None:
    shelf = ready_at(tmp_path)
    names = [f"t{number}" for number in range(1200)]
    for name in names:
        put(shelf.place("default", 0, name, NEW))
    for number in range(300):
        put(shelf.place("default", 0, f"h{number}", NEW, at_head=True))

    assert largest_folder(tmp_path) <= MOST_ENTRIES
    assert list(take_all(shelf)) == [*(f"h{number}" for number in reversed(range(300))), *names]


@pytest.mark.parametrize("edge", [0xFF, 0xFFFF, 0xFFFFFF])
def test_order_holds_where_one_folder_ends_and_the_next_begins(tmp_path: Path, edge: int) -> None:
    """The sequence before a task that is alone decides where the next ones lie."""
    shelf = ready_at(tmp_path)
    put(shelf.place_at((1 << 32) + edge - 2, "default", 0, "t0", NEW))
    for number in range(1, 6):
        put(shelf.place("default", 0, f"t{number}", NEW))
    put(shelf.place("default", 0, "head", NEW, at_head=True))

    assert len({Path(path).parent for path, _ in shelf.walk()}) == 2
    assert list(take_all(shelf)) == ["head", "t0", "t1", "t2", "t3", "t4", "t5"]


def test_putting_back_at_the_head_for_ever_does_not_run_out(tmp_path: Path) -> None:
    shelf = ready_at(tmp_path)
    put(shelf.place("default", 0, "last", NEW))
    for _ in range(300):
        put(shelf.place("default", 0, "again", NEW, at_head=True))
        assert take(shelf) == "again"

    assert list(take_all(shelf)) == ["last"]


def test_empty_folders_left_by_a_crash_hide_nothing(tmp_path: Path) -> None:
    shelf, root = ready_at(tmp_path), tmp_path / "ready"
    for empty in ("default/0001", "default/0999/00000000/00", "default/1000/00000001/ff", "default/1000/00010000"):
        (root / empty).mkdir(parents=True)
    put(shelf.place("default", 0, "one", NEW))
    put(shelf.place("default", 0, "two", NEW))
    (root / "default/1000/00020000/00").mkdir(parents=True)  # behind them, where the next would go
    put(shelf.place("default", 0, "three", NEW))
    put(shelf.place("default", 0, "zero", NEW, at_head=True))
    (root / "idle/1000").mkdir(parents=True)

    assert shelf.first("idle") is None
    assert list(take_all(shelf)) == ["zero", "one", "two", "three"]


def test_emptied_folders_go_and_their_pool_stays(tmp_path: Path) -> None:
    shelf = ready_at(tmp_path)
    for number in range(600):
        put(shelf.place("default", number % 2, f"t{number}", NEW))

    assert len(list(take_all(shelf))) == 600
    assert os.listdir(tmp_path / "ready" / "default") == []


# -- waiting/


def test_thousands_that_wait_for_the_same_time_overflow_into_more_folders(tmp_path: Path) -> None:
    shelf, due_ms = waiting_at(tmp_path), 1_800_000_000_123
    for number in range(1200):
        put(shelf.place(due_ms, f"t{number}", NEW))

    assert largest_folder(tmp_path) <= MOST_ENTRIES
    assert shelf.due(due_ms - 1, 100) == []
    assert shelf.next_due_ms() == due_ms
    taken: set[str] = set()
    while paths := shelf.due(due_ms, 64):
        assert len(paths) <= 64
        for path in paths:
            taken.add(id_in(os.path.basename(path)))
            os.unlink(path)
            shelf.taken(os.path.dirname(path))
    assert len(taken) == 1200
    assert shelf.next_due_ms() == 0
    assert os.listdir(tmp_path / "waiting") == []


times = st.integers(1_799_999_000_000, 1_800_000_000_000) | st.integers(1, (1 << 44) - 1)


@settings(max_examples=60, deadline=None)
@given(due=st.lists(times, max_size=30), now_ms=times)
def test_what_is_due_is_found_and_nothing_else(due: list[int], now_ms: int) -> None:
    with TemporaryDirectory() as folder:
        shelf = waiting_at(Path(folder))
        for number, due_ms in enumerate(due):
            put(shelf.place(due_ms, f"t{number}", NEW))

        assert shelf.next_due_ms() == min(due, default=0)
        found = [id_in(os.path.basename(path)) for path in shelf.due(now_ms, 1000)]
        assert sorted(found) == sorted(f"t{number}" for number, due_ms in enumerate(due) if due_ms <= now_ms)
        assert [entry.order for _, entry in shelf.walk()] == sorted(due)


def test_what_is_due_comes_earliest_first(tmp_path: Path) -> None:
    shelf = waiting_at(tmp_path)
    for seconds in (5, 1, 70_000, 3, 40, 2):
        put(shelf.place(seconds * 1000, f"t{seconds}", NEW))

    found = [id_in(os.path.basename(path)) for path in shelf.due(80_000_000, 4)]

    assert found == ["t1", "t2", "t3", "t5"]


def test_empty_folders_in_waiting_hide_nothing_and_go(tmp_path: Path) -> None:
    shelf, root = waiting_at(tmp_path), tmp_path / "waiting"
    (root / "0000000" / "00-0000").mkdir(parents=True)
    (root / "0000000" / "01-0003").mkdir(parents=True)
    put(shelf.place(20_000_000, "one", NEW))

    assert shelf.next_due_ms() == 20_000_000
    due = shelf.due(30_000_000, 10)
    assert [id_in(os.path.basename(path)) for path in due] == ["one"]
    assert os.listdir(root) == [Path(due[0]).parts[-3]]


@pytest.mark.parametrize("stray", ["README", "backup/old/x", "0001a2b/notes/x", "0001a2b/00-old/x"])
def test_strays_in_waiting_hide_nothing(tmp_path: Path, stray: str) -> None:
    shelf, path = waiting_at(tmp_path), tmp_path / "waiting" / stray
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("not a task")
    due_ms = 0x0001A2B * 4096 * 1000

    put(shelf.place(due_ms, "one", NEW))
    put(shelf.place(due_ms + 1, "two", NEW))

    assert shelf.next_due_ms() == due_ms
    assert [id_in(os.path.basename(path)) for path in shelf.due(due_ms + 1, 10)] == ["one", "two"]


@pytest.mark.parametrize("stray", ["README", "default/notes.txt", "default/1000/notes.txt", "default/1000/00010000/x"])
def test_a_stray_file_between_the_folders_hides_nothing(tmp_path: Path, stray: str) -> None:
    shelf = ready_at(tmp_path)
    put(shelf.place("default", 0, "one", NEW))
    (tmp_path / "ready" / stray).write_text("not a task")

    put(shelf.place("default", 0, "two", NEW))

    assert sorted(task_id for task_id in take_all(shelf)) == ["one", "two"]
