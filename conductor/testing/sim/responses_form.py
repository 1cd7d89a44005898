"""The OpenAI Responses API, as Codex and the OpenAI SDKs use it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, groupby

from conductor.domain.usage import Usage
from conductor.testing.sim.asked import Asked, Call, Json, Reply, Tool, Turn, records_of, texts_of
from conductor.testing.sim.telling import Event

NAME = "responses"
_BY_MODEL = ("reasoning", "function_call", "custom_tool_call", "local_shell_call")


def read(body: Json, path: str) -> Asked:
    given = body.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else records_of(given)
    told = [texts_of(item.get("content")) for item in items if item.get("role") in ("system", "developer")]
    said = [item for item in items if item.get("role") not in ("system", "developer")]
    wanted = (body.get("text") or {}).get("format") or {}
    return Asked(
        model=str(body.get("model", "")),
        turns=_turns(said),
        streamed=bool(body.get("stream")),
        instructions="\n".join([str(body.get("instructions") or ""), *told]),
        tools=tuple(_tool(tool) for tool in records_of(body.get("tools"))),
        schema=wanted.get("schema", {}) if str(wanted.get("type", "")).startswith("json") else None,
        thinks=bool((body.get("reasoning") or {}).get("summary")),
        most_output=body.get("max_output_tokens"),
    )


def _tool(tool: Json) -> Tool:
    name = str(tool.get("name") or tool.get("type"))
    return Tool(name, tool.get("parameters") or {}, custom=tool.get("type") == "custom")


def _turns(items: list[Json]) -> tuple[Turn, ...]:
    """Neighbouring items of one side are one turn: a text beside a tool call does not end an exchange."""
    return tuple(_turn(by_model, list(group)) for by_model, group in groupby(items, _is_by_model))


def _is_by_model(item: Json) -> bool:
    return item.get("role") == "assistant" or item.get("type") in _BY_MODEL


def _turn(by_model: bool, items: list[Json]) -> Turn:
    kinds = [str(item.get("type", "")) for item in items]
    return Turn(
        by_model,
        text="\n".join(text for item in items if (text := texts_of(item.get("content")))),
        calls=sum(kind.endswith("_call") for kind in kinds),
        results=tuple(_output(item) for item, kind in zip(items, kinds, strict=True) if kind.endswith("_call_output")),
    )


def _output(item: Json) -> str:
    output = item.get("output")
    return str(output.get("content", "")) if isinstance(output, dict) else texts_of(output)


def whole(reply: Reply) -> Json:
    ended: Json = {"status": "completed"}
    if reply.answer.cut:
        ended = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    return {**_response(reply), **ended, "output": _output_items(reply), "usage": _usage(reply.usage)}


def _response(reply: Reply) -> Json:
    return {
        "id": f"resp_{reply.id}",
        "object": "response",
        "created_at": reply.created,
        "status": "in_progress",
        "model": reply.asked.model,
        "output": [],
        "parallel_tool_calls": False,
        "tools": [],
        "tool_choice": "auto",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
    }


def _usage(usage: Usage) -> Json:
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
    }


def _output_items(reply: Reply) -> list[Json]:
    answer = reply.answer
    found: list[Json] = []
    if answer.thinking and reply.asked.thinks:
        summary = [{"type": "summary_text", "text": answer.thinking}]
        found.append({"type": "reasoning", "id": f"rs_{reply.id}", "summary": summary})
    found += [_call_item(call_id, call) for call_id, call in reply.calls]
    if not answer.calls:
        content = [{"type": "output_text", "text": answer.text, "annotations": []}]
        message = {"type": "message", "id": f"msg_{reply.id}", "role": "assistant", "content": content}
        found.append({**message, "status": "incomplete" if answer.cut else "completed"})
    return found


def _call_item(call_id: str, call: Call) -> Json:
    kind, key = ("custom_tool_call", "input") if call.custom else ("function_call", "arguments")
    head = {"type": kind, "id": f"fc_{call_id}", "call_id": f"call_{call_id}", "name": call.name}
    return {**head, key: call.arguments, "status": "completed"}


def events(reply: Reply) -> Iterator[Event]:
    numbers = count()
    for event in _unnumbered(reply):
        assert isinstance(event.body, dict)
        body = {"type": event.name, "sequence_number": next(numbers), **event.body}
        yield Event(body, event.name, event.is_answer)


def _unnumbered(reply: Reply) -> Iterator[Event]:
    yield Event({"response": _response(reply)}, "response.created")
    yield Event({"response": _response(reply)}, "response.in_progress")
    for index, item in enumerate(_output_items(reply)):
        place: Json = {"item_id": item["id"], "output_index": index}
        empty = {key: ([] if key in ("content", "summary") else "") for key in _growing(item)}
        begun = {**item, **empty}
        if "status" in item:
            begun["status"] = "in_progress"
        yield Event({"output_index": index, "item": begun}, "response.output_item.added")
        yield from _item_events(item, place, reply)
        yield Event({"output_index": index, "item": item}, "response.output_item.done")
    ended = whole(reply)
    yield Event({"response": ended}, f"response.{ended['status']}")


def _growing(item: Json) -> list[str]:
    return [key for key in ("content", "summary", "arguments", "input") if key in item]


def _item_events(item: Json, place: Json, reply: Reply) -> Iterator[Event]:
    match item["type"]:
        case "message":
            yield from _message_events(item, {**place, "content_index": 0}, reply)
        case "reasoning":
            part, at = item["summary"][0], {**place, "summary_index": 0}
            name = "response.reasoning_summary"
            yield Event({**at, "part": {**part, "text": ""}}, f"{name}_part.added")
            yield Event({**at, "delta": part["text"]}, f"{name}_text.delta")
            yield Event({**at, "text": part["text"]}, f"{name}_text.done")
            yield Event({**at, "part": part}, f"{name}_part.done")
        case "custom_tool_call":
            yield Event({**place, "delta": item["input"]}, "response.custom_tool_call_input.delta", is_answer=True)
            yield Event({**place, "input": item["input"]}, "response.custom_tool_call_input.done")
        case _:
            given = item["arguments"]
            yield Event({**place, "delta": given}, "response.function_call_arguments.delta", is_answer=True)
            yield Event({**place, "arguments": given}, "response.function_call_arguments.done")


def _message_events(item: Json, place: Json, reply: Reply) -> Iterator[Event]:
    part = item["content"][0]
    yield Event({**place, "part": {**part, "text": ""}}, "response.content_part.added")
    for piece in reply.pieces:
        yield Event({**place, "delta": piece}, "response.output_text.delta", is_answer=True)
    yield Event({**place, "text": part["text"]}, "response.output_text.done")
    yield Event({**place, "part": part}, "response.content_part.done")


def models() -> Json:
    names = ("gpt-5", "gpt-5-codex", "gpt-5-mini", "sim-model")
    entries = [{"id": name, "object": "model", "created": 1_767_225_600, "owned_by": "simulated"} for name in names]
    return {"object": "list", "data": entries, "models": []}
