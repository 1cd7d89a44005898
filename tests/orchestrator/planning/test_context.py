"""What is told of a repository, whatever lies in it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.orchestrator.planning.context import layout_of, repository_context
from conductor.orchestrator.planning.listing import listed_files


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    (folder / "src" / "web").mkdir(parents=True)
    (folder / "src" / "shop.py").write_text("x = 1\n")
    (folder / "src" / "cart.py").write_text("x = 1\n")
    (folder / "src" / "web" / "page.ts").write_text("let x = 1;\n")
    (folder / "README.md").write_text("# The shop\n")
    (folder / "AGENTS.md").write_text("Use tabs.\n")
    return folder


def as_repository(folder: Path) -> None:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    subprocess.run(["git", "init", "-q", str(folder)], check=True, env=environment)


def test_a_repository_is_told_with_its_languages_layout_conventions_and_check(shop: Path) -> None:
    as_repository(shop)
    (shop / ".gitignore").write_text("secret/\n")
    (shop / "secret").mkdir()
    (shop / "secret" / "key.pem").write_text("x")
    told = repository_context(str(shop), check="make test")
    assert told.files == 6
    assert told.languages == (("Markdown", 2), ("Python", 2), ("TypeScript", 1))
    assert told.conventions == (("AGENTS.md", "Use tabs."),)
    assert told.readme == "# The shop"
    text = told.told()
    assert all(word in text for word in ("make test", "src/web/page.ts", "Markdown 2, Python 2"))
    assert "key.pem" not in text
    assert "Use tabs." in text
    assert "Use tabs." not in told.told(with_conventions=False)


def test_a_folder_without_git_is_walked(shop: Path) -> None:
    assert listed_files(str(shop)) == ("AGENTS.md", "README.md", "src/cart.py", "src/shop.py", "src/web/page.ts")


def test_a_folder_that_only_says_that_it_is_a_repository_is_walked(shop: Path) -> None:
    (shop / ".git").write_text("gitdir: nowhere")
    assert "src/shop.py" in listed_files(str(shop))


def test_nothing_that_the_repository_names_is_run(shop: Path, tmp_path: Path) -> None:
    as_repository(shop)
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    with (shop / ".git" / "config").open("a") as config:
        config.write(f'[core]\n\tfsmonitor = "{trap}"\n')
    assert repository_context(str(shop)).files == 5
    assert not (tmp_path / "sprung").exists()


def test_links_out_of_the_repository_are_not_read_and_those_inside_are(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("the key is 42")
    (shop / "CLAUDE.md").symlink_to(tmp_path / "secret.md")
    (shop / "GEMINI.md").symlink_to("AGENTS.md")
    (shop / "src" / "how.md").write_text("Small commits.")
    (shop / "CONTRIBUTING.md").symlink_to("src/how.md")
    told = repository_context(str(shop))
    assert told.conventions == (("AGENTS.md", "Use tabs."), ("CONTRIBUTING.md", "Small commits."))
    assert "42" not in told.told()


def test_odd_files_make_nothing_fail(shop: Path) -> None:
    (shop / "AGENTS.md").write_bytes(b"\xff\xfe\x00 tabs " + b"x" * 100_000)
    os.mkfifo(shop / "CLAUDE.md")
    (shop / "GEMINI.md").mkdir()
    (shop / "README.md").unlink()
    (shop / "README.md").symlink_to("README.md")
    os.close(os.open(os.fsencode(shop) + b"/\xff\n.py", os.O_CREAT | os.O_WRONLY))
    (shop / "closed").mkdir(mode=0)
    told = repository_context(str(shop), most_chars=4000)
    told.told().encode()
    assert len(told.told()) < 5000
    assert [name for name, _ in told.conventions] == ["AGENTS.md"]
    assert "characters left out" in told.conventions[0][1]


def test_where_there_is_nothing_the_context_is_empty(tmp_path: Path) -> None:
    assert repository_context(str(tmp_path / "gone")).told() == "The repository is empty."
    (tmp_path / "empty").mkdir()
    assert "make test" in repository_context(str(tmp_path / "empty"), check="make test").told()


def test_a_layout_that_does_not_fit_shows_folders() -> None:
    paths = [f"a/b{n % 3}/c/{n}.py" for n in range(500)]
    assert layout_of(paths, 100) == "a/b0/c/ (167 files)\na/b1/c/ (167 files)\na/b2/c/ (166 files)"
    assert layout_of(paths, 30) == "a/ (500 files)"


@given(st.lists(st.text(min_size=1)), st.integers(min_value=10, max_value=500))
def test_a_layout_is_bounded_whatever_the_names(paths: list[str], most: int) -> None:
    assert len(layout_of(paths, most)) <= most + 50
