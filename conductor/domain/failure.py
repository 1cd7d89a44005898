"""Why an attempt failed, as a class: what is done about it follows from the class alone."""

from __future__ import annotations

from enum import StrEnum


class Failure(StrEnum):
    """The class of a failure."""

    NONE = ""
    """None, or an agent's own failure that fits no other."""
    # transient: the same again, later
    NETWORK = "network"
    """The provider could not be reached, or the connection broke: again, later."""
    OVERLOAD = "overload"
    """The provider is overloaded: again, later or with a fallback."""
    LIMIT = "limit"
    """A limit of the account or key: its tasks wait until it resets, `conductor limits` shows when."""
    # recoverable: again, perhaps with another model
    CONTEXT = "context"
    """What the model had to read became longer than it can: again, with a fallback where there is one."""
    TIMEOUT = "timeout"
    """It was stopped at its time limit: again."""
    STALLED = "stalled"
    """It said nothing for stall_timeout: again."""
    # permanent: somebody must change something first
    BAD_KEY = "bad_key"
    """The provider does not take the key or login: put it right, `conductor agents` shows where it is."""
    BAD_MODEL = "bad_model"
    """The provider has no such model, or not for this account: name another."""
    BAD_REQUEST = "bad_request"
    """The provider refused what was sent; the same again would be refused again."""
    BAD_CONFIG = "bad_config"
    """The agent can't run as it is set up: put its settings right."""
    # the others stand alone
    BUDGET = "budget"
    """A budget of money, tokens or runs is used up."""
    DENIED = "denied"
    """The agent was refused a tool or a path, and ended without what it was asked for."""
    EMPTY = "empty"
    """It ended well and said nothing."""
    CUT = "cut"
    """Its answer broke off: a cut stream, a result that never came."""
    VERIFY = "verify"
    """The task's own check did not pass."""

    @property
    def group(self) -> str:
        return _GROUPS.get(self, self.value)


_GROUPS = {
    Failure.NETWORK: "transient",
    Failure.OVERLOAD: "transient",
    Failure.LIMIT: "transient",
    Failure.CUT: "transient",
    Failure.CONTEXT: "recoverable",
    Failure.TIMEOUT: "recoverable",
    Failure.STALLED: "recoverable",
    Failure.BAD_KEY: "permanent",
    Failure.BAD_MODEL: "permanent",
    Failure.BAD_REQUEST: "permanent",
    Failure.BAD_CONFIG: "permanent",
    Failure.BUDGET: "spent",
}


class Remedy(StrEnum):
    """What is done about a failure. SWITCH: with the next of the task's `fallback`, else as RETRY."""

    RETRY = "retry"
    SWITCH = "switch"
    WAIT = "wait"
    """Until the limit resets; the attempt does not count."""
    STOP = "stop"


_REMEDIES = {
    Failure.LIMIT: Remedy.WAIT,
    Failure.OVERLOAD: Remedy.SWITCH,
    Failure.CONTEXT: Remedy.SWITCH,
    Failure.EMPTY: Remedy.SWITCH,
    Failure.BAD_MODEL: Remedy.SWITCH,
    Failure.BAD_KEY: Remedy.SWITCH,
    Failure.BAD_REQUEST: Remedy.STOP,
    Failure.BAD_CONFIG: Remedy.STOP,
    Failure.BUDGET: Remedy.STOP,
    Failure.DENIED: Remedy.STOP,
}


SWITCHING = frozenset(failure.value for failure, remedy in _REMEDIES.items() if remedy is Remedy.SWITCH)


def remedy_for(failure: Failure) -> Remedy:
    return _REMEDIES.get(failure, Remedy.RETRY)


def status_failure(status: int | None, message: str = "") -> Failure:
    """The class of an HTTP answer with `status` (None: no answer at all) from a model provider."""
    if status is None or status in (408, 425) or status in range(520, 528):
        return Failure.NETWORK
    if status == 429:
        return Failure.LIMIT
    if status in (401, 402, 403):
        return Failure.BAD_KEY
    if status == 404:
        return Failure.BAD_MODEL
    if status >= 500:
        return Failure.OVERLOAD
    if status in (400, 413, 422):
        return words_failure(message) or Failure.BAD_REQUEST
    return Failure.NONE


_WORDS = {
    Failure.CONTEXT: "context window|context length|prompt is too long|maximum context|too many tokens"
    "|exceeds the maximum number of tokens",
    Failure.LIMIT: "rate limit|rate_limit|usage limit|session limit|quota exceeded|too many requests"
    "|resource_exhausted|exhausted your",
    Failure.OVERLOAD: "overloaded|at capacity|service unavailable|internal server error|bad gateway",
    Failure.BAD_KEY: "not logged in|please run /login|login expired|invalid api key|invalid x-api-key|incorrect api key"
    "|api key not valid|authentication|unauthorized|credit balance is too low",
    Failure.BAD_MODEL: "model not found|unknown model|no such model|model_not_found|invalid model"
    "|does not exist or you do not have access|is not supported when using",
    Failure.NETWORK: "connection refused|econnrefused|econnreset|connection reset|enotfound|fetch failed|network error"
    "|connection error|unable to connect|timed out|socket hang up|stream disconnected",
    Failure.DENIED: "permission denied by|not allowed to use|requires approval|tool was denied|denied by policy",
}


def words_failure(message: str) -> Failure:
    """The class that an agent's own words point to: the last resort, for those who hide the status."""
    lowered = message.lower()
    for failure, words in _WORDS.items():
        if any(word in lowered for word in words.split("|")):
            return failure
    return Failure.NONE
