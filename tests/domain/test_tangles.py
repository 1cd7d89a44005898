"""What keeps steps from being a graph is found whole."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from conductor.domain.graph import Graph, Node
from conductor.domain.tangles import MOST_OF_A_KNOT, cycles, duplicate_ids, path_text, unknown_dependencies


def nodes_of(**edges: str) -> list[Node]:
    return [Node(step_id, tuple(parents)) for step_id, parents in edges.items()]


@st.composite
def tangled(draw: st.DrawFn) -> list[Node]:
    ids = [f"s{number}" for number in range(draw(st.integers(0, 8)))]
    parents = st.lists(st.sampled_from(ids), max_size=3) if ids else st.just([])
    return [Node(step_id, tuple(draw(parents))) for step_id in ids]


def reaches(nodes: list[Node], start: str, end: str) -> bool:
    by_id = {node.id: node.depends_on for node in nodes}
    seen, to_visit = set[str](), list(by_id[start])
    while to_visit:
        one = to_visit.pop()
        if one == end:
            return True
        if one not in seen:
            seen.add(one)
            to_visit.extend(by_id[one])
    return False


def test_a_cycle_is_told_as_its_path() -> None:
    found = cycles(nodes_of(a="b", b="c", c="a", d="a"))

    assert [path_text(path) for path in found] == ["a -> b -> c -> a"]


def test_a_step_that_waits_for_itself_is_a_cycle() -> None:
    assert cycles(nodes_of(a="a")) == [("a", "a")]


def test_cycles_that_share_no_step_are_all_told() -> None:
    found = cycles(nodes_of(a="b", b="a", c="d", d="c", e="ac"))

    assert {frozenset(path) for path in found} == {frozenset("ab"), frozenset("cd")}


def test_both_cycles_through_one_step_are_told() -> None:
    found = cycles(nodes_of(a="bc", b="a", c="a"))

    assert {frozenset(path) for path in found} == {frozenset("ab"), frozenset("ac")}


def test_of_a_knot_only_some_are_told() -> None:
    everyone = "abcdefgh"

    assert len(cycles([Node(one, tuple(everyone)) for one in everyone])) == MOST_OF_A_KNOT


def test_a_long_cycle_is_told_without_its_middle() -> None:
    path = [f"s{number}" for number in range(100)]

    assert path_text([*path, "s0"]) == (
        "s0 -> s1 -> s2 -> s3 -> s4 -> s5 -> (89 more) -> s95 -> s96 -> s97 -> s98 -> s99 -> s0"
    )


def test_a_circle_of_many_thousand_steps_needs_no_recursion() -> None:
    nodes = [Node(f"s{number}", (f"s{(number + 1) % 20_000}",)) for number in range(20_000)]

    assert len(cycles(nodes)[0]) == 20_001


def test_ids_that_stand_twice_and_dependencies_on_nobody_are_told() -> None:
    nodes = [Node("a", ("x",)), Node("b", ()), Node("a", ("b", "y"))]

    assert duplicate_ids(nodes) == ["a"]
    assert unknown_dependencies(nodes) == [(0, "x"), (2, "y")]


@given(tangled())
def test_every_path_told_is_a_cycle_and_none_is_told_only_of_a_graph(nodes: list[Node]) -> None:
    by_id = {node.id: node.depends_on for node in nodes}

    found = cycles(nodes)

    for path in found:
        assert path[0] == path[-1]
        assert len(set(path)) == len(path) - 1
        assert all(after in by_id[before] for before, after in itertools.pairwise(path))
    assert len(set(found)) == len(found)
    if not found:
        Graph(nodes)


@given(tangled())
def test_every_knot_has_a_cycle_told(nodes: list[Node]) -> None:
    told = {step_id for path in cycles(nodes) for step_id in path}

    for node in nodes:
        if reaches(nodes, node.id, node.id):
            mutual = {one.id for one in nodes if reaches(nodes, node.id, one.id) and reaches(nodes, one.id, node.id)}
            assert mutual & told
