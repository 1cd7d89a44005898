"""Files that are no settings, or mean harm: each is answered soon, with the file and the line."""

from __future__ import annotations

import os
import socket
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conductor.domain.errors import SettingsInvalid
from conductor.settings.documents import MOST_DEPTH, MOST_VALUES, parse_document, parse_value
from conductor.settings.source import MOST_BYTES, read_layer


def refusal(content: bytes | str, path: Path) -> str:
    """What reading a file that holds this says."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(SettingsInvalid) as caught:
        read_layer(str(path))
    return str(caught.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "conductor.yaml"


@pytest.mark.parametrize(
    ("content", "line", "told"),
    [
        ("a: 1\nb:\n\tc: 1\n", 3, "found character"),
        ("a: 1\n\tb: 2\n", 2, "it is not YAML"),
        ("a: 1\nb: [1\nc: 2\n", 3, "while parsing a flow sequence on line 2"),
        ("a: 1\nb: c: d\n", 2, "mapping values"),
        ("a: 'x\n", 2, "quoted scalar on line 1"),
        ("a: 1\nb: \0\n", 2, "characters are not allowed (#x0000)"),
        ("a: ä\nb: \x07\n", 2, "#x0007"),
        (b"a: 1\nb: \xff\n", 2, "byte 0xff is no UTF-8"),
        ("workers: 3\n".encode("utf-16"), 1, "byte 0xff is no UTF-8"),
        ("a: 1\nb: *x\n", 2, "undefined alias"),
        ("a: 1\nb: !!python/object/apply:os.system [true]\n", 2, "constructor for the tag"),
        ("a: 1\n---\nb: 2\n", 2, "another document"),
        ("- a\n", 1, "not a list"),
        ("\njust words\n", 2, "not a str"),
        ("a: 1\n? [x, y]\n: 1\n", 2, "unhashable key"),
        ("a: 1\nb: !!int many\n", 2, "invalid literal"),
        ("a: 1\nb: !!timestamp 99\n", 2, "no value"),
        ("a: 1\nb: !!bool maybe\n", 2, "no value"),
        ("a: 1\n<<: 7\n", 2, "it is not YAML"),
        ("a: 1\nb: " + "9" * 5000 + "\n", 2, "no number has so many digits"),
        ("a: 1\nb: 1" + ":59" * 200_000 + "\n", 2, "no number has so many digits"),
        ("a: 1\nb: 1.0e+" + "9" * 60 + "\n", 2, "no number has so many digits"),
    ],
)
def test_what_is_no_yaml_is_told_with_its_line(path: Path, content: bytes | str, line: int, told: str) -> None:
    said = refusal(content, path)

    assert said.startswith(f"{path}:{line}: ")
    assert told in said


@pytest.mark.parametrize(
    ("content", "name", "lines"),
    [
        ("workers: 3\ntimeout: 1h\nworkers: 4\n", "'workers'", (1, 3)),
        ("pools:\n  gpu: {workers: 1}\n  cpu: {}\n  gpu: {workers: 2}\n", "'gpu'", (2, 4)),
        ("pools: {gpu: {}, gpu: {}}\n", "'gpu'", (1, 1)),
        ("1: a\n'1': b\n", "'1'", (1, 2)),
        ("yes: a\nb: c\nyes: b\n", "'yes'", (1, 3)),
    ],
)
def test_a_name_that_stands_twice_is_told_with_both_lines(
    path: Path, content: str, name: str, lines: tuple[int, int]
) -> None:
    assert refusal(content, path) == (
        f"{path}:{lines[1]}: {name} stands twice: on line {lines[0]} and on line {lines[1]}"
    )


def nested_aliases(count: int) -> str:
    """`count` levels, each of which names the one before: nested no deeper than two in the text."""
    return "a0: &a0 [1]\n" + "".join(f"a{one}: &a{one} [*a{one - 1}]\n" for one in range(1, count))


BOMBS = {
    "laughs": "a0: &a0 [x, x]\n" + "".join(f"a{one}: &a{one} [*a{one - 1}, *a{one - 1}]\n" for one in range(1, 40)),
    "merges": "a0: &a0 {k: 1}\n"
    + "".join(f"a{one}: &a{one} {{<<: [{', '.join([f'*a{one - 1}'] * 9)}]}}\n" for one in range(1, 9)),
    "itself": "x: 1\na: &a [*a]\n",
    "itself by way of another": "x: 1\na: &a {b: {c: *a}}\n",
    "brackets": "x: 1\na: " + "[" * 100_000,
    "dashes": "x: 1\na:\n  " + "- " * 100_000,
    "questions": "? " * 100_000,
    "chain of aliases": nested_aliases(MOST_DEPTH * 3),
    "wide": "a: [" + "1," * MOST_VALUES + "1]\n",
}


@pytest.mark.parametrize("content", BOMBS.values(), ids=BOMBS)
def test_no_file_takes_the_memory_or_the_stack_of_its_reader(path: Path, content: str) -> None:
    tracemalloc.start()
    try:
        said = refusal(content, path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert said.startswith(f"{path}:")
    assert said.removeprefix(f"{path}:")[0].isdigit()
    assert peak < 200 * (1 << 20)


def test_a_huge_file_is_not_read_to_its_end(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)

    with pytest.raises(SettingsInvalid, match=f"larger than {MOST_BYTES >> 20} MiB"):
        read_layer(str(path))


def _folder(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(here)


def _loop(path: Path) -> None:
    path.symlink_to(path)


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [_folder, _pipe, _socket, _loop, _endless])
def test_what_is_no_file_is_refused_by_its_path_and_never_waited_for(path: Path, make: Callable[[Path], None]) -> None:
    make(path)

    with pytest.raises(SettingsInvalid, match=f"can't read {path}: "):
        read_layer(str(path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_refused_by_its_path(path: Path) -> None:
    path.write_text("workers: 3\n")
    path.chmod(0)

    with pytest.raises(SettingsInvalid, match=f"can't read {path}: Permission denied"):
        read_layer(str(path))


def test_what_is_commented_out_is_read_without_the_library(path: Path) -> None:
    path.write_text("\ufeff# workers: 3\n\n   # more\n")
    assert read_layer(str(path)).values == {}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("\ufeffworkers: 3\n", {"workers": 3}),
        ("workers: 3\r\ntimeout: 1h\r\n", {"workers": 3, "timeout": "1h"}),
        ("model: 2024-08-06\n", {"model": "2024-08-06"}),
        ("on: {1: a, null: b, 1.5: c}\n", {"on": {"1": "a", "null": "b", "1.5": "c"}}),
        ("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n", {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}}),
    ],
)
def test_names_are_text_days_are_text_and_merges_work(text: str, values: object) -> None:
    assert parse_document(text, "f").values == values


def test_each_value_is_known_by_its_line() -> None:
    document = parse_document("a: 1\n\nb:\n  c: [x,\n    y]\n  d:\n    - 1\n    - {e: 2}\n", "f")

    assert document.lines == {
        ("a",): 1, ("b",): 3, ("b", "c"): 4, ("b", "c", 0): 4, ("b", "c", 1): 5, ("b", "d"): 6, ("b", "d", 0): 7,
        ("b", "d", 1): 8, ("b", "d", 1, "e"): 8,
    }  # fmt: skip


def test_a_merged_value_is_where_it_was_written_unless_it_was_written_over() -> None:
    document = parse_document("a: &a {x: 1,\n  y: 2}\nb:\n  <<: *a\n  y: 3\n", "f")

    assert (document.lines["b", "x"], document.lines["b", "y"]) == (1, 5)


def outcome(text: str) -> tuple[dict[str, object], str]:
    """What it holds, or what is said of it."""
    try:
        return parse_document(text, "the file").values, ""
    except SettingsInvalid as error:
        return {}, str(error)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=60) | st.text("[]{}&*a:- \n\t?!<,'\"|>#%@`1.e\0", max_size=60))
def test_whatever_a_text_holds_it_is_a_mapping_or_refused_by_its_name(text: str) -> None:
    found, said = outcome(text)
    assert said.startswith("the file:") if said else all(isinstance(name, str) for name in found)
    with suppress(SettingsInvalid):
        parse_value(text, "$IT")


_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), _PLAIN, max_size=4))
def test_what_was_written_as_yaml_is_read_as_it_was_with_a_line_for_each_name(values: dict[str, object]) -> None:
    text = yaml.safe_dump(values, default_flow_style=False)

    document = parse_document(text, "f")

    assert document.values == values
    assert all((name,) in document.lines for name in values)
