"""Making projects: new folders, repositories as they are, and every place where none can be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conductor.domain.errors import RepositoryBroken, UsageError
from conductor.domain.run import Project
from conductor.projects.creating import Created, ProjectMaker, Wanted
from conductor.projects.tool import Tools, tool_environment
from tests.projects.making.repositories import ENVIRONMENT, IDENTITY, StandIn, commit, git, new_repository


class Person:
    """Somebody with a home, in which projects are made."""

    def __init__(self, home: Path, roots: tuple[str, ...] = (), **variables: str) -> None:
        self.home = home
        self.projects = home / "projects"
        self.environment = tool_environment({**ENVIRONMENT, "HOME": str(home), **variables})
        self.maker = ProjectMaker("~/projects", roots, Tools(self.environment))

    def create(self, name: str = "shop", path: str | Path = "", **more: object) -> Created:
        return self.maker.create(Wanted(name, str(path), **more), 7.0)  # type: ignore[arg-type]

    def refusal(self, path: str | Path, **more: object) -> str:
        """Why it can't be; nothing has changed."""
        before = snapshot(self.home)
        with pytest.raises((UsageError, RepositoryBroken)) as refused:
            self.create(path=path, **more)
        assert snapshot(self.home) == before
        return str(refused.value)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in sorted(folder.rglob("*"))}


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person(tmp_path)


# -- new ones


def test_a_new_project_is_a_folder_with_a_repository_and_a_first_commit(person: Person) -> None:
    created = person.create(description="Sells things.")

    place = person.projects / "shop"
    assert created.project == Project("shop", str(place), "main", 7.0, created_here=True)
    assert created.told == (f"made {place} with a first commit",)
    assert (place / "README.md").read_text() == "# shop\n\nSells things.\n"
    assert git(place, "log", "--format=%s %an <%ae>") == "chore: begin conductor <conductor@localhost>"
    assert git(place, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert git(place, "status", "--porcelain") == ""
    assert os.listdir(person.projects) == ["shop"]


def test_who_has_a_name_of_their_own_commits_under_it(tmp_path: Path) -> None:
    person = Person(tmp_path, **IDENTITY)

    place = person.create().project.workspace

    assert git(Path(place), "log", "--format=%an <%ae> %cn") == "Ada <ada@home.example> Ada"


def test_doing_it_again_changes_nothing(person: Person) -> None:
    first = person.create()
    head = git(person.projects / "shop", "rev-parse", "HEAD")

    second = person.create()

    assert (second.project.workspace, second.project.target) == (first.project.workspace, "main")
    assert git(person.projects / "shop", "rev-parse", "HEAD") == head


def test_an_empty_folder_is_filled_and_missing_parents_are_made(person: Person) -> None:
    (person.home / "empty").mkdir()

    person.create("one", person.home / "empty")
    person.create("two", person.home / "a" / "b" / "c")

    assert git(person.home / "empty", "rev-list", "--count", "HEAD") == "1"
    assert git(person.home / "a/b/c", "rev-list", "--count", "HEAD") == "1"


def test_a_new_folder_below_another_repository_is_one_of_its_own(person: Person) -> None:
    git(person.home, "init", "-q")
    commit(person.home, ".bashrc")

    assert person.create().project.created_here
    assert (person.projects / "shop/.git").is_dir()


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "-x", "a b", "a\n", "x" * 65, "r-abcdefgh", "$(id)"])
def test_a_name_that_can_t_be_one_is_refused(person: Person, name: str) -> None:
    with pytest.raises(UsageError, match="project name"):
        person.create(name)
    assert list(person.home.iterdir()) == []


@pytest.mark.parametrize("moment", ["init", "add", "commit"])
def test_killed_at_a_git_command_there_is_nothing_and_doing_it_again_makes_all(tmp_path: Path, moment: str) -> None:
    real = subprocess.run(["sh", "-c", "command -v git"], capture_output=True, text=True).stdout.strip()
    body = (
        f"import signal\nif {moment!r} in sys.argv:\n    os.kill(os.getppid(), signal.SIGKILL)\n"
        f"os.execv({real!r}, ['git', *sys.argv[1:]])\n"
    )
    StandIn(tmp_path, "git", body)
    home = tmp_path / "home"
    home.mkdir()
    program = (
        "from conductor.projects.creating import *\nfrom conductor.projects.tool import *\n"
        f"tools = Tools(tool_environment({{'PATH': '{tmp_path}/bin:/usr/bin:/bin', 'HOME': {str(home)!r}, "
        "'GIT_CONFIG_GLOBAL': '/dev/null'}))\n"
        "ProjectMaker('~/projects', (), tools).create(Wanted('shop'), 7.0)\n"
    )

    killed = subprocess.run([sys.executable, "-c", program])

    assert killed.returncode == -signal.SIGKILL
    assert not (home / "projects/shop").exists()
    assert Person(home).create().project.created_here
    assert os.listdir(home / "projects") == ["shop"]


