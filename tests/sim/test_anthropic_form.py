"""The Messages API, used by the real SDK."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import ANY

import pytest
from anthropic import (
    Anthropic,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    RateLimitError,
)

from conductor.testing.sim import Sim
from tests.sim.asking import schema

KEY = "sk-ant-api03-0123456789abcdefghij"
WRITE = {"name": "write", "description": "writes", "input_schema": schema(path="string", content="string")}
THINKING = {"type": "enabled", "budget_tokens": 1024}
Client = Callable[..., Anthropic]


@pytest.fixture
def client(sim: Sim) -> Iterator[Client]:
    made: list[Anthropic] = []

    def make(fault: str = "ok") -> Anthropic:
        made.append(Anthropic(api_key=KEY, base_url=sim.faulty(fault), max_retries=0))
        return made[-1]

    yield make
    for one in made:
        one.close()


def create(client: Anthropic, prompt: str | list[Any], **more: Any) -> Any:
    turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    return client.messages.create(model="claude-x", messages=turns, **{"max_tokens": 4000, **more})  # type: ignore[call-overload]


def streamed(client: Anthropic, prompt: str, **more: Any) -> Any:
    turns: Any = [{"role": "user", "content": prompt}]
    with client.messages.stream(model="claude-x", max_tokens=4000, messages=turns, **more) as stream:
        return stream.get_final_message()


def test_a_prompt_gets_the_words_that_it_says_itself(client: Client) -> None:
    message = create(client(), "please [[say good morning]] now")
    assert message.content[0].text == "good morning"
    assert message.stop_reason == "end_turn"


def test_a_stream_adds_up_to_the_same_message_as_the_whole_answer(client: Client) -> None:
    prompt = "Write a Python function to calculate fibonacci numbers"
    whole, stream = create(client(), prompt), streamed(client(), prompt)
    assert "def fibonacci" in stream.content[0].text
    assert stream.content[0].text == whole.content[0].text
    assert stream.usage.output_tokens == whole.usage.output_tokens > 10


@pytest.mark.parametrize("asking", [create, streamed])
def test_tools_are_called_one_a_turn_until_a_text_says_what_was_done(client: Client, asking: Any) -> None:
    shell = {"name": "bash", "input_schema": schema(command="string")}
    prompt = "[[write a.txt hi]] [[run ls]] [[say all done]]"
    first = asking(client(), prompt, tools=[WRITE, shell])
    assert [block.type for block in first.content] == ["tool_use"]
    assert first.content[0].input == {"path": "a.txt", "content": "hi\n"}
    assert first.stop_reason == "tool_use"

    turns: list[Any] = [{"role": "user", "content": prompt}]
    turns += answered(first, "written")
    second = create(client(), turns, tools=[WRITE, shell])
    assert (second.content[0].name, second.content[0].input) == ("bash", {"command": "ls"})
    turns += answered(second, "a.txt")
    third = create(client(), turns, tools=[WRITE, shell])
    assert third.content[0].text == "all done\nWrote a.txt: written\nRan ls: a.txt"


@pytest.mark.parametrize("asking", [create, streamed])
def test_tools_can_be_called_together(client: Client, asking: Any) -> None:
    message = asking(client(), "[[write a.txt one]] [[write b.txt two]] [[together]]", tools=[WRITE])
    assert [block.input["path"] for block in message.content] == ["a.txt", "b.txt"]
    assert len({block.id for block in message.content}) == 2


def test_an_answer_is_cut_at_the_tokens_that_it_may_have(client: Client) -> None:
    message = create(client(), "[[say one two three four]]", max_tokens=2)
    assert (message.content[0].text, message.stop_reason) == ("one two ", "max_tokens")
    assert message.usage.output_tokens == 2


def answered(message: Any, result: str) -> list[Any]:
    """The turns that tell `message` and the result of its tool call."""
    content = [block.model_dump() for block in message.content]
    told = {"type": "tool_result", "tool_use_id": message.content[-1].id, "content": result}
    return [{"role": "assistant", "content": content}, {"role": "user", "content": [told]}]


def test_a_new_prompt_after_a_finished_one_begins_anew(client: Client) -> None:
    turns = [
        {"role": "user", "content": "[[write a.txt hi]]"},
        {"role": "assistant", "content": "Wrote a.txt."},
        {"role": "user", "content": "[[say second]]"},
    ]
    assert create(client(), turns, tools=[WRITE]).content[0].text == "second"


def test_thinking_is_told_before_the_answer_when_it_is_asked_for(client: Client) -> None:
    for asking in (create, streamed):
        message = asking(client(), "[[say well]]", thinking=THINKING)
        assert [block.type for block in message.content] == ["thinking", "text"]
        assert message.content[0].signature
    assert [block.type for block in create(client(), "[[think 0]] [[say well]]").content] == ["text"]


def test_an_answer_of_a_given_schema_is_json_of_it(client: Client) -> None:
    wanted = {"type": "json_schema", "schema": schema(title="string", number="integer")}
    message = create(client(), "a title please", extra_body={"output_config": {"format": wanted}})
    assert json.loads(message.content[0].text) == {"title": ANY, "number": 1}


def test_a_prefix_marked_for_the_cache_is_read_from_it_the_second_time(client: Client) -> None:
    system = [{"type": "text", "text": "rules " * 2000, "cache_control": {"type": "ephemeral"}}]
    first, second = (create(client(), prompt, system=system).usage for prompt in ("one", "two"))
    assert first.cache_creation_input_tokens > 2900
    assert first.cache_read_input_tokens == 0
    assert second.cache_read_input_tokens == first.cache_creation_input_tokens
    assert second.cache_creation_input_tokens == 0
    assert second.input_tokens == first.input_tokens


def test_a_conversation_that_grows_reads_what_it_wrote(client: Client) -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    turns: list[Any] = [{"role": "user", "content": [{"type": "text", "text": "long " * 400, **mark}]}]
    written = create(client(), turns).usage.cache_creation_input_tokens
    del turns[0]["content"][0]["cache_control"]
    turns += [
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": [{"type": "text", "text": "more " * 400, **mark}]},
    ]
    usage = create(client(), turns).usage
    assert usage.cache_read_input_tokens == written > 400
    assert usage.cache_creation_input_tokens > 400


def test_tokens_are_counted_and_models_listed(client: Client) -> None:
    counted = client().messages.count_tokens(model="claude-x", messages=[{"role": "user", "content": "x" * 4000}])
    assert 1000 <= counted.input_tokens < 1050
    assert "claude-opus-4-6" in [model.id for model in client().models.list()]


@pytest.mark.parametrize(
    ("fault", "error", "status", "kind"),
    [
        ("401", AuthenticationError, 401, "authentication_error"),
        ("403", APIStatusError, 403, "permission_error"),
        ("nomodel", NotFoundError, 404, "not_found_error"),
        ("429r7", RateLimitError, 429, "rate_limit_error"),
        ("500", APIStatusError, 500, "api_error"),
        ("529", APIStatusError, 529, "overloaded_error"),
        ("toolong", BadRequestError, 400, "invalid_request_error"),
        ("nocredit", BadRequestError, 400, "invalid_request_error"),
    ],
)
def test_a_refusal_is_the_sdks_own_error(
    client: Client, fault: str, error: type[APIStatusError], status: int, kind: str
) -> None:
    for asking in (create, streamed):
        with pytest.raises(error) as caught:
            asking(client(fault), "hello")
        assert caught.value.status_code == status
        assert caught.value.body["error"]["type"] == kind  # type: ignore[index,call-overload]
        assert caught.value.request_id.startswith("req_")  # type: ignore[union-attr]


def test_a_used_up_subscription_tells_when_it_resets(client: Client, sim: Sim) -> None:
    with pytest.raises(RateLimitError) as caught:
        create(client("429s3600"), "hello")
    headers = caught.value.response.headers
    assert headers["anthropic-ratelimit-unified-status"] == "rejected"
    assert headers["anthropic-ratelimit-unified-representative-claim"] == "five_hour"
    assert int(headers["anthropic-ratelimit-unified-reset"]) == int(sim.requests[-1].at) + 3600
    assert headers["retry-after"] == "3600"


def test_a_stream_that_turns_bad_raises_the_overload(client: Client) -> None:
    with pytest.raises(APIStatusError, match="Overloaded"):
        streamed(client("streamerror"), "hello")


def test_what_the_real_api_refuses_is_refused(client: Client) -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "write", "input": {}}
    left_open = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": "and?"},
    ]
    with pytest.raises(BadRequestError, match="toolu_1"):
        create(client(), left_open)
    with pytest.raises(BadRequestError, match="budget_tokens"):
        create(client(), "hello", max_tokens=1000, thinking=THINKING)
    with pytest.raises(NotFoundError, match="nosuch-model"):
        client().messages.create(model="nosuch-model", max_tokens=10, messages=[{"role": "user", "content": "hi"}])
