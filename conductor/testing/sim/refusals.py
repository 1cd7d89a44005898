"""How each protocol says no: the bodies and headers of its errors, as the providers send them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from conductor.testing.sim.asked import Json
from conductor.testing.sim.faults import Fault
from conductor.testing.sim.telling import Event

Headers = dict[str, str]
HOUR_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Refusal:
    status: int
    body: Json
    headers: Headers


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What an error speaks of: `now` in seconds since 1970, `tokens` of the request."""

    model: str
    request_id: str
    now: float
    tokens: int = 0


def refuse(form: str, fault: Fault, about: Circumstances) -> Refusal:
    """The error of `fault` in the words of `form`."""
    status = fault.status or 500
    body, headers = _SPEAKERS[form](status, fault, about)
    wait = fault.retry_after if fault.retry_after is not None else fault.resets_in
    retry = {"retry-after": str(wait)} if wait is not None else {}
    told = {"request-id": about.request_id, "x-request-id": about.request_id, **headers, **retry}
    return Refusal(_openai_status(status, fault) if form in _OPENAI else status, body, told)


def broken_off(form: str, about: Circumstances) -> Event:
    """The event by which a stream that began well tells that the provider is overloaded after all."""
    body = refuse(form, Fault("529"), about).body
    if form == "anthropic":
        return Event(body, "error")
    if form != "responses":
        return Event(body)
    error = {"code": "server_error", "message": body["error"]["message"]}
    failed = {"id": f"resp_{about.request_id}", "object": "response", "status": "failed", "output": [], "error": error}
    return Event({"type": "response.failed", "sequence_number": 99, "response": failed}, "response.failed")


def refuse_path(form: str, path: str) -> Refusal:
    """The answer for a path that nothing lives at."""
    message = f"Not found: {path}"
    if form == "gemini":
        return Refusal(404, {"error": {"code": 404, "message": message, "status": "NOT_FOUND"}}, {})
    return Refusal(404, {"type": "error", "error": {"type": "not_found_error", "message": message, "code": 404}}, {})


def bad_request(form: str, message: str, request_id: str) -> Refusal:
    """What a request that breaks the protocol's rules gets."""
    if form == "gemini":
        return Refusal(400, {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}, {})
    error: Json = {"type": "invalid_request_error", "message": message}
    if form in _OPENAI:
        return Refusal(400, {"error": {**error, "param": None, "code": None}}, {})
    return Refusal(400, {"type": "error", "error": error, "request_id": request_id}, {})


_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def _anthropic(status: int, fault: Fault, about: Circumstances) -> tuple[Json, Headers]:
    words = {
        400: "simulated: the request is not valid",
        401: "invalid x-api-key",
        403: "Your API key does not have permission to use the specified resource.",
        404: f"model: {about.model}",
        429: "This request would exceed your account's rate limit. Please try again later.",
        500: "Internal server error",
        529: "Overloaded",
    }
    message = words.get(status, f"simulated error {status}")
    if fault.kind == "toolong":
        message = f"prompt is too long: {max(about.tokens, 200_001)} tokens > 200000 maximum"
    if fault.kind == "nocredit":
        message = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing."
    error = {"type": _ANTHROPIC_TYPES.get(status, "api_error"), "message": message}
    return {"type": "error", "error": error, "request_id": about.request_id}, _unified(fault, about.now)


def warning(form: str, fault: Fault, now: float) -> Headers:
    """Headers of a good answer that tell how far a limit is used; none but for the fault `warn`."""
    if fault.kind != "warn":
        return {}
    resets_in = fault.resets_in or HOUR_SECONDS
    if form == "anthropic":
        surpassed = {"anthropic-ratelimit-unified-5h-surpassed-threshold": "0.9"}
        return {**_unified_headers("allowed_warning", "0.9", int(now) + resets_in), **surpassed}
    return _codex_headers(90, int(now) + resets_in) if form in _OPENAI else {}


def _unified(fault: Fault, now: float) -> Headers:
    """The headers of a subscription whose five hours are used up."""
    if fault.resets_in is None:
        return {}
    overage = {"overage-status": "rejected", "overage-disabled-reason": "out_of_credits"}
    headers = {f"anthropic-ratelimit-unified-{name}": fact for name, fact in overage.items()}
    return {**_unified_headers("rejected", "1.0", int(now) + fault.resets_in), **headers}


