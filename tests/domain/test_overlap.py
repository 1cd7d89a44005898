"""Globs: what they match, which overlap, and who is in whose way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.domain.overlap import MOST_ALTERNATIVES, FilesInUse, matches, overlaps, patterns_of

NAMES = st.text("ab.", min_size=1, max_size=3).filter(lambda name: name not in (".", ".."))
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
PIECES = st.sampled_from(["a", "b", ".", "*", "?", "**", "[ab]", "[!a]", "{a,b}", "{a/b,*}", "["])
GLOBS = st.lists(st.lists(PIECES, min_size=1, max_size=3).map("".join), min_size=1, max_size=4).map("/".join)


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("src/app.py", "src/app.py"),
        ("src", "src/deep/down.py"),
        ("src/", "src/deep/down.py"),
        ("./src/app.py", "src/app.py"),
        ("src/*", "src/deep/down.py"),
        ("src/**", "src/deep/down.py"),
        ("src/*.py", "src/app.py"),
        ("**/*.py", "app.py"),
        ("**/*.py", "src/deep/down.py"),
        ("src/**/test_*", "src/test_a.py"),
        ("src/**.py", "src/deep/down.py"),
        ("src/app.??", "src/app.py"),
        ("src/[ab]pp.py", "src/app.py"),
        ("app/[id]/page.tsx", "app/[id]/page.tsx"),
        ("src/{app,cli}.py", "src/cli.py"),
        ("{src,tests}/**", "tests/test_app.py"),
        ("src/*", "src/.hidden"),
    ],
)
def test_a_path_that_a_glob_declares(glob: str, path: str) -> None:
    assert matches(path, [glob])


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("src/app.py", "src/app.pyc"),
        ("src", "srcs/app.py"),
        ("src/*.py", "src/deep/down.py"),
        ("src/*.py", "app.py"),
        ("*.py", "src/app.py"),
        ("src/app.??", "src/app.p"),
        ("src/[!a]pp.py", "src/app.py"),
        ("src/{app,cli}.py", "src/web.py"),
        ("docs/**", "src/docs/a.md"),
        ("app/[id]/page.tsx", "app/about/page.tsx"),
    ],
)
def test_a_path_that_a_glob_does_not_declare(glob: str, path: str) -> None:
    assert not matches(path, [glob])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("src/app.py", "src/app.py"),
        ("src/**", "src/*.py"),
        ("src", "src/deep/down.py"),
        ("src/*", "src/deep/down.py"),
        ("**/*.py", "src/app.py"),
        ("**/test_*", "tests/**"),
        ("src/a*", "src/*b"),
        ("src/{a,b}.py", "src/{b,c}.py"),
        ("app/[id]/page.tsx", "app/[slug]/page.tsx"),
        ("*", "anything/at/all"),
        ("a/**/z", "a/b/**"),
    ],
)
def test_globs_that_overlap(one: str, other: str) -> None:
    assert overlaps([one], [other])
    assert overlaps([other], [one])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("src/app.py", "src/cli.py"),
        ("src/**", "tests/**"),
        ("src/*.py", "src/*.js"),
        ("src/*.py", "src/deep/down.py"),
        ("**/*.py", "**/*.js"),
        ("src/app", "src/apple"),
        ("src/{a,b}.py", "src/{c,d}.py"),
        ("src/a?", "src/abc"),
        ("app/[id]/page.tsx", "app/about/page.tsx"),
    ],
)
def test_globs_that_do_not_overlap(one: str, other: str) -> None:
    assert not overlaps([one], [other])
    assert not overlaps([other], [one])


def test_a_step_that_declares_nothing_is_in_nobodys_way() -> None:
    assert not overlaps([], ["**"])
    assert not matches("src/app.py", [])


@given(PATHS, GLOBS, GLOBS)
def test_globs_that_match_the_same_path_overlap(path: str, one: str, other: str) -> None:
    if matches(path, [one]) and matches(path, [other]):
        assert overlaps([one], [other])


@given(GLOBS, GLOBS)
def test_overlapping_is_mutual_and_everything_overlaps_itself(one: str, other: str) -> None:
    assert overlaps([one], [other]) == overlaps([other], [one])
    assert overlaps([one], [one])


@given(PATHS, PATHS)
def test_paths_without_wildcards_overlap_only_where_one_holds_the_other(one: str, other: str) -> None:
    mine, theirs = one.split("/"), other.split("/")
    shorter = min(len(mine), len(theirs))

    assert overlaps([one], [other]) == (mine[:shorter] == theirs[:shorter])


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_is_too_strange_for_a_glob(one: str, other: str) -> None:
    matches(one, [other])
    overlaps([one], [other])


@pytest.mark.parametrize(
    "glob", ["*a" * 500, "**/" * 300 + "x", "{a,b}" * 500, "{" * 1000, "[" * 1000, "**a" * 300, "{" + "a," * 5000 + "}"]
)
def test_a_hostile_glob_costs_no_more_than_its_length(glob: str) -> None:
    matches("a" * 250 + "/b" * 250, [glob])
    overlaps([glob], [glob[::-1], glob + "x"])

    assert len(patterns_of(glob)) <= MOST_ALTERNATIVES


def test_a_glob_of_too_many_alternatives_stands_for_its_whole_folder() -> None:
    assert matches("src/anything.py", ["src/" + "{a,b}" * 20])
    assert not matches("docs/anything.md", ["src/" + "{a,b}" * 20])


def test_who_overlaps_what_is_in_use_is_told_who_holds_it() -> None:
    files = FilesInUse()
    files.hold("one", ["src/api/**"])
    files.hold("two", ["docs/*.md"])

    assert files.blocker(["src/api/users.py"]) == "one"
    assert files.blocker(["**/*.md"]) in ("one", "two")
    assert files.blocker(["tests/**"]) == ""
    assert files.blocker([]) == ""


def test_what_is_released_is_in_nobodys_way() -> None:
    files = FilesInUse()
    files.hold("one", ["src/**"])
    files.release("one")
    files.release("one")

    assert files.blocker(["src/app.py"]) == ""
    assert len(files) == 0


def test_holding_anew_replaces_what_was_held() -> None:
    files = FilesInUse()
    files.hold("one", ["src/**"])
    files.hold("one", ["docs/**"])

    assert files.blocker(["src/app.py"]) == ""
    assert files.blocker(["docs/a.md"]) == "one"


@given(
    st.lists(st.tuples(st.sampled_from("pqr"), st.lists(GLOBS, max_size=3)), max_size=8), st.lists(GLOBS, max_size=3)
)
def test_the_index_says_what_comparing_all_pairs_says(held: list[tuple[str, list[str]]], mine: list[str]) -> None:
    files, simple = FilesInUse(), dict[str, list[str]]()
    for owner, globs in held:
        files.hold(owner, globs)
        simple[owner] = globs
    in_the_way = {owner for owner, globs in simple.items() if overlaps(globs, mine)}

    found = files.blocker(mine)

    assert found in in_the_way if in_the_way else found == ""
