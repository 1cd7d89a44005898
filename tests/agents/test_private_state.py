"""The private state of an attempt: made from the user's login, and what a run renewed taken home."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conductor.agents.private_state import Login, private_files, take_home, take_left_home, user_folder
from conductor.kit.lock import QuickLock
from conductor.ports import Launch, Prompt
from tests.agents.prompts import prompt_in, write_files
from tests.support import stays


def login_of(prompt: Prompt, **more: Any) -> Login:
    made = Login(
        f"{prompt.environment['HOME']}/login.json", f"{prompt.state_directory}/login.json", renewed=("expires",)
    )
    return replace(made, **more)


def write(path: str, **fields: Any) -> str:
    Path(path).write_text(json.dumps(fields))
    return Path(path).read_text()


def seeded(tmp_path: Path, **more: Any) -> tuple[Prompt, Login]:
    """A prompt whose state was made from a user's login that expires at 100."""
    prompt = prompt_in(tmp_path)
    login = login_of(prompt, **more)
    if not os.path.exists(login.home):
        write(login.home, token="old", expires=100, account="me")
    write_files(prompt, Launch(files=private_files(prompt, [login])))
    return prompt, login


def said(prompt: Prompt) -> str:
    log = Path(prompt.attempt_directory, "agent.log")
    return log.read_text() if log.exists() else ""


def test_an_attempt_gets_a_tmpdir_and_a_copy_of_the_login(tmp_path: Path) -> None:
    _, login = seeded(tmp_path)

    assert Path(login.private).read_text() == Path(login.home).read_text()
    assert (tmp_path / "state" / "tmp").is_dir()


def test_only_the_named_keys_are_copied(tmp_path: Path) -> None:
    _, login = seeded(tmp_path, keys=("token",))

    assert json.loads(Path(login.private).read_text()) == {"token": "old"}


@pytest.mark.parametrize("content", [None, b"", b"no json", b"[1]", b"\xff{}"])
def test_a_login_that_is_not_there_or_is_no_object_is_left_out(tmp_path: Path, content: bytes | None) -> None:
    prompt = prompt_in(tmp_path)
    login = login_of(prompt)
    if content is not None:
        Path(login.home).write_bytes(content)

    write_files(prompt, Launch(files=private_files(prompt, [login])))

    assert not os.path.exists(login.private)
    take_home(prompt, [login])
    assert said(prompt) == ""


def test_a_login_that_the_run_renewed_is_taken_home(tmp_path: Path) -> None:
    prompt, login = seeded(tmp_path)
    renewed = write(login.private, token="new", expires=200, account="me")

    take_home(prompt, [login])

    assert Path(login.home).read_text() == renewed
    assert os.stat(login.home).st_mode & 0o777 == 0o600
    assert said(prompt) == ""


def test_a_login_that_the_run_left_alone_is_not_written(tmp_path: Path) -> None:
    prompt, login = seeded(tmp_path)
    write(login.home, token="newer", expires=150, account="me")

    take_home(prompt, [login])

    assert json.loads(Path(login.home).read_text())["token"] == "newer"
    assert said(prompt) == ""


def test_a_login_that_the_user_renewed_later_stays_and_the_log_says_so(tmp_path: Path) -> None:
    prompt, login = seeded(tmp_path)
    write(login.private, token="new", expires=200, account="me")
    own = write(login.home, token="newest", expires=300, account="me")

    take_home(prompt, [login])

    assert Path(login.home).read_text() == own
    assert "renewed meanwhile" in said(prompt)


def test_a_login_that_somebody_renewed_before_this_run_did_is_replaced(tmp_path: Path) -> None:
    prompt, login = seeded(tmp_path)
    renewed = write(login.private, token="new", expires=300, account="me")
    write(login.home, token="between", expires=200, account="me")

    take_home(prompt, [login])

    assert Path(login.home).read_text() == renewed


def test_times_may_be_text_and_lie_deep_inside(tmp_path: Path) -> None:
    prompt = prompt_in(tmp_path)
    login = login_of(prompt, renewed=("*", "refreshed"))
    write(login.home, one={"refreshed": "2026-01-01T00:00:00Z"})
    seeded(tmp_path, renewed=("*", "refreshed"))
    write(login.private, one={"refreshed": "2026-01-02T00:00:00.123456789Z"})
    own = write(login.home, one={"refreshed": "2026-01-03T00:00:00Z"})

    take_home(prompt, [login])

    assert Path(login.home).read_text() == own


