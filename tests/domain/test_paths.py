"""Paths of the home are told from `~` on in words that leave the machine, and no other path is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.domain.paths import shorten_home


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("/home/ada", "~"),
        ("see /home/ada/work/x.py.", "see ~/work/x.py."),
        ("home is /home/ada.", "home is ~."),
        ("'/home/ada': no such folder", "'~': no such folder"),
        ("file:///home/ada/x", "file://~/x"),
        ("gcc -I/home/ada/include", "gcc -I~/include"),
        ("A=/home/ada:/home/ada/bin", "A=~:~/bin"),
        ("/home/adam/x", "/home/adam/x"),
        ("/home/ada.bak/x", "/home/ada.bak/x"),
        ("/home/ada-old/x", "/home/ada-old/x"),
        ("/mnt/home/ada/x", "/mnt/home/ada/x"),
        ("https://host/home/ada/x", "https://host/home/ada/x"),
    ],
)
def test_paths_of_the_home_are_shortened(text: str, short: str) -> None:
    assert shorten_home(text, "/home/ada/") == short


@pytest.mark.parametrize("home", ["", "/", "relative"])
def test_without_a_home_nothing_changes(home: str) -> None:
    assert shorten_home("/etc/x", home) == "/etc/x"


@given(st.text("/adahome.- \n", max_size=60))
def test_no_path_that_begins_with_the_home_is_left(text: str) -> None:
    assert not any(word == "/ada" or word.startswith("/ada/") for word in shorten_home(text, "/ada").split())
