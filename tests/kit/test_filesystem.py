"""Trees go whatever an agent did to them; links are not followed."""

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


def test_of_a_link_only_the_link_goes(folder: Path) -> None:
    (folder / "other").mkdir()
    (folder / "other" / "precious").write_text("keep me")
    (folder / "tree").symlink_to("other")

    remove_tree(str(folder / "tree"))

    assert os.listdir(folder) == ["other"]
    assert (folder / "other" / "precious").read_text() == "keep me"
