"""inotify: told of what changes in a file and of what appears in a folder; a kernel that refuses is an OSError."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from conductor.kit.inotify import Inotify
from tests.support import eventually


@pytest.fixture
def watch() -> Iterator[Inotify]:
    made = Inotify()
    yield made
    made.close()


def is_readable(watch: Inotify) -> bool:
    return bool(select.select([watch], [], [], 0)[0])


def test_an_append_makes_the_descriptor_readable_until_it_is_taken(watch: Inotify, tmp_path: Path) -> None:
    # given
    file = tmp_path / "results.txt"
    file.write_text("")
    watch.watch_file(str(file))
    assert (is_readable(watch), watch.take()) == (False, False)

    # when
    with file.open("a") as appended:
        appended.write("one\n")

    # then
    assert eventually(lambda: is_readable(watch))
    assert watch.take()
    assert (is_readable(watch), watch.take()) == (False, False)


@pytest.mark.parametrize("deed", ["replaced", "removed", "renamed"])
def test_a_file_that_goes_is_told(watch: Inotify, tmp_path: Path, deed: str) -> None:
    file, other = tmp_path / "results.txt", tmp_path / "other"
    file.write_text("")
    other.write_text("")
    watch.watch_file(str(file))

    {"replaced": lambda: other.rename(file), "removed": file.unlink, "renamed": lambda: file.rename(other)}[deed]()

    assert eventually(watch.take)


def test_a_folder_tells_of_what_is_made_or_renamed_into_it(watch: Inotify, tmp_path: Path) -> None:
    # given
    folder = tmp_path / "doorbell"
    folder.mkdir()
    watch.watch_folder(str(folder))

    # when, then
    (folder / "made").touch()
    assert eventually(watch.take)
    (tmp_path / "outside").touch()
    assert not watch.take()
    (tmp_path / "outside").rename(folder / "made")  # over what is there: the doorbell rings again
    assert eventually(watch.take)


@pytest.mark.parametrize("what", ["a missing file", "a missing folder", "a file as a folder", "a link"])
def test_what_can_not_be_watched_is_an_error_that_names_it(watch: Inotify, tmp_path: Path, what: str) -> None:
    path = tmp_path / "there"
    if what == "a file as a folder":
        path.touch()
    if what == "a link":
        path.symlink_to(tmp_path)

    with pytest.raises(OSError, match=str(path)):
        (watch.watch_file if what == "a missing file" else watch.watch_folder)(str(path))


def test_no_descriptor_is_left_after_close() -> None:
    before = len(os.listdir("/proc/self/fd"))
    Inotify().close()
    assert len(os.listdir("/proc/self/fd")) == before
