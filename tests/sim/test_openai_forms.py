"""Responses and Chat Completions, over raw HTTP."""

from __future__ import annotations

import json
from typing import Any

from conductor.testing.sim import Sim
from tests.sim.asking import ask, chat, responses, schema

SHELL = {"type": "function", "name": "exec_command", "parameters": schema(cmd="string")}
WRITE = {"type": "function", "function": {"name": "write", "parameters": schema(path="string", content="string")}}


def respond(sim: Sim, body: Any) -> Any:
    return ask(sim.url + "/v1/responses", body).json


def test_responses_say_what_they_are_told(sim: Sim) -> None:
    answer = respond(sim, responses("[[say good morning]]"))
    assert answer["output"][0]["content"][0]["text"] == "good morning"
    assert answer["status"] == "completed"
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def test_a_stream_of_responses_ends_with_the_whole_response(sim: Sim) -> None:
    body = responses("[[say one two three]]", stream=True, reasoning={"summary": "auto"})
    got = ask(sim.url + "/v1/responses", body)
    events = got.events
    assert got.headers["content-type"].startswith("text/event-stream")
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[0]["type"] == "response.created"
    assert events[-1]["type"] == "response.completed"
    deltas = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    assert "".join(deltas) == "one two three"
    assert [item["type"] for item in events[-1]["response"]["output"]] == ["reasoning", "message"]
    added = [event["item"] for event in events if event["type"] == "response.output_item.added"]
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert [item["id"] for item in added] == [item["id"] for item in done]
    assert done == events[-1]["response"]["output"]


def test_responses_call_the_shell_and_recognise_its_output(sim: Sim) -> None:
    body = responses("[[write d/a.txt hi]]", tools=[SHELL])
    call = respond(sim, body)["output"][0]
    command = json.loads(call["arguments"])["cmd"]
    assert command == "mkdir -p d && printf %s 'hi\n' > d/a.txt"
    note = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I call it"}]}
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "fine"}
    body["input"] += [note, {"type": "reasoning", "summary": []}, call, output]
    assert respond(sim, body)["output"][0]["content"][0]["text"] == "Wrote d/a.txt: fine"


def test_a_patch_tool_of_free_text_gets_a_patch(sim: Sim) -> None:
    body = responses("[[write a.txt hi]]", tools=[{"type": "custom", "name": "apply_patch"}], stream=True)
    events = ask(sim.url + "/v1/responses", body).events
    call = events[-1]["response"]["output"][0]
    assert call["type"] == "custom_tool_call"
    assert call["input"] == "*** Begin Patch\n*** Add File: a.txt\n+hi\n*** End Patch\n"
    body["input"] += [call, {"type": "custom_tool_call_output", "call_id": call["call_id"], "output": "Success"}]
    assert "Wrote a.txt: Success" in ask(sim.url + "/v1/responses", body).raw.decode()


def test_responses_of_a_given_schema_are_json_of_it(sim: Sim) -> None:
    wanted = {"format": {"type": "json_schema", "name": "x", "schema": schema(title="string", ok="boolean")}}
    text = respond(sim, responses("a title", text=wanted))["output"][0]["content"][0]["text"]
    assert json.loads(text)["ok"] is True


def test_chat_says_calls_and_ends(sim: Sim) -> None:
    body = chat("[[write a.txt hi]] [[say done]]", tools=[WRITE])
    choice = ask(sim.url + "/v1/chat/completions", body).json["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    call = choice["message"]["tool_calls"][0]
    assert json.loads(call["function"]["arguments"]) == {"path": "a.txt", "content": "hi\n"}
    body["messages"] += [choice["message"], {"role": "tool", "tool_call_id": call["id"], "content": "ok"}]
    choice = ask(sim.url + "/v1/chat/completions", body).json["choices"][0]
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"] == "done\nWrote a.txt: ok"


def test_a_chat_stream_tells_usage_at_its_end_when_it_is_wanted(sim: Sim) -> None:
    for wanted in (True, False):
        body = chat("[[say a b c]]", stream=True, stream_options={"include_usage": wanted})
        got = ask(sim.url + "/v1/chat/completions", body)
        assert got.raw.endswith(b"data: [DONE]\n\n")
        texts = [event["choices"][0]["delta"].get("content", "") for event in got.events if event["choices"]]
        assert "".join(texts) == "a b c"
        last = got.events[-1]
        assert (last["choices"] == [] and last["usage"]["total_tokens"] > 0) is wanted


def test_a_streamed_chat_call_carries_its_arguments(sim: Sim) -> None:
    body = chat("[[write a.txt hi]]", tools=[WRITE], stream=True)
    deltas = [event["choices"][0]["delta"] for event in ask(sim.url + "/v1/chat/completions", body).events]
    call = next(delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta)
    assert call["index"] == 0
    assert json.loads(call["function"]["arguments"])["path"] == "a.txt"


def test_tools_can_be_called_together(sim: Sim) -> None:
    prompt = "[[run one]] [[run two]] [[together]]"
    items = respond(sim, responses(prompt, tools=[SHELL]))["output"]
    assert [json.loads(item["arguments"])["cmd"] for item in items] == ["one", "two"]
    assert items[0]["call_id"] != items[1]["call_id"]
    body = chat("[[write a x]] [[write b y]] [[together]]", tools=[WRITE], stream=True)
    deltas = [event["choices"][0]["delta"] for event in ask(sim.url + "/v1/chat/completions", body).events]
    calls = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    assert [call["index"] for call in calls] == [0, 1]
    assert calls[0]["id"] != calls[1]["id"]


def test_an_answer_is_cut_at_the_tokens_that_it_may_have(sim: Sim) -> None:
    prompt = "[[say one two three four]]"
    choice = ask(sim.url + "/v1/chat/completions", chat(prompt, max_tokens=2)).json["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("one two ", "length")
    events = ask(sim.url + "/v1/responses", responses(prompt, max_output_tokens=2, stream=True)).events
    assert events[-1]["type"] == "response.incomplete"
    assert events[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


def test_json_of_any_kind_is_json(sim: Sim) -> None:
    body = chat("[[say hello]]", response_format={"type": "json_object"})
    content = ask(sim.url + "/v1/chat/completions", body).json["choices"][0]["message"]["content"]
    assert json.loads(content) == {"answer": "hello"}


def test_limits_speak_as_openai_does(sim: Sim) -> None:
    for path, body in (("/v1/responses", responses("hi")), ("/v1/chat/completions", chat("hi"))):
        short = ask(sim.faulty("429r7") + path, body)
        assert (short.status, short.headers["retry-after"]) == (429, "7")
        assert short.json["error"]["code"] == "rate_limit_exceeded"
        assert short.headers["x-ratelimit-remaining-requests"] == "0"
        long = ask(sim.faulty("429s3600") + path, body)
        error = long.json["error"]
        assert (error["type"], error["resets_in_seconds"]) == ("usage_limit_reached", 3600)
        assert error["resets_at"] == int(long.headers["x-codex-primary-reset-at"])


def test_the_models_of_openai_are_listed(sim: Sim) -> None:
    listed = ask(sim.url + "/v1/models").json
    assert "gpt-5" in [model["id"] for model in listed["data"]]
    assert ask(sim.faulty("401") + "/v1/models").status == 401


def test_a_websocket_is_told_to_use_plain_http(sim: Sim) -> None:
    got = ask(sim.url + "/v1/responses", headers={"upgrade": "websocket", "connection": "upgrade"})
    assert got.status == 426
