"""The review at a run's end, whatever the model answers."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor.domain.plan import Step
from conductor.domain.run import Run, RunStatus, StepState, StepStatus
from conductor.orchestrator.review import (
    Finding,
    Review,
    Severity,
    Verdict,
    read_review,
    review_prompt,
    review_report,
)
from conductor.orchestrator.templating import PromptTemplates

RUN = Run("r-1", "shop", "The shop", RunStatus.FINISHING, 0.0, request="Build a shop", base="abcdef0123456789")
GOOD = {
    "verdict": "changes",
    "summary": "Nearly.",
    "findings": [
        {"severity": "critical", "file": "cart.py", "line": 3, "text": "adds wrongly"},
        "no docs",
        {"line": 1},
    ],
}


def test_a_reviewer_is_told_request_steps_and_changes() -> None:
    steps = [StepState("r-1", Step("a", "A", "x", criteria=("adds up",)), 0, StepStatus.NEEDS_REVIEW, "red check")]
    prompt = review_prompt(RUN, steps, " cart.py | 2 ++", "+x = 1\n```", PromptTemplates())
    for told in (
        "```request\nBuild a shop\n```",
        "a: A: needs_review (red check); wanted: adds up",
        " cart.py | 2 ++",
        "~~~diff\n+x = 1\n```\n~~~",
        "since abcdef012345:",
    ):
        assert told in prompt


@pytest.mark.parametrize(
    "text", [json.dumps(GOOD), f"So:\n```json\n{json.dumps(GOOD)}\n```", f"{GOOD} {json.dumps(GOOD)}"]
)
def test_a_review_is_read_wherever_it_stands(text: str) -> None:
    assert read_review(text) == Review(
        Verdict.CHANGES,
        "Nearly.",
        (Finding(Severity.HIGH, "adds wrongly", "cart.py", 3), Finding(Severity.MEDIUM, "no docs")),
    )


def test_a_review_in_prose_is_read_too() -> None:
    review = read_review(
        "Review:\n1. High: `cart.py:12` adds wrongly\n2. Minor: a typo\n\nVerdict: approved, with one wish."
    )
    assert review.verdict is Verdict.APPROVED
    assert review.findings == (
        Finding(Severity.HIGH, "High: `cart.py:12` adds wrongly", "cart.py", 12),
        Finding(Severity.LOW, "Minor: a typo"),
    )


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("Verdict: not approved", Verdict.CHANGES),
        ("**Verdict:** request changes", Verdict.CHANGES),
        ("verdict = LGTM", Verdict.APPROVED),
        ("It is fine.", Verdict.UNCLEAR),
        ('{"verdict": 7, "findings": "none"}', Verdict.UNCLEAR),
        ('{"verdict": "approved", "findings": [{"text": "it loses', Verdict.UNCLEAR),
        ("", Verdict.UNCLEAR),
    ],
)
def test_a_verdict_is_never_guessed(said: str, verdict: Verdict) -> None:
    assert read_review(said).verdict is verdict


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from("verdict findings summary severity file line text".split()), inner, max_size=4
        )
    ),
)


@given(st.one_of(st.text(), VALUES.map(json.dumps)))
def test_any_answer_makes_a_report(text: str) -> None:
    review_report(read_review(text), RUN).encode()


def test_a_report_shows_the_worst_first_and_quotes_what_the_model_wrote() -> None:
    review = Review(
        Verdict.CHANGES,
        "a\n```\n# b",
        (Finding(Severity.LOW, "typo", "a`b.py"), Finding(Severity.HIGH, "wrong", "c.py", 3)),
    )
    report = review_report(review, RUN)
    assert report.startswith("# Review of r-1: `The shop`\n\nVerdict: **changes are wanted**. 2 findings.")
    assert report.index("1. **high** in `c.py:3`") < report.index("2. **low** in `a'b.py`")
    assert "~~~text\na\n```\n# b\n~~~" in report
