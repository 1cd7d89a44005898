"""The matrix as data: who is asked, what goes wrong, and what must be made of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

NOBODY_THERE = "http://127.0.0.1:9"
SAID = "all is done"
MADE = "made.txt"
RESET_SECONDS = 7200
PROVIDER_KEY = "sk-ant-api03-the-real-key-that-no-agent-may-see-0001"
PRINTED_KEY = "sk-ant-api03-0123456789abcdefghijklmnop"


@dataclass(frozen=True, slots=True)
class Contender:
    """An agent of the matrix. `program` on the PATH, empty: it is none of its own. `seconds_to_ask`: after that long
    its first model call is under way, on a machine that does something else as well."""

    kind: str
    form: str
    model: str
    program: str = ""
    seconds_to_ask: float = 3.0
    usual: tuple[str, ...] = ()
    """Names of the cells that run without being asked for."""


@dataclass(frozen=True, slots=True)
class Expected:
    """Of the first attempt's result.json. `status`: its line in results.txt, RETRY where another attempt follows."""

    status: str
    outcome: str
    failure: str = ""

    def __str__(self) -> str:
        return f"{self.status} {self.outcome}{f' {self.failure}' if self.failure else ''}"


SUCCESS = Expected("SUCCESS", "success")
CUT_SHORT = Expected("RETRY", "failed", "cut")
UNREACHED = Expected("RETRY", "failed", "network")
OVERLOADED = Expected("RETRY", "failed", "overload")
LIMITED = Expected("RETRY", "limited", "limit")


@dataclass(frozen=True, slots=True)
class Cell:
    """`expected` of the first attempt; None: how it ends is the agent's own, that it ends and is recorded is asked."""

    name: str
    expected: Expected | None = SUCCESS
    fault: str = "ok"
    """A fault of the simulated provider, or another address to find it at."""
    text: str = f"Say something. [[say {SAID}]]"
    model: str = ""
    hangs: bool = False
    """It is cut by its timeout, which comes soon after the model was asked."""
    tries_again: bool = False
    """A first attempt that is limited may be followed by one that succeeds; else what follows is cancelled."""
    expected_of: Mapping[str, Expected] = field(default_factory=dict)
    """By agent, where another end is as right."""
    autonomy: str = ""
    written: bool | None = None
    """Whether MADE must be in the workspace afterwards."""
    parks: bool = False
    """The provider is parked until its reset, and the task waits without having lost an attempt."""
    prints_key: bool = False
    """PRINTED_KEY must be masked wherever it shows."""

    @property
    def slug(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")


def _does(command: str) -> str:
    return f"Run a command. [[run {command}]] [[say {SAID}]]"


_WRITE = f"Make a file. [[write {MADE} hello]] [[say {SAID}]]"
_RUN = _does(f"echo hello > {MADE}")
_BAD_KEY = Expected("FAILED", "failed", "bad_key")

_OFTEN = (
    Cell("success"),
    Cell("file written", text=_WRITE, written=True),
    Cell("401", _BAD_KEY, "401"),
    Cell("429 then success", SUCCESS, "429n1r1", tries_again=True),
    Cell("429 with reset", LIMITED, f"429s{RESET_SECONDS}", parks=True),
    Cell("529", OVERLOADED, "529"),
    Cell("unknown model", Expected("FAILED", "failed", "bad_model"), model="nosuch-model"),
    Cell("refused connection", UNREACHED, NOBODY_THERE),
    Cell("hang to timeout", Expected("TIMEOUT", "timeout", "timeout"), "hang", hangs=True),
    Cell("cut stream", CUT_SHORT, "cut"),
    Cell(
        "leaves a daemon",
        text=_does("setsid sleep 3000 >/dev/null 2>&1 &"),
        expected_of={"openclaw": Expected("FAILED", "failed")},  # it can't clean up, and gives no answer then
    ),
    Cell("kills its parent", None, text=_does("kill -9 $PPID")),
    Cell("prints a key", text=_does("printf 'sk-ant-%s-%s\\n' api03 0123456789abcdefghijklmnop"), prints_key=True),
    Cell("prints no UTF-8", text=_does("printf '\\377\\376 \\303\\n'")),
    Cell("command run", text=_RUN, written=True),
)
_SELDOM = (
    Cell("everything allowed", text=_RUN, autonomy="full", written=True),
    Cell(
        "read-only writes nothing",
        text=_WRITE,
        autonomy="read-only",
        written=False,
        expected_of={"gemini": Expected("FAILED", "failed", "denied")},  # the others tell nobody that a tool is refused
    ),
    Cell("read-only runs nothing", text=_RUN, autonomy="read-only", written=False),
    Cell("403", _BAD_KEY, "403"),
    Cell("500", OVERLOADED, "500"),
    Cell("prompt too long", Expected("FAILED", "failed", "context"), "toolong"),
)
"""What differs in flags and words alone, which the adapters' own tests know."""

TURNS = (*_OFTEN, *_SELDOM)
"""What is asked of an agent that runs a turn by itself."""

CANCELLED, STOPPED, TWO_AT_ONCE = "cancelled in mid-turn", "daemon stopped in mid-turn", "two at once on one home"
BY_HAND = (CANCELLED, STOPPED, TWO_AT_ONCE)
"""Cells that need somebody to do something meanwhile."""

ROWS = (*(cell.name for cell in TURNS), *BY_HAND)
_FEW = ("success", "file written", "401")
_MANY = (*(cell.name for cell in _OFTEN), *BY_HAND)

CONTENDERS = (
    Contender(
        "openclaw",
        "anthropic",
        "claude-sonnet-4-5",
        "openclaw",
        30.0,
        (*_FEW, "429 with reset", CANCELLED),
    ),
    Contender("claude", "anthropic", "claude-sonnet-4-5", "claude", 12.0, _MANY),
    Contender("codex", "openai", "gpt-5", "codex", 8.0, _MANY),
    Contender("gemini", "gemini", "gemini-2.5-flash", "gemini", 15.0, _FEW),
    Contender("opencode", "anthropic", "claude-sonnet-4-5", "opencode", 20.0, _FEW),
    Contender("anthropic", "anthropic", "claude-sonnet-4-5", "", 5.0, ROWS),
    Contender("chat", "openai", "gpt-5", "", 3.0, _FEW),
)
