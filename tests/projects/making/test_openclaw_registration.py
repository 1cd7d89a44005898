"""A project as an agent of OpenClaw: by its command where it is there, else in its settings file."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from conductor.domain.errors import RepositoryBroken, UsageError
from conductor.projects.openclaw_registration import register_agent
from conductor.projects.tool import Tools, tool_environment
from tests.projects.making.repositories import ENVIRONMENT, StandIn


def tools(home: Path, **more: str) -> Tools:
    return Tools(tool_environment({**ENVIRONMENT, "HOME": str(home), **more}))


def settings(home: Path, content: Any) -> Path:
    path = home / ".openclaw" / "openclaw.json"
    path.parent.mkdir()
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(0o640)
    return path


def test_its_own_command_is_asked_where_it_is_installed(tmp_path: Path) -> None:
    openclaw = StandIn(tmp_path, "openclaw", "print('{}')")

    told = register_agent("My.Shop", "/srv/my shop", tools(tmp_path, PATH=openclaw.path))

    assert openclaw.asked == [
        ["agents", "add", "my-shop", "--workspace", "/srv/my shop", "--non-interactive", "--json"]
    ]
    assert told == "agent my-shop of OpenClaw"


def test_an_agent_that_it_has_already_is_well(tmp_path: Path) -> None:
    body = "print('Agent \"shop\" already exists.', file=sys.stderr); sys.exit(1)"
    openclaw = StandIn(tmp_path, "openclaw", body)

    assert register_agent("shop", "/srv/shop", tools(tmp_path, PATH=openclaw.path))


def test_its_refusal_is_told(tmp_path: Path) -> None:
    openclaw = StandIn(tmp_path, "openclaw", "print('config is locked', file=sys.stderr); sys.exit(1)")

    with pytest.raises(RepositoryBroken, match="openclaw made no agent shop: config is locked"):
        register_agent("shop", "/srv/shop", tools(tmp_path, PATH=openclaw.path))


@pytest.mark.parametrize(
    ("before", "agents"),
    [
        ({}, {"entries": {"shop": {"name": "shop", "workspace": "/srv/shop"}}}),
        ({"agents": {"entries": {"x": {"y": 1}}}},
         {"entries": {"x": {"y": 1}, "shop": {"name": "shop", "workspace": "/srv/shop"}}}),
        ({"agents": {"defaults": {"z": 2}, "list": [{"id": "x"}]}},
         {"defaults": {"z": 2}, "list": [{"id": "x"}, {"id": "shop", "name": "shop", "workspace": "/srv/shop"}]}),
    ],
)  # fmt: skip
def test_without_it_the_entry_is_written_in_the_form_that_the_file_has(
    tmp_path: Path, before: dict[str, Any], agents: dict[str, Any]
) -> None:
    path = settings(tmp_path, {"gateway": {"port": 1, "größe": "ß"}, **before})

    for _ in range(2):
        register_agent("shop", "/srv/shop", tools(tmp_path))

    assert json.loads(path.read_text()) == {"gateway": {"port": 1, "größe": "ß"}, "agents": agents}
    assert path.stat().st_mode & 0o777 == 0o640


def test_an_entry_of_that_name_stays_as_it_is(tmp_path: Path) -> None:
    path = settings(tmp_path, {"agents": {"entries": {"shop": {"model": "p/m"}}}})
    before = path.read_bytes()

    register_agent("shop", "/srv/shop", tools(tmp_path))

    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content",
    ["// mine\n{}", "{", "[]", "", '{"agents": []}', '{"agents": {"entries": []}}', "[" * 100_000],
)
def test_settings_that_can_t_be_written_back_whole_are_left_alone(tmp_path: Path, content: str) -> None:
    path = settings(tmp_path, content)

    with pytest.raises(UsageError, match="is left alone"):
        register_agent("shop", "/srv/shop", tools(tmp_path))

    assert path.read_text() == content


def test_without_openclaw_it_is_told_and_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="OpenClaw is not here"):
        register_agent("shop", "/srv/shop", tools(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_its_own_agent_is_not_taken(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="main"):
        register_agent("Main", "/srv/shop", tools(tmp_path))


def test_several_at_once_lose_no_entry(tmp_path: Path) -> None:
    path = settings(tmp_path, {})
    fork = multiprocessing.get_context("fork")
    people = [
        fork.Process(target=register_agent, args=(f"shop{number}", "/srv/shop", tools(tmp_path))) for number in range(8)
    ]

    for person in people:
        person.start()
    for person in people:
        person.join(30)

    assert sorted(json.loads(path.read_text())["agents"]["entries"]) == [f"shop{number}" for number in range(8)]