# -- repositories that are there


def test_a_repository_is_used_as_it_is_and_its_branch_is_the_target(person: Person) -> None:
    place = new_repository(person.home / "theirs", "trunk")
    commit(place, "a.txt")
    (place / "a.txt").write_text("changed, not committed")
    before = snapshot(place)

    created = person.create("theirs", place)

    assert created.project == Project("theirs", str(place), "trunk", 7.0)
    assert created.told == (f"uses the repository {place} as it is; runs land on trunk",)
    assert snapshot(place) == before


def test_a_repository_reached_by_a_link_is_known_by_its_real_place(person: Person) -> None:
    place = new_repository(person.home / "real")
    commit(place, "a.txt")
    os.symlink(place, person.home / "link")

    assert person.create("shop", person.home / "link").project.workspace == str(place)


def test_a_detached_head_is_refused(person: Person) -> None:
    place = new_repository(person.home / "theirs")
    commit(place, "a.txt")
    git(place, "checkout", "-q", "--detach")

    assert "HEAD of" in person.refusal(place)
    assert "git switch" in person.refusal(place)


def test_a_run_s_branch_is_no_target(person: Person) -> None:
    place = new_repository(person.home / "theirs", "conductor/r-abcdefgh")
    commit(place, "a.txt")

    assert "which is a run's" in person.refusal(place)


def test_a_bare_repository_is_refused_and_so_is_a_git_directory(person: Person) -> None:
    place = new_repository(person.home / "theirs")
    commit(place, "a.txt")
    git(person.home, "clone", "-q", "--bare", "theirs", "bare.git")

    assert "is a bare repository" in person.refusal(person.home / "bare.git")
    assert "inside of a .git" in person.refusal(place / ".git")


def test_a_part_of_a_repository_is_refused_with_the_whole_named(person: Person) -> None:
    place = new_repository(person.home / "theirs")
    (place / "part").mkdir()
    commit(place, "part/a.txt")

    assert f"is a part of the repository {place}" in person.refusal(place / "part")
    assert f"is a part of the repository {place}" in person.refusal(place / "part", init=True)


def test_files_without_git_are_refused_until_all_of_them_are_to_be_committed(person: Person) -> None:
    place = person.home / "files"
    place.mkdir()
    (place / "a.txt").write_text("a")
    (place / ".gitignore").write_text("secret\n")
    (place / "secret").write_text("s")

    assert "--init" in person.refusal(place)

    created = person.create("shop", place, init=True)
    assert created.project == Project("shop", str(place), "main", 7.0)
    assert git(place, "ls-files").split() == [".gitignore", "a.txt"]


def test_a_repository_without_a_commit_is_refused_until_it_is_to_have_one(person: Person) -> None:
    place = new_repository(person.home / "theirs", "trunk")
    (place / "a.txt").write_text("a")

    assert "none of which is committed" in person.refusal(place)
    assert person.create("shop", place, init=True).project.target == "trunk"
    assert git(place, "ls-files") == "a.txt"


def test_what_init_commits_is_not_pushed_unseen(person: Person) -> None:
    place = person.home / "files"
    place.mkdir()
    (place / "a.txt").write_text("a")

    assert "look at that commit" in person.refusal(place, init=True, github=True)


def test_a_file_the_root_and_the_home_are_no_projects(person: Person) -> None:
    (person.home / "file").write_text("x")

    assert "is no folder" in person.refusal(person.home / "file")
    assert "can't be a project" in person.refusal("/")
    assert "can't be a project" in person.refusal("~", init=True)


