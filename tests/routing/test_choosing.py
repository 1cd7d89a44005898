"""Who does a step, and who can't and why."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from conductor.domain.plan import StepType
from conductor.routing.ranking import fitting_level
from conductor.routing.registry import Capability, Cost, CostType, Registry
from conductor.routing.router import RegistryRouter
from tests.routing.stories import API, FREE, NOW, Place, model, named, passed, step

GOOD, FAIR, POOR = model("claude", "opus", 5), model("codex", "sol", 4), model("gemini", "pro", 3)


def test_the_best_comes_first_and_the_rest_in_order() -> None:
    assert named(Place(POOR, GOOD, FAIR).router.choose(step())) == ["claude:opus", "codex:sol", "gemini:pro"]


def test_a_step_that_names_an_agent_has_that_one_alone_with_its_model() -> None:
    place = Place(GOOD, FAIR)

    choice = place.router.choose(step(agent="codex", model="o9", thinking="low"))

    assert [(one.agent, one.model, one.thinking) for one in choice.candidates] == [("codex", "o9", "low")]


def test_a_step_that_names_a_model_has_those_that_serve_it() -> None:
    place = Place(GOOD, FAIR, model("opencode", "opus", 2))

    choice = place.router.choose(step(model="opus"))

    assert named(choice) == ["claude:opus", "opencode:opus"]
    assert passed(choice) == {"codex:sol": "the step asks for model opus"}


def test_a_model_that_the_registry_does_not_know_goes_to_the_default_agent() -> None:
    place = Place(GOOD, default_agent="claude")

    assert named(place.router.choose(step(model="haiku"))) == ["claude:haiku"]
    assert named(Place(GOOD).router.choose(step(model="haiku"))) == []


def test_a_default_agent_that_runs_its_text_as_it_is_gets_no_step_that_asks_for_a_model() -> None:
    place = Place(GOOD, default_agent="command")
    place.change("command", prompted=False)

    assert named(place.router.choose(step(model="haiku"))) == []


def test_the_order_is_made_before_the_cap() -> None:
    better = model("z", rating=5, most=3, cost=FREE, capabilities={API: Capability(5, 3, experience=9)})
    good = model("a", rating=5, most=3, cost=FREE, capabilities={API: Capability(5, 3, experience=3)})

    choice = Place(good, better).router.choose(step())

    assert [(one.agent, one.score) for one in choice.candidates] == [("z", 100), ("a", 100)]


def test_a_known_model_that_is_not_trusted_with_the_step_does_not_go_to_the_default_agent() -> None:
    place = Place(model("claude", "haiku", 3, most=2), default_agent="claude")

    choice = place.router.choose(step(model="haiku", complexity=4))

    assert passed(choice) == {"claude:haiku": "trusted up to complexity 2, the step has 4"}
    assert choice.candidates == ()


@pytest.mark.parametrize("fact", ["fault", "no_access"])
def test_nobody_is_sent_where_it_cannot_run(fact: str) -> None:
    place = Place(GOOD, FAIR)
    place.change("claude", **{fact: "not here: install it"})

    choice = place.router.choose(step())

    assert (named(choice), passed(choice)) == (["codex:sol"], {"claude:opus": "not here: install it"})


def test_who_is_named_goes_without_a_login_that_we_can_see_but_not_without_its_program() -> None:
    place = Place(GOOD)
    place.change("claude", no_access="no key and no login")
    assert named(place.router.choose(step(agent="claude"))) == ["claude"]

    place.change("claude", fault="not installed")
    assert passed(place.router.choose(step(agent="claude"))) == {"claude": "not installed"}


def test_an_agent_that_does_not_exist_is_passed_over() -> None:
    assert passed(Place(GOOD).router.choose(step(agent="nobody"))) == {"nobody": "there is no agent nobody here"}


def test_what_runs_its_text_as_it_is_must_be_named() -> None:
    place = Place(model("command", "", 5), FAIR)
    place.change("command", prompted=False)

    choice = place.router.choose(step())

    assert named(choice) == ["codex:sol"]
    assert "must name it" in passed(choice)["command"]
    (chosen,) = place.router.choose(step(agent="command")).candidates
    assert (chosen.agent, chosen.thinking, chosen.usd_expected) == ("command", "", 0.0)


def test_who_is_parked_is_passed_over_while_another_can_start() -> None:
    place = Place(GOOD, FAIR)
    place.change("claude", parked="provider anthropic is parked until noon", parked_until=NOW + 600)

    choice = place.router.choose(step())

    assert named(choice) == ["codex:sol"]
    assert passed(choice) == {"claude:opus": "provider anthropic is parked until noon"}


def test_where_all_are_parked_the_first_to_open_comes_first() -> None:
    place = Place(GOOD, FAIR, POOR)
    place.change("claude", parked="parked", parked_until=NOW + 600)
    place.change("codex", parked="parked", parked_until=NOW + 66)
    place.change("gemini", fault="not installed")

    choice = place.router.choose(step())

    assert named(choice) == ["codex:sol", "claude:opus"]
    assert dict(choice.candidates[0].parts)["parked_seconds"] == 60
    assert passed(choice) == {"gemini:pro": "not installed"}


def test_who_is_forbidden_is_never_waited_for() -> None:
    place = Place(GOOD)
    place.change("claude", parked="provider anthropic is forbidden", parked_until=math.inf)

    choice = place.router.choose(step())

    assert (named(choice), passed(choice)) == ([], {"claude:opus": "provider anthropic is forbidden"})


def test_a_disabled_model_and_one_without_a_word_on_the_category_are_passed_over() -> None:
    off = replace(GOOD, enabled=False)
    narrow = replace(FAIR, otherwise=None, capabilities={"code-review": Capability(5, 5)})

    told = passed(Place(off, narrow).router.choose(step()))

    assert told == {
        "claude:opus": "disabled in the registry",
        "codex:sol": f"the registry says nothing of it for {API}",
    }


def test_without_fallback_there_is_one_candidate() -> None:
    choice = Place(GOOD, FAIR, fallback=False).router.choose(step())

    assert (named(choice), passed(choice)) == (["claude:opus"], {"codex:sol": "the registry allows no fallback"})


def test_a_category_that_is_missing_or_unknown_is_found_by_the_words() -> None:
    place = Place(GOOD)
    assert place.router.need(step("", title="Add an index to the users database")).category == "database-operations"
    assert place.router.need(step("made-up", title="Do it", type=StepType.BUG)).category == "bug-detection-fixes"
    assert place.router.need(step("", title="", description="")).category == "code-generation-new-features"


def test_a_complexity_that_makes_no_sense_is_the_registrys_default() -> None:
    router = RegistryRouter(Registry((GOOD,), default_complexity=2), Place(GOOD).world)
    assert [router.need(step(complexity=level)).complexity for level in (0, 9, 4)] == [2, 2, 4]


def test_a_thinking_level_becomes_one_that_the_agent_accepts() -> None:
    accepted = ("low", "medium", "high")
    assert fitting_level("max", accepted) == "high"
    assert fitting_level("off", accepted) == "low"
    assert fitting_level("medium", accepted) == "medium"
    assert fitting_level("4000 tokens", accepted) == ""
    assert fitting_level("high", ()) == ""
    assert fitting_level("4000 tokens", None) == "4000 tokens"
    assert fitting_level("", accepted) == ""


def test_the_cost_is_expected_from_the_prices_and_nothing_where_use_is_not_paid() -> None:
    paid = model("claude", "opus", cost=Cost(input=10, output=100))
    place = Place(
        paid, model("codex", "sol", cost=FREE), model("gemini", "pro", cost=Cost(CostType.SUBSCRIPTION)), POOR
    )

    expected = {one.agent: one.usd_expected for one in place.router.choose(step()).candidates}

    assert expected["codex"] == 0.0
    assert expected["claude"] == pytest.approx(400_000 * (0.97 * 10 + 0.03 * 100) / 1e6)


def test_what_was_seen_holds_for_a_second_and_no_longer() -> None:
    place = Place(GOOD, FAIR)
    for complexity in (1, 2, 3):
        place.router.choose(step(complexity=complexity))
    assert place.looks == 2, "each agent is looked at once"

    place.agents["claude"] = replace(place.agents["claude"], fault="gone")
    assert named(place.router.choose(step()))[0] == "claude:opus"
    place.now += 1.1
    assert named(place.router.choose(step())) == ["codex:sol"]


def test_a_clock_that_was_set_back_does_not_keep_old_sights() -> None:
    place = Place(GOOD)
    place.router.choose(step())
    place.now -= 86_400
    place.agents["claude"] = replace(place.agents["claude"], fault="gone")

    assert named(place.router.choose(step())) == []
