"""How a task's prompt, model and thinking level reach a command line agent: never as an option, never as a command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from conductor.domain.agent_setup import AgentSetup
from conductor.domain.models import check_thinking
from conductor.ports import Prompt

T = TypeVar("T")

_COMMAND_SIGNS = ("/", "!", "#", "@", "$")
"""What the CLIs take for a command of their own when a prompt begins with it."""


def prompt_path(prompt: Prompt) -> str:
    """The file that is the agent's standard input; in the state directory, for it may hold what nobody else may see."""
    return f"{prompt.state_directory}/prompt.txt"


def prompt_file(prompt: Prompt) -> tuple[str, str]:
    """That file for `Launch.files`."""
    text = prompt.text or prompt.spec.description
    if text.lstrip().startswith(_COMMAND_SIGNS):
        text = f"The task:\n{text}"
    return prompt_path(prompt), text


def bare_model(prompt: Prompt, setup: AgentSetup, own_provider: str) -> str:
    """The model without the `provider/` that it is used through; empty: the agent's own default."""
    model = prompt.model or setup.model
    return model.removeprefix(f"{setup.provider.name if setup.provider else own_provider}/")


def chosen_level(prompt: Prompt, setup: AgentSetup, levels: Mapping[str, T], none: T) -> T:
    """What the asked thinking level is for this agent; `none` where nobody asked. Raises BadTask."""
    asked = prompt.thinking or setup.thinking
    if not asked:
        return none
    return levels[check_thinking(asked, tuple(levels), setup.name)]
