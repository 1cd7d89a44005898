"""Pushing to a real bare repository, and pull requests through a `gh` that records what it was asked."""

from __future__ import annotations

import os
import select
from dataclasses import replace
from pathlib import Path

import pytest

from conductor.ports.orchestration import Publication, Published
from conductor.projects.kept_process import CommandEnd, KeptProcess
from conductor.projects.publishing import Publisher, publishing
from tests.projects.making.repositories import ENVIRONMENT, StandIn, commit, eventually, git, new_repository

OPEN_ONE = """
if sys.argv[1:3] == ["pr", "list"]:
    print("[]")
else:
    print("https://github.com/ada/shop/pull/7")
"""
LISTS_ONE = 'print(\'[{"url":"https://github.com/ada/shop/pull/3"}]\')'
HAS_ONE = """
if sys.argv[1:3] == ["pr", "list"]:
    print("[]")
else:
    print('a pull request for branch "x" already exists:\\nhttps://github.com/ada/shop/pull/4', file=sys.stderr)
    sys.exit(1)
"""
FAILS = "print('HTTP 401: Bad credentials', file=sys.stderr); sys.exit(1)"


class Office:
    """A repository with a remote, and a publisher."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bare = folder / "remote.git"
        self.bare.mkdir()
        git(self.bare, "init", "-q", "--bare", "-b", "main")
        self.ours = new_repository(folder / "ours")
        self.head = commit(self.ours, "README.md")
        git(self.ours, "remote", "add", "origin", str(self.bare))

    def order(self, **changes: str) -> Publication:
        return replace(Publication(str(self.ours), "origin", self.head, "main"), **changes)  # type: ignore[arg-type]

    def publisher(self, path: str = ENVIRONMENT["PATH"], **more: str) -> Publisher:
        kept = KeptProcess(f"o0-{os.getpid()}-1-{os.urandom(4).hex()}")
        return Publisher(kept, {**ENVIRONMENT, "PATH": path, "HOME": str(self.folder), **more})

    def publish(self, what: Publication, path: str = ENVIRONMENT["PATH"], **more: str) -> Published:
        publisher = self.publisher(path, **more)
        publisher.start(what, str(self.folder / "logs"))

        def taken() -> Published | None:
            if publisher.fileno() >= 0:
                select.select([publisher.fileno()], [], [], 30)
            return publisher.take()

        return eventually(taken, what="the publication's end")

    def remote(self, ref: str = "refs/heads/main") -> str:
        return git(self.bare, "for-each-ref", "--format=%(objectname)", ref)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def test_the_target_is_pushed_and_nothing_else(office: Office) -> None:
    git(office.ours, "tag", "-a", "v1", "-m", "v1")
    git(office.ours, "branch", "private")
    git(office.ours, "config", "push.followTags", "true")

    assert office.publish(office.order()) == Published(True)

    assert git(office.bare, "for-each-ref", "--format=%(refname) %(objectname)") == f"refs/heads/main {office.head}"


def test_a_publisher_is_busy_until_its_answer_is_taken_or_it_is_stopped(office: Office) -> None:
    publisher = office.publisher()
    assert not publisher.is_busy()

    publisher.start(office.order(), str(office.folder / "logs"))
    assert publisher.is_busy()
    assert eventually(publisher.take, what="the publication's end").pushed
    assert not publisher.is_busy()

    publisher.start(office.order(remote="-x"), str(office.folder / "logs"))
    assert publisher.is_busy()
    publisher.stop()
    assert not publisher.is_busy()
    assert publisher.take() is None


def test_what_came_onto_the_branch_after_the_run_is_not_pushed(office: Office) -> None:
    later = commit(office.ours, "private.txt")

    office.publish(office.order())

    assert office.remote() == office.head != later


def test_pushing_again_changes_nothing_and_is_well(office: Office) -> None:
    assert [office.publish(office.order()) for _ in range(2)] == [Published(True)] * 2


def test_a_branch_that_went_on_elsewhere_is_not_overwritten(office: Office) -> None:
    office.publish(office.order())
    git(office.folder, "clone", "-q", str(office.bare), "theirs")
    theirs = commit(office.folder / "theirs", "theirs.txt")
    git(office.folder / "theirs", "push", "-q", "origin", "main")
    ours = commit(office.ours, "ours.txt")

    found = office.publish(office.order(commit=ours))

    assert not found.pushed
    assert found.reason.startswith("origin refused main: [rejected] (")
    assert "git pull --rebase origin main" in found.reason
    assert office.remote() == theirs


def test_a_forced_refspec_in_the_repository_s_settings_forces_nothing(office: Office) -> None:
    office.publish(office.order())
    git(office.folder, "clone", "-q", str(office.bare), "theirs")
    theirs = commit(office.folder / "theirs", "theirs.txt")
    git(office.folder / "theirs", "push", "-q", "origin", "main")
    git(office.ours, "config", "remote.origin.push", "+refs/heads/*:refs/heads/*")

    assert not office.publish(office.order(commit=commit(office.ours, "ours.txt"))).pushed
    assert office.remote() == theirs


def test_a_remote_that_has_it_and_more_is_well(office: Office) -> None:
    later = commit(office.ours, "later.txt")
    git(office.ours, "push", "-q", "origin", "main")

    assert office.publish(office.order()) == Published(True)
    assert office.remote() == later


def test_a_remote_that_is_missing_or_gone_is_told(office: Office) -> None:
    missing = office.publish(office.order(remote="upstream"))
    office.bare.rename(office.folder / "moved.git")
    gone = office.publish(office.order())

    for found in (missing, gone):
        assert not found.pushed
        assert "does not appear to be a git repository" in found.reason


def test_a_hook_of_the_repository_is_not_run(office: Office) -> None:
    hook = office.ours / ".git/hooks/pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch hooked\nexit 1\n")
    hook.chmod(0o755)

    assert office.publish(office.order()).pushed
    assert not (office.ours / "hooked").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"commit": ""},
        {"commit": "main"},
        {"commit": "--delete"},
        {"remote": "--mirror"},
        {"remote": "ext::sh -c true"},
        {"branch": ""},
        {"branch": "a:refs/heads/b"},
        {"branch": "*"},
        {"branch": "a..b"},
        {"base": "--web"},
        {"base": "a b"},
    ],
)
def test_a_name_that_would_mean_something_else_to_git_is_refused(changes: dict[str, str]) -> None:
    order = replace(Publication("/x", "origin", "a" * 40, "main"), **changes)  # type: ignore[arg-type]

    with pytest.raises(StopIteration) as end:
        next(publishing(order, "/body"))

    assert not end.value.value.pushed
    assert "nothing was pushed" in end.value.value.reason


def test_a_pull_request_is_opened_from_the_run_s_branch(office: Office) -> None:
    gh = StandIn(office.folder, "gh", OPEN_ONE)
    title, body = "feat: shop - 2 tasks completed", "Tasks:\n- $(touch /x) `id`\n"
    order = office.order(branch="conductor/r-1", base="main", title=title, body=body)

    found = office.publish(order, gh.path, GH_TOKEN="t-12345678", ANTHROPIC_API_KEY="k-12345678")

    assert found == Published(True, "https://github.com/ada/shop/pull/7")
    assert office.remote("refs/heads/conductor/r-1") == office.head
    assert office.remote() == ""
    branches = ["--head", "conductor/r-1", "--base", "main"]
    text = str(office.folder / "logs/pull-request.md")
    assert gh.asked == [
        ["pr", "list", *branches, "--state", "open", "--json", "url", "--limit", "1"],
        ["pr", "create", *branches, "--title", title, "--body-file", text],
    ]
    assert Path(text).read_text() == body
    assert gh.folders == [str(office.ours)] * 2
    for environment in gh.environments:
        assert environment["GH_TOKEN"] == "t-12345678"
        assert environment["GH_PROMPT_DISABLED"] == "1"
        assert "ANTHROPIC_API_KEY" not in environment


@pytest.mark.parametrize(("body", "number"), [(LISTS_ONE, 3), (HAS_ONE, 4)])
def test_a_pull_request_that_is_open_already_is_found(office: Office, body: str, number: int) -> None:
    gh = StandIn(office.folder, "gh", body)

    found = office.publish(office.order(branch="conductor/r-1", base="main", title="t"), gh.path)

    assert found == Published(True, f"https://github.com/ada/shop/pull/{number}")


def test_a_gh_that_refuses_is_told_with_what_is_left_to_do(office: Office) -> None:
    gh = StandIn(office.folder, "gh", FAILS)

    found = office.publish(office.order(branch="conductor/r-1", base="main", title="t"), gh.path)

    assert found.pushed
    assert found.pull_request == ""
    assert "HTTP 401: Bad credentials" in found.reason
    assert found.reason.endswith("conductor/r-1 is pushed to origin: open the pull request by hand")


def test_without_gh_the_branch_is_pushed_and_the_rest_is_told(office: Office) -> None:
    found = office.publish(office.order(branch="conductor/r-1", base="main", title="t"))

    assert found.pushed
    assert found.reason.startswith("gh can't be started here: install it")


@pytest.mark.parametrize(
    ("address", "where"),
    [
        ("https://github.com/ada/shop.git", ["--repo", "github.com/ada/shop"]),
        ("https://x-access-token:[masked]@github.com/ada/shop", ["--repo", "github.com/ada/shop"]),
        ("git@github.com:ada/shop.git", ["--repo", "github.com/ada/shop"]),
        ("ssh://git@github.example.com:22/ada/my.shop.git", ["--repo", "github.example.com/ada/my.shop"]),
        ("/srv/git/shop.git", []),
        ("file:///srv/git/shop.git", []),
        ("--web", []),
    ],
)
def test_gh_is_told_which_repository_the_remote_is(address: str, where: list[str]) -> None:
    steps = publishing(Publication("/x", "origin", "a" * 40, "b", base="main"), "/body")
    well = CommandEnd(0, "", address + "\n", 0.1)
    next(steps)
    steps.send(well)

    asked = steps.send(well)

    assert list(asked[:3]) == ["gh", "pr", "list"]
    assert list(asked[3 : 3 + len(where)]) == where
    assert asked[3 + len(where)] == "--head"
