"""Trees that go, and nothing beyond them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from conductor.kit.filesystem import remove_tree
from tests.worker.forked import in_child

NOBODY = 65534


def test_a_tree_goes_and_what_its_links_lead_to_stays(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("precious")
    tree = tmp_path / "tree"
    (tree / "locked").mkdir(parents=True)
    (tree / "locked" / "file").write_text("")
    (tree / "link").symlink_to(tmp_path / "kept")
    (tree / "locked").chmod(0o500)

    remove_tree(str(tree))

    assert not tree.exists()
    assert (tmp_path / "kept" / "file").read_text() == "precious"


def test_of_a_link_in_the_place_of_the_tree_only_the_link_goes(tmp_path: Path) -> None:
    (tmp_path / "kept" / "folder").mkdir(parents=True)
    (tmp_path / "kept" / "folder" / "file").write_text("precious")
    link = tmp_path / "tree"
    link.symlink_to(tmp_path / "kept")

    remove_tree(str(link))

    assert not link.is_symlink()
    assert (tmp_path / "kept" / "folder" / "file").read_text() == "precious"


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that also a user without root's powers may reach."""
    made = Path(tempfile.mkdtemp())
    made.chmod(0o777)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.mark.parametrize("closed", ["", "deep", "deep/deeper"])
def test_a_tree_goes_though_a_folder_of_it_was_closed(folder: Path, closed: str) -> None:
    tree = folder / "tree"

    def make_and_remove() -> bool:
        if os.geteuid() == 0:
            os.setresuid(NOBODY, NOBODY, NOBODY)
        (tree / "deep" / "deeper").mkdir(parents=True)
        (tree / "deep" / "deeper" / "login").write_text("token")
        (tree / closed).chmod(0)
        remove_tree(str(tree))
        return tree.exists()

    assert not in_child(make_and_remove)
