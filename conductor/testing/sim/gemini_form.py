"""Gemini's generateContent and streamGenerateContent."""

from __future__ import annotations

import re
from collections.abc import Iterator

from conductor.domain.usage import Usage
from conductor.testing.sim.asked import Asked, Json, Reply, Tool, Turn, records_of, texts_of
from conductor.testing.sim.telling import Event

NAME = "gemini"
MODELS = ("gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite", "sim-model")


def read(body: Json, path: str) -> Asked:
    config = body.get("generationConfig") or {}
    as_json = config.get("responseMimeType") == "application/json"
    found = re.search(r"models/([^:/]+)", path)
    contents = body.get("contents")
    return Asked(
        model=found[1] if found else "",
        turns=tuple(_turn(one) for one in records_of([contents] if isinstance(contents, dict) else contents)),
        streamed=":streamGenerateContent" in path,
        instructions=_instructions(body.get("systemInstruction") or body.get("system_instruction")),
        tools=tuple(_tools(body)),
        schema=(config.get("responseJsonSchema") or config.get("responseSchema") or {}) if as_json else None,
        thinks=bool((config.get("thinkingConfig") or {}).get("includeThoughts")),
        most_output=config.get("maxOutputTokens"),
    )


def _instructions(given: object) -> str:
    return texts_of(given.get("parts")) if isinstance(given, dict) else texts_of(given)


def _tools(body: Json) -> Iterator[Tool]:
    for group in records_of(body.get("tools")):
        for one in records_of(group.get("functionDeclarations") or group.get("function_declarations")):
            yield Tool(str(one.get("name", "")), one.get("parametersJsonSchema") or one.get("parameters") or {})


def _turn(content: Json) -> Turn:
    parts = records_of(content.get("parts"))
    return Turn(
        by_model=content.get("role") == "model",
        text="\n".join(str(part["text"]) for part in parts if part.get("text") and not part.get("thought")),
        calls=sum("functionCall" in part for part in parts),
        results=tuple(_result(part["functionResponse"]) for part in parts if "functionResponse" in part),
    )


def _result(response: Json) -> str:
    given = response.get("response") or {}
    return str(given.get("output") or given.get("result") or given.get("error") or "")


def whole(reply: Reply) -> Json:
    return _chunk(reply, _parts(reply), finish=_finish(reply))


def _parts(reply: Reply) -> list[Json]:
    answer = reply.answer
    thought: list[Json] = [{"text": answer.thinking, "thought": True}] if _shows_thoughts(reply) else []
    if not answer.calls:
        return [*thought, {"text": answer.text}]
    return [
        *thought,
        *(
            {"functionCall": {"id": f"call_{call_id}", "name": call.name, "args": call.object}}
            for call_id, call in reply.calls
        ),
    ]


def _finish(reply: Reply) -> str:
    return "MAX_TOKENS" if reply.answer.cut else "STOP"


def _shows_thoughts(reply: Reply) -> bool:
    return bool(reply.answer.thinking) and reply.asked.thinks


def _chunk(reply: Reply, parts: list[Json], finish: str = "") -> Json:
    candidate: Json = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {
        "candidates": [candidate],
        "usageMetadata": _usage(reply.usage),
        "modelVersion": reply.asked.model,
        "responseId": reply.id,
    }


def _usage(usage: Usage) -> Json:
    return {
        "promptTokenCount": usage.input + usage.cached,
        "candidatesTokenCount": usage.output - usage.reasoning,
        "thoughtsTokenCount": usage.reasoning,
        "cachedContentTokenCount": usage.cached,
        "totalTokenCount": usage.total,
    }


def events(reply: Reply) -> Iterator[Event]:
    parts = _parts(reply)
    if _shows_thoughts(reply):
        yield Event(_chunk(reply, [parts.pop(0)]))
    if reply.answer.calls:
        yield Event(_chunk(reply, parts, finish=_finish(reply)), is_answer=True)
        return
    for piece in reply.pieces:
        yield Event(_chunk(reply, [{"text": piece}]), is_answer=True)
    yield Event(_chunk(reply, [{"text": ""}], finish=_finish(reply)))


def counted(tokens: int) -> Json:
    return {"totalTokens": tokens}


def models() -> Json:
    methods = ["generateContent", "countTokens"]
    entries = [
        {
            "name": f"models/{name}",
            "displayName": f"{name} (simulated)",
            "inputTokenLimit": 1_048_576,
            "outputTokenLimit": 65_536,
            "supportedGenerationMethods": methods,
        }
        for name in MODELS
    ]
    return {"models": entries}
