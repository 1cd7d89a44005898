"""The graph of steps: order, waves, what is ready, what a failure blocks; against a model too simple to be wrong."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.domain.graph import SECONDS_PER_COMPLEXITY, Graph, Node, node_of
from conductor.domain.plan import Step

DIAMOND = (Node("a", ()), Node("b", ("a",), 5.0), Node("c", ("a",), 1.0), Node("d", ("b", "c")))


@st.composite
def acyclic(draw: st.DrawFn) -> list[Node]:
    """Steps in any order whose dependencies go one way."""
    count = draw(st.integers(0, 12))
    nodes = []
    for number in range(count):
        parents = draw(st.lists(st.integers(0, number - 1), max_size=4)) if number else []
        weight = draw(st.floats(0, 100))
        nodes.append(Node(f"s{number}", tuple(f"s{parent}" for parent in parents), weight))
    return draw(st.permutations(nodes))


def ancestors(nodes: list[Node], step_id: str) -> set[str]:
    by_id = {node.id: node for node in nodes}
    found: set[str] = set()
    to_visit = list(by_id[step_id].depends_on)
    while to_visit:
        one = to_visit.pop()
        if one not in found:
            found.add(one)
            to_visit.extend(by_id[one].depends_on)
    return found


def naive_ready(nodes: list[Node], finished: set[str], failed: set[str]) -> set[str]:
    return {
        node.id
        for node in nodes
        if node.id not in finished | failed
        and set(node.depends_on) <= finished
        and not naive_is_blocked(nodes, node.id, finished, failed)
    }


def naive_is_blocked(nodes: list[Node], step_id: str, finished: set[str], failed: set[str]) -> bool:
    """A way from a failed step to it on which nothing is finished."""
    by_id = {node.id: node for node in nodes}
    if step_id in finished:
        return False
    if step_id in failed:
        return True
    return any(naive_is_blocked(nodes, parent, finished, failed) for parent in by_id[step_id].depends_on)


def test_waves_are_what_could_run_together() -> None:
    assert Graph(DIAMOND).waves() == [["a"], ["b", "c"], ["d"]]


def test_the_longest_remaining_path_goes_first() -> None:
    graph = Graph(DIAMOND)

    assert graph.finish("a") == ["b", "c"]
    assert graph.remaining("a") == 7.0
    assert graph.critical_path() == ["a", "b", "d"]


def test_a_step_is_ready_when_its_last_dependency_is_finished() -> None:
    graph = Graph(DIAMOND)
    graph.finish("a")

    assert graph.finish("c") == []
    assert graph.finish("b") == ["d"]
    assert graph.finish("b") == []


def test_a_failure_blocks_all_that_waits_for_it_and_each_is_told_once() -> None:
    graph = Graph(DIAMOND)
    graph.finish("a")

    assert graph.fail("b") == ["d"]
    assert graph.fail("c") == []
    assert graph.ready() == []
    assert graph.is_blocked("d")


def test_what_is_tried_anew_frees_only_what_nothing_else_blocks() -> None:
    graph = Graph(DIAMOND)
    graph.finish("a")
    graph.fail("b")
    graph.fail("c")

    assert graph.revive("b") == ["b"]
    assert graph.ready() == ["b"]
    assert graph.revive("c") == ["c", "d"]


def test_a_failed_step_that_a_person_accepts_frees_what_waited() -> None:
    graph = Graph([Node("a", ()), Node("b", ("a",)), Node("c", ("b",))])
    graph.fail("a")

    assert graph.finish("a") == ["b"]
    assert not graph.is_blocked("c")


def test_an_empty_plan_is_a_graph_too() -> None:
    graph = Graph([])

    assert (graph.order(), graph.waves(), graph.ready(), graph.critical_path()) == ([], [], [], [])


@pytest.mark.parametrize(
    ("nodes", "told"),
    [
        ([Node("a", ()), Node("a", ())], "twice"),
        ([Node("a", ("b",))], "'b', which is not there"),
        ([Node("a", ("b",)), Node("b", ("a",))], "circle"),
        ([Node("a", ("a",))], "circle"),
    ],
)
def test_what_is_no_graph_is_refused(nodes: list[Node], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Graph(nodes)


def test_a_step_weighs_its_estimate_or_by_its_complexity() -> None:
    assert node_of(Step("a", "A", "do", estimate_seconds=90.0)).weight == 90.0
    assert node_of(Step("a", "A", "do", complexity=4)).weight == 4 * SECONDS_PER_COMPLEXITY


def test_a_chain_of_many_thousand_steps_needs_no_recursion() -> None:
    graph = Graph(Node(f"s{n}", (f"s{n - 1}",) if n else ()) for n in range(20_000))

    assert graph.remaining("s0") == 20_000.0
    assert len(graph.fail("s0")) == 19_999


@given(acyclic())
def test_every_order_has_dependencies_first_and_every_wave_follows_its_latest(nodes: list[Node]) -> None:
    graph = Graph(nodes)

    place = {step_id: at for at, step_id in enumerate(graph.order())}
    assert place.keys() == {node.id for node in nodes}
    for node in nodes:
        assert all(place[parent] < place[node.id] for parent in node.depends_on)
        assert graph.wave_of(node.id) == 1 + max((graph.wave_of(parent) for parent in node.depends_on), default=-1)
    in_plan = [node.id for node in nodes]
    assert [step_id for wave in graph.waves() for step_id in wave] == sorted(in_plan, key=graph.wave_of)


@given(acyclic())
def test_the_longest_path_is_the_longest(nodes: list[Node]) -> None:
    graph = Graph(nodes)

    for node in nodes:
        after = [graph.remaining(child.id) for child in nodes if node.id in child.depends_on]
        assert graph.remaining(node.id) == node.weight + max(after, default=0.0)
    if nodes:
        path = graph.critical_path()
        assert graph.remaining(path[0]) == max(graph.remaining(node.id) for node in nodes)
        assert all(before in graph.depends_on(after) for before, after in itertools.pairwise(path))


@given(acyclic(), st.data())
def test_whatever_finishes_fails_and_is_revived_what_is_ready_is_what_the_simple_model_says(
    nodes: list[Node], data: st.DataObject
) -> None:
    graph, finished, failed = Graph(nodes), set[str](), set[str]()
    ids = [node.id for node in nodes]
    for _ in range(data.draw(st.integers(0, 20)) if ids else 0):
        before, blocked_before = naive_ready(nodes, finished, failed), blocked(nodes, finished, failed)
        step_id = data.draw(st.sampled_from(ids))
        match data.draw(st.sampled_from(["finish", "fail", "revive"])):
            case "finish":
                freed = graph.finish(step_id)
                was_failed = step_id in failed
                finished.add(step_id)
                failed.discard(step_id)
                new = naive_ready(nodes, finished, failed) - before
                assert set(freed) == new if not was_failed else set(freed) <= new
            case "fail":
                told = graph.fail(step_id)
                if step_id not in finished:
                    failed.add(step_id)
                assert set(told) == blocked(nodes, finished, failed) - blocked_before - {step_id}
            case _:
                told = graph.revive(step_id)
                failed.discard(step_id)
                assert set(told) == blocked_before - blocked(nodes, finished, failed)
        assert set(graph.ready()) == naive_ready(nodes, finished, failed)
        assert {one for one in ids if graph.is_blocked(one)} == blocked(nodes, finished, failed)


def blocked(nodes: list[Node], finished: set[str], failed: set[str]) -> set[str]:
    return {node.id for node in nodes if naive_is_blocked(nodes, node.id, finished, failed)}


@given(acyclic())
def test_running_by_readiness_runs_every_step_once_and_none_too_early(nodes: list[Node]) -> None:
    graph = Graph(nodes)
    queue, ran = graph.ready(), list[str]()
    while queue:
        step_id = queue.pop(0)
        assert ancestors(nodes, step_id) <= set(ran)
        ran.append(step_id)
        queue += graph.finish(step_id)

    assert sorted(ran) == sorted(node.id for node in nodes)
