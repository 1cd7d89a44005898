"""Keys that systemd holds (LoadCredential=): used in the service, shown to nobody."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from conductor.domain.home import Home
from conductor.domain.outcome import Status
from tests.agents.provider import chunks, provider
from tests.conftest import DaemonFactory
from tests.support import run_cli, said, submit, wait_for_end

KEY = "sk-proj-0123456789abcdefghij"


def credentials(folder: Path, **keys: str) -> dict[str, str]:
    """A folder as systemd makes it: its files can be read and not changed, by the service alone."""
    folder.mkdir()
    for name, key in keys.items():
        (folder / name).write_text(key)
        os.chmod(folder / name, 0o440)
    return {"CREDENTIALS_DIRECTORY": str(folder)}


def settings(url: str) -> dict[str, Any]:
    return {
        "agents": {"asker": {"kind": "chat", "provider": "mine", "model": "some-model"}},
        "providers": {"mine": {"form": "openai", "base_url": url, "key": "credential:mine"}},
    }


def test_the_provider_gets_a_key_that_systemd_holds(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    with provider(chunks({"content": "All is well."})) as at:
        # given
        conductord = daemon(workers=1, env=credentials(tmp_path / "held", mine=f"{KEY}\n"), **settings(at.url))

        # when
        line = wait_for_end(home, submit(home, "how is it?", agent="asker"))

        # then
        assert (line.status, line.preview) == (Status.SUCCESS, "All is well."), conductord.log_text()
        assert at.headers[0]["authorization"] == f"Bearer {KEY}"
        assert conductord.log_lines("key_at_fault") == []


def test_a_task_is_not_told_where_the_keys_are(daemon: DaemonFactory, home: Home, tmp_path: Path) -> None:
    daemon(workers=1, env=credentials(tmp_path / "held", mine=KEY))

    task = submit(home, "env")
    wait_for_end(home, task)

    assert "CONDUCTOR_TASK_ID" in said(home, task)
    assert "CREDENTIALS_DIRECTORY" not in said(home, task)


def test_a_key_that_systemd_does_not_hold_is_told_at_the_start_and_fails_its_tasks_alone(
    daemon: DaemonFactory, home: Home, tmp_path: Path
) -> None:
    # given a unit whose LoadCredential= names something else
    with provider() as at:
        conductord = daemon(workers=1, env=credentials(tmp_path / "held", other=KEY), **settings(at.url))

        # when
        asked, plain = submit(home, "how is it?", agent="asker"), submit(home, "true")

        # then
        (told,) = conductord.log_lines("key_at_fault")
        assert "LoadCredential=mine" in told["why"]
        assert wait_for_end(home, asked).status is Status.FAILED
        assert "LoadCredential=mine" in run_cli(home, "show", asked).stdout
        assert wait_for_end(home, plain).status is Status.SUCCESS
        assert at.asked == []
