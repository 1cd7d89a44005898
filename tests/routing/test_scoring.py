"""What a model is worth for a step."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.ports.orchestration import Choice
from conductor.routing.ranking import Need, Scene, Standing, rank
from conductor.routing.registry import Capability, Cost, CostType, Model, Registry, Rules
from conductor.routing.scoring import Known, Score, score
from tests.routing.stories import API, NOW

RULES = Rules(failure_penalty=5)
LEVELS = st.integers(1, 5)
STARS = st.sampled_from([1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5])


def points(rating: float, most: int, complexity: int, *, free: bool = False, done: int = 0, failed: int = 0) -> Score:
    found = score(Capability(rating, most), complexity, Known(done, failed), is_free=free, rules=RULES)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("rating", "most", "complexity", "free", "done", "failed", "expected"),
    [
        (5, 3, 3, False, 0, 0, 90),
        (5, 4, 3, False, 0, 0, 85),
        (5, 5, 3, False, 0, 0, 80),
        (5, 5, 1, False, 0, 0, 80),
        (1, 1, 1, False, 0, 0, 50),
        (3, 3, 3, True, 0, 0, 80),
        (3, 3, 3, False, 7, 0, 77),
        (3, 3, 3, False, 70, 0, 80),
        (3, 3, 3, False, 0, 2, 60),
        (1, 5, 1, False, 0, 10, 0),
        (5, 3, 3, True, 10, 0, 100),
    ],
)
def test_points_are_those_of_the_table(
    rating: float, most: int, complexity: int, free: bool, done: int, failed: int, expected: int
) -> None:
    assert points(rating, most, complexity, free=free, done=done, failed=failed).shown == expected


def test_a_model_is_not_trusted_with_more_than_it_is_said_to_do() -> None:
    assert score(Capability(5, 3), 4, Known(), is_free=True, rules=RULES) is None


def test_what_a_score_is_made_of_is_kept() -> None:
    assert points(4, 3, 3, free=True, done=3, failed=1).parts == (
        ("rating", 40.0),
        ("complexity", 40.0),
        ("experience", 3.0),
        ("free", 10.0),
        ("failures", -5.0),
    )


def test_the_order_is_made_before_the_cap() -> None:
    best, good = points(5, 3, 3, free=True, done=10), points(5, 3, 3, free=True, done=5)

    assert (best.shown, good.shown) == (100, 100)
    assert best.points > good.points


def test_free_is_worth_nothing_where_the_settings_say_so() -> None:
    found = score(Capability(3, 3), 3, Known(), is_free=True, rules=Rules(prefer_free=False))
    assert found is not None
    assert found.shown == 70


@given(STARS, LEVELS, LEVELS, st.booleans(), st.integers(0, 30), st.integers(0, 12))
def test_more_stars_more_experience_and_less_failures_never_make_it_worse(
    rating: float, most: int, complexity: int, free: bool, done: int, failed: int
) -> None:
    base = score(Capability(rating, most), complexity, Known(done, failed), is_free=free, rules=RULES)
    if base is None:
        assert most < complexity
        return
    assert 0 <= base.shown <= 100
    assert points(min(5, rating + 0.5), most, complexity, free=free, done=done, failed=failed).points >= base.points
    assert points(rating, most, complexity, free=free, done=done + 1, failed=failed).points >= base.points
    assert points(rating, most, complexity, free=free, done=done, failed=failed + 1).points < base.points
    assert points(rating, most, complexity, free=True, done=done, failed=failed).points >= base.points
    if most < 5:
        assert points(rating, most + 1, complexity, free=free, done=done, failed=failed).points <= base.points


MODELS = st.lists(
    st.builds(
        Model,
        agent=st.sampled_from("abc"),
        model=st.sampled_from("xyz"),
        cost=st.builds(Cost, st.sampled_from(CostType), st.sampled_from([None, 1.0, 2.0])),
        otherwise=st.one_of(st.none(), st.builds(Capability, STARS, LEVELS)),
        enabled=st.booleans(),
    ),
    max_size=8,
    unique_by=lambda one: one.name,
)


def ranked(models: list[Model], complexity: int) -> Choice:
    scene = Scene(
        NOW,
        standing=lambda agent: None if agent == "c" else Standing(),
        known=lambda model, category: Known(len(model.name) % 3, 0),
        usd=lambda model, need: None,
        same_model=lambda agent, asked, known: asked == known,
    )
    return rank(Need(API, complexity), Registry(tuple(models)), scene)


@given(MODELS, LEVELS, st.randoms(use_true_random=False))
def test_the_order_of_the_registry_never_matters(models: list[Model], complexity: int, chance: object) -> None:
    shuffled = list(models)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]

    assert ranked(shuffled, complexity) == ranked(models, complexity)


@given(MODELS, LEVELS)
def test_every_model_is_a_candidate_or_passed_over_with_a_reason(models: list[Model], complexity: int) -> None:
    choice = ranked(models, complexity)

    told = [(one.agent, one.model) for one in (*choice.candidates, *choice.passed_over)]
    assert sorted(told) == sorted((one.agent, one.model) for one in models)
    assert all(one.why for one in choice.passed_over)
    assert [one.score for one in choice.candidates] == sorted((one.score for one in choice.candidates), reverse=True)


def test_ties_go_to_the_rating_then_to_the_cost_then_to_the_name() -> None:
    def order(*models: Model) -> list[str]:
        return [one.agent for one in ranked(list(models), 2).candidates]

    rated = Model("a", otherwise=Capability(3, 2)), Model("b", otherwise=Capability(4, 4))
    priced = (
        Model("a", cost=Cost(input=3, output=9), otherwise=Capability(3, 2)),
        Model("b", cost=Cost(input=1, output=2), otherwise=Capability(3, 2)),
    )
    alike = Model("b", otherwise=Capability(3, 2)), Model("a", otherwise=Capability(3, 2))
    assert order(*rated) == ["b", "a"]
    assert order(*priced) == ["b", "a"]
    assert order(*alike) == ["a", "b"]
