"""An agent that leaves a model call of its own accord, and one whose answer broke off."""

from __future__ import annotations

import pytest

from conductor.agents.judgement import judge_told
from conductor.domain.agent_events import Call, End, Text
from conductor.domain.failure import Failure
from conductor.domain.tally import Tally
from conductor.domain.task import TaskSpec
from conductor.ports import Ending, Prompt


@pytest.mark.parametrize(("left", "failure"), [(True, Failure.NONE), (False, Failure.CUT)])
def test_a_side_call_that_the_agent_leaves_at_its_end_is_no_cut(left: bool, failure: Failure) -> None:
    told = Tally()
    for event in (Text("done"), Call("/v1/messages", 200, complete=False, left=left), End(True)):
        told.take(event)
    prompt = Prompt(TaskSpec(id="t", description="d"), 1, "/a", "/w")
    assert judge_told(prompt, Ending(0, None, "", told)).failure is failure
