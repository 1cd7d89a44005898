"""generateContent and streamGenerateContent, over raw HTTP."""

from __future__ import annotations

import json

from conductor.testing.sim import Sim
from tests.sim.asking import ask, gemini, schema

MODEL = "/v1beta/models/gemini-x"
WRITE_FILE = {"name": "write_file", "parametersJsonSchema": schema(file_path="string", content="string")}
TOOLS = [{"functionDeclarations": [WRITE_FILE]}]


def test_a_prompt_is_answered_whole_and_as_a_stream(sim: Sim) -> None:
    whole = ask(f"{sim.url}{MODEL}:generateContent", gemini("[[say one two]]")).json
    assert whole["candidates"][0]["content"]["parts"] == [{"text": "one two"}]
    assert whole["candidates"][0]["finishReason"] == "STOP"
    usage = whole["usageMetadata"]
    assert usage["totalTokenCount"] == usage["promptTokenCount"] + usage["candidatesTokenCount"]

    events = ask(f"{sim.url}{MODEL}:streamGenerateContent?alt=sse", gemini("[[say one two]]")).events
    parts = [event["candidates"][0]["content"]["parts"][0]["text"] for event in events]
    assert "".join(parts) == "one two"
    assert events[-1]["candidates"][0]["finishReason"] == "STOP"
    assert ask(f"{sim.url}{MODEL}:streamGenerateContent", gemini("[[say one two]]")).json[0]["responseId"]


def test_a_function_is_called_in_the_folder_that_was_told_and_its_response_ends_it(sim: Sim) -> None:
    prompt = "I'm currently working in the directory: /srv/tree/tree\n[[write a.txt hi]]"
    body = gemini(prompt, tools=TOOLS)
    content = ask(f"{sim.url}{MODEL}:generateContent", body).json["candidates"][0]["content"]
    call = content["parts"][0]["functionCall"]
    assert (call["name"], call["args"]) == ("write_file", {"file_path": "/srv/tree/tree/a.txt", "content": "hi\n"})
    given = {"functionResponse": {"id": call["id"], "name": "write_file", "response": {"output": "created"}}}
    body["contents"] += [content, {"role": "user", "parts": [given]}]
    parts = ask(f"{sim.url}{MODEL}:generateContent", body).json["candidates"][0]["content"]["parts"]
    assert parts == [{"text": "Wrote a.txt: created"}]


def test_functions_are_called_together_and_answers_cut(sim: Sim) -> None:
    body = gemini("[[write a x]] [[write b y]] [[together]]", tools=TOOLS)
    for answer in (
        ask(f"{sim.url}{MODEL}:generateContent", body).json,
        ask(f"{sim.url}{MODEL}:streamGenerateContent?alt=sse", body).events[-1],
    ):
        parts = answer["candidates"][0]["content"]["parts"]
        assert [part["functionCall"]["args"]["file_path"] for part in parts] == ["a", "b"]
    short = gemini("[[say one two three]]", generationConfig={"maxOutputTokens": 1})
    assert ask(f"{sim.url}{MODEL}:generateContent", short).json["candidates"][0]["finishReason"] == "MAX_TOKENS"


def test_thoughts_come_first_and_are_counted_when_wanted(sim: Sim) -> None:
    config = {"thinkingConfig": {"includeThoughts": True}}
    answer = ask(f"{sim.url}{MODEL}:generateContent", gemini("[[say x]]", generationConfig=config)).json
    parts = answer["candidates"][0]["content"]["parts"]
    assert [part.get("thought", False) for part in parts] == [True, False]
    assert answer["usageMetadata"]["thoughtsTokenCount"] > 0


def test_a_side_call_that_wants_json_gets_json_of_its_schema(sim: Sim) -> None:
    wanted = {"type": "OBJECT", "properties": {"next_speaker": {"type": "STRING", "enum": ["user", "model"]}}}
    config = {"responseMimeType": "application/json", "responseSchema": wanted}
    parts = ask(f"{sim.url}{MODEL}:generateContent", gemini("who?", generationConfig=config)).json["candidates"][0]
    assert json.loads(parts["content"]["parts"][0]["text"]) == {"next_speaker": "user"}


def test_tokens_and_models_and_errors_are_geminis(sim: Sim) -> None:
    assert ask(f"{sim.url}{MODEL}:countTokens", gemini("x" * 4000)).json["totalTokens"] > 1000
    assert ask(f"{sim.url}/v1beta/models").json["models"][0]["name"].startswith("models/gemini")
    short = ask(f"{sim.faulty('429r7')}{MODEL}:generateContent", gemini("hi"))
    assert short.json["error"]["status"] == "RESOURCE_EXHAUSTED"
    assert short.json["error"]["details"][1]["retryDelay"] == "7s"
    long = ask(f"{sim.faulty('429s3600')}{MODEL}:generateContent", gemini("hi"))
    assert "PerDay" in long.json["error"]["details"][0]["violations"][0]["quotaId"]
    missing = ask(f"{sim.url}/v1beta/models/nosuch:generateContent", gemini("hi"))
    assert (missing.status, missing.json["error"]["status"]) == (404, "NOT_FOUND")
