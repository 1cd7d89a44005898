"""A plan drawn as a flowchart, in which no title is more than text."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from conductor.domain.plan import Step
from conductor.domain.run import StepStatus
from conductor.orchestrator.plans import mermaid
from tests.orchestrator.plans.support import plan_of, step

BOX = re.compile(r'  s\d+\["(?:[\w .,/()+:-]|#\d+;)*"\](?::::[a-z_]+)?')
ARROW = re.compile(r"  s\d+ --> s\d+")


def test_every_step_is_a_box_and_every_dependency_an_arrow() -> None:
    drawn = mermaid(plan_of(step("a"), step("b", depends_on=["a"])), {"a": StepStatus.COMPLETED})

    assert drawn == (
        "flowchart LR\n"
        '  s0["a: Step a"]:::completed\n'
        '  s1["b: Step b"]\n'
        "  s0 --> s1\n"
        "  classDef completed fill:#d1e7dd,stroke:#146c43,color:#000\n"
    )


def test_a_title_cannot_leave_its_box() -> None:
    drawn = mermaid([Step("a", 'x"]; click s0 "javascript:alert(1)" <b>`y`\n%%{init}%%', "do")])

    assert [line for line in drawn.splitlines() if not BOX.fullmatch(line)] == ["flowchart LR"]


@given(st.lists(st.builds(Step, st.sampled_from("abc"), st.text(), st.just("x"))))
def test_whatever_the_titles_each_line_is_a_box_or_an_arrow(steps: list[Step]) -> None:
    head, *lines = mermaid(steps).rstrip("\n").split("\n")

    assert head == "flowchart LR"
    assert all(BOX.fullmatch(line) or ARROW.fullmatch(line) for line in lines)
