"""The child process of an attempt: one assignment in, events on standard output, an exit code."""

from __future__ import annotations

import os
import signal
import time
from types import FrameType
from typing import NoReturn

from conductor.agents.loop.assignment import Assignment
from conductor.agents.loop.conversation import Bounds, Conversation
from conductor.agents.loop.exchange import Model
from conductor.agents.loop.instructions import instructions
from conductor.agents.loop.shell import Shell
from conductor.agents.loop.tools import Toolbox, toolbox
from conductor.agents.loop.voice import Voice
from conductor.agents.loop.workspace import Workspace
from conductor.domain.agent_events import End, Error, Started
from conductor.domain.agent_setup import Autonomy
from conductor.domain.failure import Failure
from conductor.kit.process import become_subreaper, make_unreadable

_STANDARD_OUTPUT = 1
_STOPPED = 128 + signal.SIGTERM
_LOCAL = ("http://127.", "http://localhost", "http://[::1]")


class _Stopped(BaseException):
    """SIGTERM: nothing on the way catches it but what cleans up."""


def run(text: str) -> int:
    """Does the assignment in `text`; 0: done, 1: not, 143: stopped. An End is told in any case."""
    voice = Voice(_STANDARD_OUTPUT, time.monotonic)
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # a provider that hangs up is an error like any other
    try:
        end = _converse(Assignment.from_json(text), voice)
    except _Stopped:
        voice.interrupt()
        voice.tell(End(False, "stopped by SIGTERM"))
        return _STOPPED
    except Exception as error:  # the process's outer edge: what went wrong must be told before it ends
        import traceback

        traceback.print_exc()
        reason = f"the agent broke: {type(error).__name__}: {error}"[:500]
        voice.interrupt()
        voice.tell(Error(reason, final=True))
        end = End(False, reason)
    voice.tell(end)
    return 0 if end.succeeded else 1


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Stopped


def _converse(assignment: Assignment, voice: Voice) -> End:
    """The key is in this process alone, which the commands that it runs can't read."""
    secret = assignment.key or "\0"
    environment = {name: value for name, value in os.environ.items() if secret not in value}
    for name in [name for name in os.environ if name.startswith("ANTHROPIC_")]:
        del os.environ[name]  # the SDK would add its headers, profiles and addresses to ours
    become_subreaper()
    make_unreadable()
    if assignment.url.startswith(_LOCAL):
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = "*"  # nobody else is asked
    voice.tell(Started(model=assignment.model))
    if assignment.protocol == "anthropic" and not assignment.key:
        reason = "no key for the Anthropic API: set ANTHROPIC_API_KEY for conductord, or the provider's key"
        voice.tell(Error(reason, Failure.BAD_KEY, final=True))
        return End(False, reason, Failure.BAD_KEY)
    tools = _tools(assignment, environment, voice)
    system = instructions(assignment.workspace, assignment.autonomy, tools=assignment.tools)
    bounds = Bounds(assignment.max_turns, assignment.budget, assignment.window)
    conversation = Conversation(_model(assignment, system, tools), tools, voice, bounds, time.sleep)
    return conversation.run(assignment.text.encode("utf-8", "replace").decode())


def _tools(assignment: Assignment, environment: dict[str, str], voice: Voice) -> Toolbox:
    if not assignment.tools:
        return Toolbox(())
    workspace = Workspace(assignment.workspace, confined=assignment.autonomy is not Autonomy.FULL)
    shell = Shell(workspace.folder, environment, lambda: voice.live("a command runs"))
    return toolbox(workspace, shell, assignment.autonomy)


def _model(assignment: Assignment, system: str, tools: Toolbox) -> Model:
    """Loaded here alone: `chat` needs no SDK."""
    if assignment.protocol == "anthropic":
        from conductor.agents.loop.anthropic_model import AnthropicModel

        return AnthropicModel(assignment, system, tools.tools)
    from conductor.agents.loop.chat_model import ChatModel

    return ChatModel(assignment, system, tools.tools)
