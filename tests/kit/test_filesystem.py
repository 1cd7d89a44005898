"""Trees that go, and nothing beyond them."""

from __future__ import annotations

from pathlib import Path

from conductor.kit.filesystem import remove_tree


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
