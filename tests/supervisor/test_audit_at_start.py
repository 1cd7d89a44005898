"""What is unsafe is told at every start of conductord, and keeps nobody from working."""

from __future__ import annotations

import json
import os
from pathlib import Path

from conductor.domain.home import Home
from tests.conftest import DaemonFactory
from tests.support import submit, wait_for_end

KEY = "sk-" + "ant-api03-4fQz8XbW1kLr7TcV2mNs9PdY3gJt6RhA5wEx0uKi"


def test_loose_permissions_and_readable_keys_are_a_log_line_and_an_event_each(
    daemon: DaemonFactory, home: Home
) -> None:
    # given a home that others can read, with a key in it
    Path(home.path).mkdir(mode=0o755)
    os.chmod(home.path, 0o755)
    notes = Path(home.path, "notes.txt")
    notes.write_text(f"the key is {KEY}\n")
    notes.chmod(0o644)

    # when
    conductord = daemon(workers=1)

    # then both are told, with where and what to do, and never the key
    told = conductord.log_lines("unsafe_found")
    assert {line["where"] for line in told} >= {home.path, str(notes)}
    assert all(line["remedy"] for line in told)
    events = [json.loads(line) for line in Path(home.events).read_text().splitlines()]
    assert len([event for event in events if event["action"] == "unsafe_found"]) == len(told)
    assert KEY not in conductord.log_text() + Path(home.events).read_text()

    # and work goes on
    assert wait_for_end(home, submit(home, "true")).status.value == "SUCCESS"


def test_a_home_as_it_should_be_is_no_word_worth(daemon: DaemonFactory, home: Home) -> None:
    conductord = daemon(workers=1)
    assert [line for line in conductord.log_lines("unsafe_found") if line["level"] == "warning"] == []