def _unified_headers(status: str, used: str, reset: int) -> Headers:
    """`used` of the five hours, from 0 to 1; `reset` in seconds since 1970."""
    facts = {
        "status": status,
        "reset": str(reset),
        "representative-claim": "five_hour",
        "fallback-percentage": "0.5",
        "5h-status": status,
        "5h-reset": str(reset),
        "5h-utilization": used,
        "7d-status": "allowed",
        "7d-reset": str(reset + 6 * 24 * HOUR_SECONDS),
        "7d-utilization": "0.04",
    }
    return {f"anthropic-ratelimit-unified-{name}": fact for name, fact in facts.items()}


def _codex_headers(percent: int, reset: int) -> Headers:
    """How Codex is told of a subscription's five hours."""
    return {
        "x-codex-primary-used-percent": str(percent),
        "x-codex-primary-window-minutes": str(5 * HOUR_SECONDS // 60),
        "x-codex-primary-reset-at": str(reset),
    }


def _openai_status(status: int, fault: Fault) -> int:
    return 429 if fault.kind == "nocredit" else status


def _openai(status: int, fault: Fault, about: Circumstances) -> tuple[Json, Headers]:
    if fault.kind == "toolong":
        return _openai_error("Your input exceeds the context window of this model.", code="context_length_exceeded"), {}
    if fault.kind == "nocredit":
        message = "You exceeded your current quota, please check your plan and billing details."
        return _openai_error(message, "insufficient_quota", "insufficient_quota"), {}
    if status == 429:
        return _openai_limit(fault, about)
    message, kind, code = {
        401: ("Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
        403: ("You do not have access to this resource.", "invalid_request_error", "forbidden"),
        404: (
            f"The model `{about.model}` does not exist or you do not have access to it.",
            "invalid_request_error",
            "model_not_found",
        ),
        503: ("The engine is currently overloaded, please try again later.", "server_error", "server_overloaded"),
        529: ("The engine is currently overloaded, please try again later.", "server_error", "server_overloaded"),
    }.get(status, (f"simulated error {status}", "server_error" if status >= 500 else "invalid_request_error", None))
    return _openai_error(message, kind, code), {}


def _openai_error(message: str, kind: str = "invalid_request_error", code: str | None = None) -> Json:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _openai_limit(fault: Fault, about: Circumstances) -> tuple[Json, Headers]:
    if fault.resets_in is None:
        wait = fault.retry_after if fault.retry_after is not None else 1
        message = f"Rate limit reached for {about.model} on requests per min (RPM). Please try again in {wait}s."
        headers = {
            "x-ratelimit-limit-requests": "500",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": f"{wait}s",
        }
        return _openai_error(message, "requests", "rate_limit_exceeded"), headers
    reset = int(about.now) + fault.resets_in
    error = {
        "type": "usage_limit_reached",
        "message": "The usage limit has been reached",
        "plan_type": "plus",
        "resets_at": reset,
        "resets_in_seconds": fault.resets_in,
    }
    headers = {
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": f"{fault.resets_in}s",
        "x-codex-primary-reset-after-seconds": str(fault.resets_in),
        **_codex_headers(100, reset),
    }
    return {"error": error}, headers


_GEMINI_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    504: "DEADLINE_EXCEEDED",
}


def _gemini(status: int, fault: Fault, about: Circumstances) -> tuple[Json, Headers]:
    words = {
        401: "Request had invalid authentication credentials.",
        403: "The caller does not have permission.",
        404: f"models/{about.model} is not found for API version v1beta, or is not supported for generateContent.",
        429: "You exceeded your current quota, please check your plan and billing details.",
        500: "An internal error has occurred.",
        503: "The model is overloaded. Please try again later.",
        529: "The model is overloaded. Please try again later.",
    }
    message = words.get(status, f"simulated error {status}")
    if fault.kind == "toolong":
        tokens = max(about.tokens, 1_048_577)
        message = f"The input token count ({tokens}) exceeds the maximum number of tokens allowed (1048576)."
    error: Json = {"code": status, "message": message, "status": _GEMINI_STATUS.get(status, "UNAVAILABLE")}
    if status == 429:
        error["details"] = _gemini_details(fault)
    return {"error": error}, {}


def _gemini_details(fault: Fault) -> list[Json]:
    period = "PerDay" if fault.resets_in is not None else "PerMinute"
    quota = {
        "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
        "quotaId": f"GenerateRequests{period}PerProjectPerModel-FreeTier",
    }
    details: list[Json] = [{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [quota]}]
    wait = fault.resets_in if fault.resets_in is not None else fault.retry_after
    if wait is not None:
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{wait}s"})
    return details


_OPENAI = ("responses", "chat")
_SPEAKERS: dict[str, Callable[[int, Fault, Circumstances], tuple[Json, Headers]]] = {
    "anthropic": _anthropic,
    "responses": _openai,
    "chat": _openai,
    "gemini": _gemini,
}
