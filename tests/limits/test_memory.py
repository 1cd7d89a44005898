"""How much memory is left, and how much an agent is known to take."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.limits.experience import Experience, Experiences, needed_bytes
from conductor.limits.memory import AvailableMemory
from tests.limits.rooms import MIB, Room

MEMINFO = "MemTotal:  8000000 kB\nMemFree:  100 kB\nMemAvailable:    2048 kB\nBuffers: 5 kB\n"


def group(folder: Path, most: str, current: int, stat: str = "") -> str:
    folder.mkdir()
    (folder / "memory.max").write_text(f"{most}\n")
    (folder / "memory.current").write_text(f"{current}\n")
    (folder / "memory.stat").write_text(stat)
    return str(folder)


@pytest.fixture
def meminfo(tmp_path: Path) -> str:
    (tmp_path / "meminfo").write_text(MEMINFO)
    return str(tmp_path / "meminfo")


def test_the_machines_available_memory_is_read(meminfo: str) -> None:
    assert AvailableMemory(meminfo, ())() == 2 * MIB


def test_a_groups_limit_counts_where_it_is_nearer(meminfo: str, tmp_path: Path) -> None:
    near = group(tmp_path / "near", str(5 * MIB), 4 * MIB)
    far = group(tmp_path / "far", str(500 * MIB), 4 * MIB)
    none = group(tmp_path / "none", "max", 4 * MIB)

    assert AvailableMemory(meminfo, (far, none))() == 2 * MIB
    assert AvailableMemory(meminfo, (far, near, none))() == MIB


def test_files_that_a_group_has_read_once_give_way(meminfo: str, tmp_path: Path) -> None:
    full = group(tmp_path / "full", str(5 * MIB), 5 * MIB, f"anon 1\ninactive_file {MIB}\nactive_file 7\n")

    assert AvailableMemory(meminfo, (full,))() == MIB


def test_a_group_over_its_limit_has_nothing_left(meminfo: str, tmp_path: Path) -> None:
    assert AvailableMemory(meminfo, (group(tmp_path / "over", str(MIB), 2 * MIB),))() == 0


@pytest.mark.parametrize("content", ["", "MemTotal: 5 kB\n", "MemAvailable:\n", "MemAvailable: many kB\n"])
def test_a_system_that_does_not_tell_is_no_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "meminfo").write_text(content)

    assert AvailableMemory(str(tmp_path / "meminfo"), ())() is None
    assert AvailableMemory(str(tmp_path / "absent"), (str(tmp_path / "absent"),))() is None


def test_on_this_machine_there_is_some() -> None:
    found = AvailableMemory()()

    assert found is not None
    assert found > MIB


# -- what was learned


@pytest.mark.parametrize(
    ("declared", "peaks", "needed"),
    [
        (1000, (), 1000),
        (1000, (300,), 1000),  # one run proves little
        (1000, (1500, 300), 1500),
        (1000, (600, 600, 600), 600),
        (1000, (100, 100, 100), 500),  # never below half of what is declared
        (0, (100, 200, 300), 300),
        (0, (), 0),
        (100, tuple(range(10, 210, 10)), 180),  # of twenty the eighteenth
    ],
)
def test_what_an_agent_takes_is_learned_from_its_last_runs(declared: int, peaks: tuple[int, ...], needed: int) -> None:
    assert needed_bytes(declared, peaks) == needed


@given(st.integers(0, 10**12), st.lists(st.integers(1, 10**12), max_size=20).map(tuple))
def test_a_need_is_never_below_half_of_what_is_declared_nor_above_all_that_was_seen(
    declared: int, peaks: tuple[int, ...]
) -> None:
    assert declared // 2 <= needed_bytes(declared, peaks) <= max((declared, *peaks))


def test_runs_are_kept_over_restarts_and_only_the_last_peaks(room: Room) -> None:
    for number in range(1, 26):
        room.doors().learn("claude", succeeded=number % 5 == 0, peak_bytes=number)

    known = Experiences(str(room.home)).of("claude")

    assert (known.runs, known.successes, known.peaks) == (25, 5, tuple(range(6, 26)))


def test_a_new_version_forgets_the_peaks_of_the_old_one() -> None:
    old = Experience(5, 5, "1.0", (900, 900))

    assert old.after(succeeded=True, peak_bytes=300, version="2.0") == Experience(6, 6, "2.0", (300,))
    assert old.after(succeeded=False, peak_bytes=None) == Experience(6, 5, "1.0", (900, 900))


def test_what_was_learned_decides_who_starts(room: Room) -> None:
    room.declared = {"crab": 1000 * MIB}
    for _ in range(3):
        room.doors().learn("crab", succeeded=True, peak_bytes=600 * MIB)

    assert room.doors().need("crab") == 600 * MIB


def test_torn_experience_is_begun_anew_with_a_word(room: Room) -> None:
    path = room.home / "limits/agents/claude.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"runs": 1, "successes": 1, "peaks": [1, "x"]}')

    room.doors().learn("claude", succeeded=True, peak_bytes=7)

    assert Experiences(str(room.home)).of("claude") == Experience(1, 1, "", (7,))
    assert room.log.told[0][0] == "limits_file_set_aside"
