"""Prompts, folders and launches as a worker would make them, for tests of the adapters."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from conductor.domain.agent_setup import AgentSetup
from conductor.domain.tally import Tally
from conductor.domain.task import TaskSpec
from conductor.ports import EventReader, Launch, Prompt


def prompt_in(folder: Path, text: str = "say hello", **more: Any) -> Prompt:
    """A prompt whose workspace, state, attempt folder and user's HOME are empty folders in `folder`."""
    for name in ("work", "state", "attempt", "user"):
        (folder / name).mkdir(mode=0o700, exist_ok=True)
    made = Prompt(
        spec=TaskSpec("t-1", text),
        attempt=1,
        attempt_directory=str(folder / "attempt"),
        workspace=str(folder / "work"),
        text=text,
        state_directory=str(folder / "state"),
        environment={"HOME": str(folder / "user")},
    )
    return replace(made, **more)


def setup(kind: str, **more: Any) -> AgentSetup:
    return AgentSetup(name=kind, kind=kind, **more)


def write_files(prompt: Prompt, launch: Launch) -> None:
    """What the worker does before the start."""
    for name, content in launch.files:
        path = os.path.join(prompt.attempt_directory, name)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        Path(path).write_text(content)


def tally_of(reader: EventReader | None, stream: bytes) -> Tally:
    """All that `reader` tells of a whole stream."""
    assert reader is not None
    told = Tally()
    for event in (*reader.feed(stream), *reader.close()):
        told.take(event)
    return told
