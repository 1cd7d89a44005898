from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conductor.agents.chat import ChatAgent
from conductor.domain.agent_events import Progress, Retry, UsageTold
from conductor.domain.agent_setup import ProviderSetup
from conductor.domain.errors import BadTask
from conductor.domain.failure import Failure
from conductor.domain.usage import Usage
from conductor.ports import Endpoint, Prompt
from conductor.testing.sim import Sim
from tests.agents.loop_runs import LoopNursery, Ran
from tests.agents.prompts import prompt_in, setup
from tests.agents.provider import Provider, Reply, chunks, function_call, provider, refusal

USAGE = {
    "prompt_tokens": 50,
    "completion_tokens": 20,
    "prompt_tokens_details": {"cached_tokens": 30},
    "completion_tokens_details": {"reasoning_tokens": 5},
}


def agent(**options: Any) -> ChatAgent:
    return ChatAgent(setup("chat", model="some-model", options=options))


def asking(folder: Path, url: str, words: str = "do it", **more: Any) -> Prompt:
    return prompt_in(folder, words, **{"endpoint": Endpoint(url, "key-12345678"), **more})


def run(nursery: LoopNursery, folder: Path, at: Provider, options: dict[str, Any] | None = None, **more: Any) -> Ran:
    return nursery.run(agent(**(options or {})), asking(folder, at.url, **more))


def test_a_text_is_streamed_and_its_usage_told(nursery: LoopNursery, tmp_path: Path) -> None:
    with provider(chunks({"content": "All "}, {"content": "is well."}, usage=USAGE)) as at:
        ran = run(nursery, tmp_path, at, words="how is it?", thinking="high")
    assert ran.report.text == "All is well.", ran
    assert ran.report.usage == Usage(input=20, cached=30, output=20, reasoning=5)
    assert ran.report.model == "chat-used"
    asked = at.asked[0]
    assert (at.paths, asked["model"], asked["reasoning_effort"]) == (["/v1/chat/completions"], "some-model", "high")
    assert [one["role"] for one in asked["messages"]] == ["system", "user"]
    assert at.headers[0]["authorization"] == "Bearer key-12345678"


def test_tools_are_called_and_answered(nursery: LoopNursery, tmp_path: Path) -> None:
    # given: two calls, streamed in pieces, without ids
    first = chunks(
        {"content": "I write"},
        function_call("write", '{"path": "a.txt", ', call_id="", index=0),
        {"tool_calls": [{"index": 0, "function": {"arguments": '"content": "hi"}'}}]},
        function_call("read", '{"path": "a.txt"}', call_id="", index=1),
        finish="tool_calls",
    )
    with provider(first, chunks({"content": "done"})) as at:
        # when
        ran = run(nursery, tmp_path, at)
    # then
    assert ran.report.succeeded
    assert (tmp_path / "work/a.txt").read_text() == "hi"
    _, _, answer, *results = at.asked[1]["messages"]
    ids = [call["id"] for call in answer["tool_calls"]]
    assert [(one["role"], one["tool_call_id"]) for one in results] == [("tool", ids[0]), ("tool", ids[1])]
    assert json.loads(answer["tool_calls"][0]["function"]["arguments"]) == {"path": "a.txt", "content": "hi"}
    assert results[1]["content"] == "hi"
    assert len(set(ids)) == 2


def test_usage_that_is_not_told_is_unknown(nursery: LoopNursery, tmp_path: Path) -> None:
    with provider(chunks({"content": "done"})) as at:
        ran = run(nursery, tmp_path, at)
    assert ran.report.succeeded
    assert ran.report.usage is None
    assert not ran.of(UsageTold)


def test_a_server_that_does_not_stream_is_understood(nursery: LoopNursery, tmp_path: Path) -> None:
    choice = {"message": {"content": "whole"}, "finish_reason": "stop"}
    body = json.dumps({"model": "m", "choices": [choice], "usage": USAGE}).encode()
    with provider(Reply(200, body, {"content-type": "application/json"})) as at:
        ran = run(nursery, tmp_path, at)
    assert ran.report.text == "whole"
    assert ran.report.usage is not None


def test_reasoning_is_a_sign_of_life_and_no_answer(nursery: LoopNursery, tmp_path: Path) -> None:
    with provider(chunks({"reasoning_content": "hm"}, {"content": "done"})) as at:
        ran = run(nursery, tmp_path, at)
    assert ran.report.text == "done"
    assert ran.of(Progress)[0].what == "thinking"


def test_without_tools_none_are_offered(nursery: LoopNursery, tmp_path: Path) -> None:
    with provider(chunks({"content": "done"})) as at:
        ran = run(nursery, tmp_path, at, {"tools": False})
    assert ran.report.succeeded
    assert "tools" not in at.asked[0]


