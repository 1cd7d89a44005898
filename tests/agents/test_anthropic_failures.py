from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from conductor.domain.agent_events import End, LimitHit, Retry
from conductor.domain.failure import Failure
from conductor.domain.usage import Usage
from conductor.testing.sim import Sim
from tests.agents.anthropic_runs import agent, asking, run
from tests.agents.loop_runs import LoopNursery
from tests.agents.provider import cut_message, message, provider, refusal, text, tool


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        (refusal(401, "authentication_error", "invalid x-api-key"), Failure.BAD_KEY),
        (refusal(404, "not_found_error", "model: nope"), Failure.BAD_MODEL),
        (refusal(529, "overloaded_error", "Overloaded"), Failure.OVERLOAD),
        (refusal(500, "api_error", "oops"), Failure.OVERLOAD),
        (refusal(400, "invalid_request_error", "messages: bad"), Failure.BAD_REQUEST),
        (refusal(400, "invalid_request_error", "prompt is too long: 9 > 8"), Failure.CONTEXT),
        (refusal(429, "rate_limit_error", "slow down"), Failure.LIMIT),
    ],
)
def test_a_refused_call_ends_the_run_with_its_class(
    nursery: LoopNursery, tmp_path: Path, reply: Any, failure: Failure
) -> None:
    with provider(reply) as at:
        ran = run(nursery, tmp_path, at)
    assert (ran.report.succeeded, ran.report.failure, ran.exit_code) == (False, failure, 1)
    assert len(at.asked) == 1, "the queue and the gate retry, not the SDK"
    assert ran.report.usage is None


def test_a_limit_tells_when_it_resets(nursery: LoopNursery, tmp_path: Path) -> None:
    with provider(refusal(429, "rate_limit_error", "slow down", retry_after="90")) as at:
        ran = run(nursery, tmp_path, at)
    assert ran.report.limit is not None
    assert ran.report.limit.resets_at is not None
    assert 0 < ran.report.limit.resets_at - time.time() <= 90
    assert ran.of(LimitHit)


def test_in_mid_conversation_a_short_limit_is_waited_for(nursery: LoopNursery, tmp_path: Path) -> None:
    # given
    limited = refusal(429, "rate_limit_error", "slow down", retry_after="0")
    with provider(message(tool("list")), limited, message(text("done"))) as at:
        # when
        ran = run(nursery, tmp_path, at)
    # then
    assert ran.report.succeeded
    assert [one.status for one in ran.of(Retry)] == [429]


def test_a_refused_connection_is_a_network_failure(nursery: LoopNursery, tmp_path: Path) -> None:
    ran = nursery.run(agent(), asking(tmp_path, "http://127.0.0.1:9"))
    assert ran.report.failure is Failure.NETWORK
    assert ran.of(End)


def test_a_cut_stream_is_asked_again_and_its_usage_counted(nursery: LoopNursery, tmp_path: Path) -> None:
    # given
    replies = (message(tool("list")), cut_message(text("half an ans")), message(text("the whole answer")))
    with provider(*replies) as at:
        # when
        ran = run(nursery, tmp_path, at)
    # then
    assert ran.report.succeeded
    assert ran.report.text == "the whole answer"
    assert at.asked[1]["messages"] == at.asked[2]["messages"]
    assert ran.report.usage == Usage(input=30, output=20 + 1 + 20)


def test_a_stream_that_is_always_cut_is_given_up_after_two_more_tries(nursery: LoopNursery, tmp_path: Path) -> None:
    with provider(cut_message(text("half"))) as at:
        ran = run(nursery, tmp_path, at)
    assert ran.report.failure is Failure.CUT
    assert len(at.asked) == 3


def test_term_in_mid_turn_tells_the_end_and_exits_143(nursery: LoopNursery, tmp_path: Path) -> None:
    # given
    hanging = cut_message(text("I begin"))
    hanging.hang = True

    def stop(pid: int, events: Path) -> None:
        deadline = time.monotonic() + 20
        while b"I begin" not in events.read_bytes() if events.exists() else True:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(pid, signal.SIGTERM)

    with provider(hanging) as at:
        # when
        ran = nursery.run(agent(), asking(tmp_path, at.url), stop)
    # then
    assert ran.exit_code == 143
    assert not ran.report.succeeded
    assert ran.of(End)[0].reason == "stopped by SIGTERM"


def test_a_silent_provider_is_given_up(nursery: LoopNursery, tmp_path: Path) -> None:
    hanging = cut_message(text("I begin"))
    hanging.hang = True
    with provider(hanging) as at:
        ran = run(nursery, tmp_path, at, {"silence_seconds": 0.5})
    assert ran.report.failure is Failure.CUT
    assert len(at.asked) == 3


@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        ("badjson", Failure.CUT),
        ("wrongtype", Failure.CUT),
        ("cut", Failure.CUT),
        ("streamerror", Failure.OVERLOAD),
        ("toolong", Failure.CONTEXT),
        ("nomodel", Failure.BAD_MODEL),
        ("429s60", Failure.LIMIT),
    ],
)
def test_faults_of_the_simulated_provider_are_classed(
    nursery: LoopNursery, tmp_path: Path, fault: str, failure: Failure
) -> None:
    with Sim() as sim:
        ran = nursery.run(agent(), asking(tmp_path, sim.faulty(fault)))
    assert ran.report.failure is failure, ran