def test_a_folder_of_somebody_else_is_refused(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    place = new_repository(person.home / "theirs")
    commit(place, "a.txt")
    monkeypatch.setattr(os, "geteuid", lambda: 4711)

    assert "belongs to user" in person.refusal(place)


def test_where_roots_are_set_nothing_lies_outside_of_them(tmp_path: Path) -> None:
    outside = new_repository(tmp_path / "outside")
    commit(outside, "a.txt")
    (tmp_path / "srv").mkdir()
    os.symlink(outside, tmp_path / "srv/link")
    person = Person(tmp_path, roots=(str(tmp_path / "srv"),))

    for path in (outside, tmp_path / "srv/link", tmp_path / "srv/../outside", tmp_path / "srv2/x", tmp_path / "srv"):
        assert "orchestrator.roots" in person.refusal(path)
    assert person.create("one", tmp_path / "srv/one").project.created_here
    assert person.create("two").project.created_here


def test_variables_that_lead_git_elsewhere_are_not_followed(tmp_path: Path) -> None:
    elsewhere = new_repository(tmp_path / "elsewhere")
    head = commit(elsewhere, "a.txt")
    git_dir = str(elsewhere / ".git")
    person = Person(tmp_path, GIT_DIR=git_dir, GIT_WORK_TREE=str(elsewhere), GIT_INDEX_FILE=f"{git_dir}/index")

    person.create()

    assert git(person.projects / "shop", "ls-files") == "README.md"
    assert git(elsewhere, "rev-parse", "HEAD") == head


def test_no_program_that_a_repository_names_is_run(person: Person) -> None:
    place = new_repository(person.home / "theirs")
    program = person.home / "program"
    program.write_text(f"#!/bin/sh\ntouch {person.home}/was-run\n")
    program.chmod(0o755)
    git(place, "config", "core.fsmonitor", str(program))
    for hook in ("pre-commit", "post-commit", "reference-transaction"):
        (place / ".git/hooks").mkdir(exist_ok=True)
        os.symlink(program, place / ".git/hooks" / hook)
    (place / "a.txt").write_text("a")

    person.create("shop", place, init=True)

    assert not (person.home / "was-run").exists()


# -- GitHub


GH = """
import subprocess
if sys.argv[1:3] == ["repo", "create"]:
    subprocess.run(["git", "init", "-q", "--bare", "{bare}"], check=True)
    place = sys.argv[sys.argv.index("--source") + 1]
    subprocess.run(["git", "-C", place, "remote", "add", "origin", "{bare}"], check=True)
"""


def test_on_github_it_is_private_and_only_its_branch_is_pushed(tmp_path: Path) -> None:
    bare = tmp_path / "github.com" / "ada" / "shop.git"
    gh = StandIn(tmp_path, "gh", GH.format(bare=bare))
    person = Person(tmp_path, PATH=gh.path, GH_TOKEN="t-12345678")

    created = person.create(github=True, description="Sells\nthings; $(id)")

    place = str(person.projects / "shop")
    wanted = ["repo", "create", "shop", "--private", "--source", place, "--remote", "origin", "--description"]
    assert gh.asked == [[*wanted, "Sells things; $(id)"]]
    assert gh.environments[0]["GH_TOKEN"] == "t-12345678"
    head = git(Path(place), "rev-parse", "HEAD")
    assert git(bare, "for-each-ref", "--format=%(refname) %(objectname)") == f"refs/heads/main {head}"
    assert created.told[-1] == "on GitHub as shop"

    commit(Path(place), "later.txt")
    person.create(github=True)
    assert len(gh.asked) == 1
    assert git(bare, "rev-parse", "main") == head


def test_a_remote_that_github_made_and_nothing_was_pushed_to_is_pushed_to(tmp_path: Path) -> None:
    person = Person(tmp_path)
    place = Path(person.create().project.workspace)
    git(tmp_path, "init", "-q", "--bare", "half.git")
    git(place, "remote", "add", "origin", str(tmp_path / "half.git"))

    person.create(github=True)

    assert git(tmp_path / "half.git", "rev-parse", "main") == git(place, "rev-parse", "HEAD")


def test_a_gh_that_refuses_is_told_and_the_project_is_there(tmp_path: Path) -> None:
    gh = StandIn(tmp_path, "gh", "print('HTTP 401', file=sys.stderr); sys.exit(1)")
    person = Person(tmp_path, PATH=gh.path)

    with pytest.raises(RepositoryBroken, match=r"gh made no repository shop on GitHub: HTTP 401; `gh auth status`"):
        person.create(github=True)

    assert (person.projects / "shop/README.md").exists()


def test_without_gh_it_is_told(person: Person) -> None:
    with pytest.raises(RepositoryBroken, match="there is no gh"):
        person.create(github=True)