def test_perplexity_has_no_tools_and_a_path_of_its_own(nursery: LoopNursery, tmp_path: Path) -> None:
    # given
    perplexity = ProviderSetup("perplexity", "openai", "https://api.perplexity.ai")
    searching = ChatAgent(setup("chat", model="perplexity/sonar", provider=perplexity))
    with provider(chunks({"content": "found"})) as at:
        # when
        ran = nursery.run(searching, asking(tmp_path, at.url))
    # then
    assert ran.report.succeeded
    assert at.paths == ["/chat/completions"]
    assert at.asked[0]["model"] == "sonar"
    assert "tools" not in at.asked[0]


def test_what_an_older_or_newer_server_refuses_is_left_out(nursery: LoopNursery, tmp_path: Path) -> None:
    no_usage = refusal(400, message="unknown field: stream_options")
    other_name = refusal(400, message="'max_tokens' is not supported, use 'max_completion_tokens'")
    with provider(no_usage, other_name, chunks({"content": "done"})) as at:
        ran = run(nursery, tmp_path, at, {"max_tokens": 500, "extra": {"temperature": 0}})
    assert ran.report.succeeded
    assert len(ran.of(Retry)) == 2
    last = at.asked[2]
    assert "stream_options" not in last
    assert last["max_completion_tokens"] == 500
    assert last["temperature"] == 0


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        (refusal(401, message="Incorrect API key"), Failure.BAD_KEY),
        (refusal(404, message="no such model"), Failure.BAD_MODEL),
        (refusal(503, message="busy"), Failure.OVERLOAD),
        (refusal(400, message="maximum context length is 8192 tokens"), Failure.CONTEXT),
        (refusal(302, message="elsewhere", location="http://127.0.0.1:9/"), Failure.NETWORK),
        (Reply(200, b"<html>log in to this network</html>", {"content-type": "text/html"}), Failure.CUT),
        (Reply(200, b"data: {broken\n\n"), Failure.CUT),
        (Reply(200, b'data: {"error": {"message": "rate limit", "code": 429}}\n\n'), Failure.LIMIT),
        (chunks({"content": "half"}, finish=None), Failure.CUT),
        (chunks({"content": "long"}, finish="length"), Failure.CUT),
        (chunks({"content": ""}), Failure.EMPTY),
    ],
)
def test_ends_are_classed(nursery: LoopNursery, tmp_path: Path, reply: Reply, failure: Failure) -> None:
    with provider(reply) as at:
        ran = run(nursery, tmp_path, at)
    assert ran.report.failure is failure, ran


def test_a_limit_tells_when_it_resets(nursery: LoopNursery, tmp_path: Path) -> None:
    told = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}
    with provider(refusal(429, message="Rate limit reached", **told)) as at:
        ran = run(nursery, tmp_path, at)
    assert ran.report.limit is not None
    assert ran.report.limit.resets_at is not None
    assert ran.report.limit.kind == "requests"


def test_a_refused_connection_is_a_network_failure(nursery: LoopNursery, tmp_path: Path) -> None:
    ran = nursery.run(agent(), asking(tmp_path, "http://127.0.0.1:9"))
    assert ran.report.failure is Failure.NETWORK


def test_a_cut_stream_is_asked_again(nursery: LoopNursery, tmp_path: Path) -> None:
    with provider(chunks({"content": "ha"}, finish=None), chunks({"content": "whole"})) as at:
        ran = run(nursery, tmp_path, at)
    assert ran.report.succeeded
    assert ran.report.text == "whole"
    assert len(at.asked) == 2


def test_a_proxy_is_not_asked_for_an_address_of_this_machine(nursery: LoopNursery, tmp_path: Path) -> None:
    with provider(chunks({"content": "done"})) as at:
        ran = nursery.run(agent(), asking(tmp_path, at.url), env={"http_proxy": "http://127.0.0.1:9"})
    assert ran.report.succeeded


def test_without_a_model_it_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(BadTask, match="--model"):
        ChatAgent(setup("chat")).launch(asking(tmp_path, "http://127.0.0.1:9"))


def test_it_works_with_the_simulated_provider(nursery: LoopNursery, tmp_path: Path) -> None:
    with Sim() as sim:
        ran = nursery.run(agent(), asking(tmp_path, sim.url, "[[write a.txt hi]] [[run cat a.txt]]"))
        assert ran.report.succeeded, ran
        assert (tmp_path / "work/a.txt").read_text() == "hi\n"
        assert ran.report.usage is not None
        assert ran.report.usage.total == sum(one.usage.total for one in sim.requests)
