"""OpenAI Chat Completions, which OpenRouter, Ollama, vLLM and many more speak too."""

from __future__ import annotations

from collections.abc import Iterator

from conductor.domain.usage import Usage
from conductor.testing.sim.asked import Asked, Json, Reply, Tool, Turn, records_of, texts_of
from conductor.testing.sim.telling import Event

NAME = "chat"
_INSTRUCTING = ("system", "developer")


def read(body: Json, path: str) -> Asked:
    messages = records_of(body.get("messages"))
    told = [texts_of(message.get("content")) for message in messages if message.get("role") in _INSTRUCTING]
    return Asked(
        model=str(body.get("model", "")),
        turns=tuple(_turn(message) for message in messages if message.get("role") not in _INSTRUCTING),
        streamed=bool(body.get("stream")),
        instructions="\n".join(told),
        tools=tuple(_tool(tool) for tool in records_of(body.get("tools"))),
        schema=_schema(body.get("response_format") or {}),
        most_output=body.get("max_completion_tokens") or body.get("max_tokens"),
        counts_stream=bool((body.get("stream_options") or {}).get("include_usage")),
    )


def _schema(wanted: Json) -> Json | None:
    if not str(wanted.get("type", "")).startswith("json"):
        return None
    return (wanted.get("json_schema") or {}).get("schema") or {}


def _tool(tool: Json) -> Tool:
    function = tool.get("function") or tool
    return Tool(str(function.get("name", "")), function.get("parameters") or {})


def _turn(message: Json) -> Turn:
    text = texts_of(message.get("content"))
    if message.get("role") in ("tool", "function"):
        return Turn(by_model=False, results=(text,))
    calls = len(records_of(message.get("tool_calls")))
    return Turn(message.get("role") == "assistant", text, calls)


def whole(reply: Reply) -> Json:
    answer = reply.answer
    message: Json = {"role": "assistant", "content": None if answer.calls else answer.text, "refusal": None}
    if answer.calls:
        message["tool_calls"] = _calls(reply)
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(reply)}
    return {**_head(reply), "object": "chat.completion", "choices": [choice], "usage": _usage(reply.usage)}


def _head(reply: Reply) -> Json:
    return {"id": f"chatcmpl-{reply.id}", "created": reply.created, "model": reply.asked.model}


def _calls(reply: Reply) -> list[Json]:
    return [
        {
            "id": f"call_{call_id}",
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for call_id, call in reply.calls
    ]


def _finish(reply: Reply) -> str:
    if reply.answer.calls:
        return "tool_calls"
    return "length" if reply.answer.cut else "stop"


def _usage(usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def events(reply: Reply) -> Iterator[Event]:
    yield _chunk(reply, {"role": "assistant", "content": ""})
    for index, call in enumerate(_calls(reply)):
        yield _chunk(reply, {"tool_calls": [{"index": index, **call}]}, is_answer=True)
    if not reply.answer.calls:
        for piece in reply.pieces:
            yield _chunk(reply, {"content": piece}, is_answer=True)
    yield _chunk(reply, {}, finish=_finish(reply))
    if reply.asked.counts_stream:
        yield Event({**_head(reply), "object": "chat.completion.chunk", "choices": [], "usage": _usage(reply.usage)})
    yield Event("[DONE]")


def _chunk(reply: Reply, delta: Json, is_answer: bool = False, finish: str | None = None) -> Event:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body: Json = {**_head(reply), "object": "chat.completion.chunk", "choices": [choice]}
    if reply.asked.counts_stream:
        body["usage"] = None
    return Event(body, is_answer=is_answer)
