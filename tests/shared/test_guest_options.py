"""A guest's command takes what the owner's of the same name takes: an option that is added there is known here."""

from __future__ import annotations

import inspect

import pytest

from conductor.cli.guest import GUEST_COMMANDS
from conductor.domain.home import Home


@pytest.mark.parametrize("name", GUEST_COMMANDS)
def test_a_guests_command_takes_every_option_of_the_owners(name: str) -> None:
    command = GUEST_COMMANDS[name]
    assert command.callback is not None
    act = inspect.getclosurevars(command.callback).nonlocals["act"]

    given = {parameter.name: None for parameter in command.params if parameter.name}

    inspect.signature(act).bind(Home("/nowhere"), **given)  # raises where one is not taken