def test_a_login_of_another_account_is_never_replaced(tmp_path: Path) -> None:
    prompt, login = seeded(tmp_path, account=("account",))
    write(login.private, token="new", expires=300, account="me")
    own = write(login.home, token="other", expires=200, account="other")

    take_home(prompt, [login])

    assert Path(login.home).read_text() == own
    assert "another account" in said(prompt)


def test_who_logged_out_stays_logged_out(tmp_path: Path) -> None:
    prompt, login = seeded(tmp_path)
    write(login.private, token="new", expires=300, account="me")
    os.unlink(login.home)

    take_home(prompt, [login])

    assert not os.path.exists(login.home)
    assert "logged out" in said(prompt)


@pytest.mark.parametrize("left", [b"rubbish", b"{}", b'{"token": "new"}', b"[" * 100_000])
def test_what_is_no_whole_login_is_not_taken_home(tmp_path: Path, left: bytes) -> None:
    prompt, login = seeded(tmp_path)
    own = Path(login.home).read_text()
    Path(login.private).write_bytes(left)

    take_home(prompt, [login])

    assert Path(login.home).read_text() == own
    assert said(prompt)


def test_neither_a_pipe_nor_a_link_nor_nothing_in_its_place_does_harm(tmp_path: Path) -> None:
    prompt, login = seeded(tmp_path)
    own = Path(login.home).read_text()
    for put in (lambda: os.mkfifo(login.private), lambda: os.symlink("/etc/passwd", login.private), lambda: None):
        os.unlink(login.private) if os.path.lexists(login.private) else None
        put()
        take_home(prompt, [login])

    assert Path(login.home).read_text() == own


def test_a_login_that_is_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    prompt = prompt_in(tmp_path)
    login = login_of(prompt)
    write(str(tmp_path / "dotfile"), token="old", expires=100)
    os.symlink(tmp_path / "dotfile", login.home)
    seeded(tmp_path)
    renewed = write(login.private, token="new", expires=200)

    take_home(prompt, [login])

    assert os.path.islink(login.home)
    assert (tmp_path / "dotfile").read_text() == renewed


def test_of_two_runs_at_once_the_newest_login_wins(tmp_path: Path) -> None:
    pairs = []
    for expires in (300, 400):
        folder = tmp_path / str(expires)
        folder.mkdir()
        prompt, login = seeded(folder)
        login = replace(login, home=str(tmp_path / "login.json"))
        pairs.append((prompt, login, expires))
    write(str(tmp_path / "login.json"), token="old", expires=100, account="me")
    for _, login, expires in pairs:
        write(login.private, token=f"of {expires}", expires=expires, account="me")

    threads = [threading.Thread(target=take_home, args=(prompt, [login])) for prompt, login, _ in reversed(pairs)]
    with QuickLock(f"{tmp_path}/login.json.conductor-lock"):
        for thread in threads:
            thread.start()
        assert stays(lambda: "old" in (tmp_path / "login.json").read_text(), 0.2)
    for thread in threads:
        thread.join()

    assert json.loads((tmp_path / "login.json").read_text())["token"] == "of 400"


def test_the_folder_of_the_user_is_the_variable_s_or_the_usual_one(tmp_path: Path) -> None:
    prompt = prompt_in(tmp_path)

    assert user_folder(prompt, "CODEX_HOME", ".codex") == f"{tmp_path}/user/.codex"
    assert user_folder(replace(prompt, environment={"CODEX_HOME": "/c"}), "CODEX_HOME", ".codex") == "/c"
    assert user_folder(replace(prompt, environment={}), "CODEX_HOME", ".codex") == ""


def test_what_a_run_renewed_comes_home_though_its_worker_was_killed(tmp_path: Path) -> None:
    # given a run that renewed its login and was never settled
    prompt, login = seeded(tmp_path)
    write(login.private, token="new", expires=200, account="me")

    # when its folder is found later
    take_left_home(prompt.state_directory)

    # then
    assert json.loads(Path(login.home).read_text())["token"] == "new"


def test_what_is_left_without_its_seeds_or_with_others_does_no_harm(tmp_path: Path) -> None:
    prompt, login = seeded(tmp_path)
    write(login.private, token="new", expires=200, account="me")
    seeds = Path(prompt.state_directory, "seeded.json")

    for content in ("", "{}", "[]", '{"logins": 3}', '{"logins": [{"home": 1}]}', '{"logins": [null]}'):
        seeds.write_text(content)
        take_left_home(prompt.state_directory)
    seeds.unlink()
    take_left_home(prompt.state_directory)

    assert json.loads(Path(login.home).read_text())["token"] == "old"
