"""What a step's worker is told beside its task."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from conductor.domain.plan import Step
from conductor.domain.run import Run, RunStatus
from conductor.orchestrator.briefs import BounceKind, EarlierRound, MergedStep, Surroundings, resolver_brief, step_brief
from conductor.orchestrator.templating import PromptTemplates

OURS = PromptTemplates()
RUN = Run("r-1", "shop", "The shop", RunStatus.RUNNING, 0.0, request="Build a shop")
CART = Step("cart", "The cart", "Write cart.py", depends_on=("model",), files=("cart.py",), criteria=("it adds up",))
STEPS = (
    Step("model", "The model", "x"),
    CART,
    Step("view", "The view", "x", depends_on=("cart",)),
    Step("z", "Z", "x"),
)
AROUND = Surroundings("7 files", STEPS, (MergedStep("The model", "0123456789abcdef"),), "make test")


def test_a_worker_is_told_where_its_step_stands() -> None:
    brief = step_brief(RUN, CART, AROUND, (), OURS)
    for told in (
        "the step cart of a plan for the project shop",
        "```request\nBuild a shop\n```",
        "Step 2 of 4.\nIt stands on: model: The model\nThese wait for it: view: The view\nSomebody else's: z: Z",
        "```merged\n0123456789ab The model\n```",
        "```files\n- cart.py\n```",
        "```sh\nmake test\n```",
        "```repository\n7 files\n```",
        "they are committed and merged for you. Don't push",
    ):
        assert told in brief
    assert "Write cart.py" not in brief, "the task says it"
    assert "came back" not in brief
    assert "\n\n\n" not in brief


def test_what_there_is_nothing_of_is_left_out() -> None:
    brief = step_brief(RUN, Step("a", "A", "x"), Surroundings(), (), OURS)
    for word in ("merged, and", "Where the step stands", "must pass", "known of", "``````"):
        assert word not in brief


def test_without_git_nothing_is_said_of_it() -> None:
    brief = step_brief(Run("r-1", "r-1", "x", RunStatus.RUNNING, 0.0, isolated=False), CART, AROUND, (), OURS)
    assert "git worktree" not in brief
    assert "Leave your changes in the workspace." in brief


def test_after_a_conflict_the_worker_is_told_of_both_sides() -> None:
    conflict = EarlierRound(1, BounceKind.CONFLICT, "CONFLICT (content): cart.py", ("cart.py",), "refs/x/1", True)
    brief = step_brief(RUN, CART, AROUND, (conflict,), OURS)
    for told in (
        "This is round 2",
        "Round 1 came back: it conflicts with what was merged meanwhile.",
        "```paths\n- cart.py\n```",
        "What git says:\n```output\nCONFLICT (content): cart.py\n```",
        "kept as refs/x/1",
        "already lies in your workspace",
    ):
        assert told in brief


def test_after_a_red_check_the_worker_is_told_the_end_of_its_output() -> None:
    check = EarlierRound(1, BounceKind.CHECK, "x" * 20_000 + "\nAssertionError: 3", work="refs/x/1")
    brief = step_brief(RUN, CART, AROUND, (check,), OURS)
    assert "AssertionError: 3\n```" in brief
    assert "characters left out …]" in brief
    assert "already lies" not in brief
    assert len(brief) < 20_000


def test_only_the_latest_rounds_are_told() -> None:
    rounds = [EarlierRound(number, BounceKind.FAULTS, f"fault {number}") for number in range(1, 7)]
    brief = step_brief(RUN, CART, AROUND, rounds, OURS)
    assert "fault 3" not in brief
    assert "fault 4" in brief
    assert "This is round 7" in brief


def test_a_resolver_is_told_all_of_it_and_what_it_is_for() -> None:
    conflict = EarlierRound(2, BounceKind.CONFLICT, "CONFLICT")
    brief = resolver_brief(RUN, CART, AROUND, (conflict,), OURS)
    assert step_brief(RUN, CART, AROUND, (conflict,), OURS).strip() in brief
    assert "look at both sides" in brief


def test_a_plan_of_thousands_is_told_in_bounds() -> None:
    steps = tuple(Step(f"s{n}", "T" * 300, "x", depends_on=() if n == 0 else ("s0",)) for n in range(5000))
    around = Surroundings(steps=steps, merged=tuple(MergedStep("M" * 100, "f" * 40) for _ in range(5000)))
    assert len(step_brief(RUN, steps[0], around, (), OURS)) < 30_000


@given(st.text(), st.text(), st.text())
def test_any_texts_make_a_brief(title: str, description: str, told: str) -> None:
    step = Step("a", title, description, criteria=(title,), files=(description,))
    around = Surroundings(told, (step, CART), (MergedStep(title, told),), description)
    rounds = (EarlierRound(1, BounceKind.CHECK, told, (title,)),)
    resolver_brief(RUN, step, around, rounds, OURS).encode()
