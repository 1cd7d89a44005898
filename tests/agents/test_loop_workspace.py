from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conductor.agents.loop.exchange import ToolUse
from conductor.agents.loop.shell import Shell
from conductor.agents.loop.tools import Toolbox, toolbox
from conductor.agents.loop.workspace import LARGEST_FILE, ToolFailed, Workspace
from conductor.domain.agent_setup import Autonomy


def tools_in(folder: Path, autonomy: Autonomy = Autonomy.WORKSPACE) -> Toolbox:
    workspace = Workspace(str(folder), confined=autonomy is not Autonomy.FULL)
    return toolbox(workspace, Shell(str(folder), {"PATH": os.environ["PATH"]}), autonomy)


def use(tools: Toolbox, tool: str, **given: object) -> str:
    outcome = tools.use(ToolUse("id", tool, given))
    assert outcome.ok, outcome.text
    return outcome.text


def failure(tools: Toolbox, tool: str, **given: object) -> str:
    outcome = tools.use(ToolUse("id", tool, given))
    assert not outcome.ok, outcome.text
    return outcome.text


PARTS = st.sampled_from(
    ["..", ".", "", "a", "folder", "file.txt", "out", "out/secret.txt", "loop", "up", "dangling", "ünï", "\0", "~"]
)
PATHS = st.builds(
    lambda first, parts: first + "/".join(parts),
    st.sampled_from(["", "/", "//", "{outside}/", "{inside}/", "{inside}x/"]),
    st.lists(PARTS, max_size=6),
)


@contextmanager
def traps() -> Iterator[tuple[Path, Path]]:
    """(workspace, a folder outside that links in the workspace lead to)."""
    with tempfile.TemporaryDirectory() as made:
        top = Path(os.path.realpath(made))
        inside, outside = top / "inside", top / "outside"
        for folder in (inside / "folder", outside, top / "insidex"):
            folder.mkdir(parents=True)
        (outside / "secret.txt").write_text("the secret")
        (top / "secret.txt").write_text("the secret")
        (inside / "file.txt").write_text("plain")
        (inside / "out").symlink_to(outside)
        (inside / "up").symlink_to("../")
        (inside / "loop").symlink_to("loop")
        (inside / "dangling").symlink_to(outside / "made.txt")
        yield inside, top


def is_inside(path: str, folder: Path) -> bool:
    return path == str(folder) or path.startswith(f"{folder}/")


def seen(top: Path) -> dict[str, str]:
    """Everything outside the workspace, by path."""
    found = {}
    for at, folders, files in os.walk(top):
        if at == str(top):
            folders.remove("inside")
        found.update({f"{at}/{name}": "" for name in folders})
        found.update({f"{at}/{name}": Path(at, name).read_text() for name in files})
    return found


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["read", "write", "edit", "list", "search"]), PATHS),
        min_size=1,
        max_size=4,
    )
)
def test_no_path_reaches_anything_outside_the_workspace(deeds: list[tuple[str, str]]) -> None:
    with traps() as (inside, top):
        # given
        before, tools = seen(top), tools_in(inside)
        for tool, path in deeds:
            path = path.replace("{inside}", str(inside)).replace("{outside}", str(top / "outside"))
            given = {"path": path, "content": "owned", "old": "s", "new": "z", "pattern": "secret", "recursive": True}
            # when
            outcome = tools.use(ToolUse("id", tool, given))
            # then
            assert "the secret" not in outcome.text
            assert not outcome.ok or is_inside(
                os.path.realpath(f"{inside}/{path}" if path[:1] != "/" else path), inside
            )
        assert seen(top) == before


OUTSIDE = ["/etc/passwd", "../secret.txt", "out/secret.txt", "up/new.txt", "dangling", "{inside}x/a"]


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_path_outside_is_refused_and_a_change_there_is_a_denial(path: str) -> None:
    with traps() as (inside, _):
        tools, path = tools_in(inside), path.replace("{inside}", str(inside))
        outcomes = [
            tools.use(ToolUse("id", "read", {"path": path})),
            tools.use(ToolUse("id", "write", {"path": path, "content": "owned"})),
        ]
        assert all("outside the workspace" in outcome.text for outcome in outcomes)
        assert [outcome.denied for outcome in outcomes] == [False, True]


def test_a_folder_that_becomes_a_link_after_it_was_resolved_is_not_followed(tmp_path: Path) -> None:
    # given: the link is put there between resolving and opening
    folder = tmp_path / "inside/folder"
    folder.mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("the secret")

    class Swapped(Workspace):
        def _parts(self, path: str, *, changing: bool) -> list[str]:
            parts = super()._parts(path, changing=changing)
            folder.rmdir()
            folder.symlink_to(tmp_path)
            return parts

    workspace = Swapped(str(tmp_path / "inside"), confined=True)
    # then
    with pytest.raises(OSError, match="folder"):
        workspace.read("folder/secret.txt")
    folder.unlink()
    folder.mkdir()
    with pytest.raises(OSError, match="folder"):
        workspace.write("folder/secret.txt", b"owned")
    assert (tmp_path / "secret.txt").read_text() == "the secret"


def test_links_that_stay_inside_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("one")
    (tmp_path / "link.txt").symlink_to("real.txt")
    tools = tools_in(tmp_path)
    use(tools, "edit", path="link.txt", old="one", new="two")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "two"


def test_a_hard_link_elsewhere_keeps_its_content(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "other.txt").write_text("mine")
    os.link(tmp_path / "other.txt", tmp_path / "inside/a.txt")
    use(tools_in(tmp_path / "inside"), "write", path="a.txt", content="owned")
    assert (tmp_path / "other.txt").read_text() == "mine"


def test_unconfined_paths_go_anywhere(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    tools = tools_in(tmp_path / "inside", Autonomy.FULL)
    use(tools, "write", path=f"{tmp_path}/out.txt", content="x")
    assert use(tools, "read", path="../out.txt") == "x"


def test_pipes_and_devices_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    tools = tools_in(tmp_path)
    assert "no plain file" in failure(tools, "read", path="pipe")
    assert "no plain file" in failure(tools, "write", path="pipe", content="x")
    assert use(tools, "search", pattern="x") == "no match"
    assert "no plain file" in failure(tools_in(tmp_path, Autonomy.FULL), "read", path="/dev/zero")


def test_a_file_that_is_not_utf8_is_shown_and_edited_without_harm(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_bytes(b"caf\xe9 one\n")
    tools = tools_in(tmp_path)
    assert "not UTF-8" in use(tools, "read", path="old.txt")
    use(tools, "edit", path="old.txt", old="one", new="zwei")
    assert (tmp_path / "old.txt").read_bytes() == b"caf\xe9 zwei\n"


def test_a_binary_file_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"\x7fELF\0\0")
    assert "no text" in failure(tools_in(tmp_path), "read", path="b")


def test_of_a_large_file_only_what_fits_is_shown_and_the_rest_can_be_asked_for(tmp_path: Path) -> None:
    (tmp_path / "big.txt").write_text("".join(f"line {number}\n" for number in range(800_000)))
    tools = tools_in(tmp_path)
    head = use(tools, "read", path="big.txt")
    assert len(head) < 50_000
    assert head.endswith("of 800001]")
    assert use(tools, "read", path="big.txt", offset=700_001, limit=2).startswith("line 700000\nline 700001\n[lines")


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    with open(tmp_path / "huge", "wb") as file:
        file.truncate(LARGEST_FILE + 1)
    with pytest.raises(ToolFailed, match="larger"):
        Workspace(str(tmp_path), confined=True).read("huge")


def test_writing_keeps_a_files_mode_and_leaves_nothing_behind(tmp_path: Path) -> None:
    script = tmp_path / "run.sh"
    script.write_text("old")
    script.chmod(0o750)
    use(tools_in(tmp_path), "write", path="run.sh", content="new")
    assert script.stat().st_mode & 0o777 == 0o750
    assert os.listdir(tmp_path) == ["run.sh"]


def test_an_edit_wants_its_text_exactly_once(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one two one")
    tools = tools_in(tmp_path)
    assert "2 times" in failure(tools, "edit", path="a.txt", old="one", new="1")
    assert "does not stand there" in failure(tools, "edit", path="a.txt", old="three", new="3")
    use(tools, "edit", path="a.txt", old="one", new="1", all=True)
    assert (tmp_path / "a.txt").read_text() == "1 two 1"


def test_listing_and_searching(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/config").write_text("needle")
    (tmp_path / "src/a.py").write_text("hay\nneedle here\n")
    (tmp_path / "src/b.txt").write_text("needle too\n")
    tools = tools_in(tmp_path)
    assert use(tools, "list").split() == [".git/", "src/"]
    assert use(tools, "list", recursive=True).split() == [".git/", "src/", "src/a.py", "src/b.txt"]
    assert use(tools, "search", pattern="need.e", glob="*.py") == "src/a.py:2: needle here"
    assert use(tools, "search", pattern="too", path="src/b.txt") == "src/b.txt:1: needle too"


def test_an_expression_that_takes_for_ever_is_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conductor.agents.loop.search._DEADLINE_SECONDS", 0.2)
    (tmp_path / "a.txt").write_text("a" * 40 + "b")
    assert "took more than" in failure(tools_in(tmp_path), "search", pattern="(a+)+c")


@pytest.mark.parametrize(
    ("tool", "given", "said"),
    [
        ("read", {}, "path is missing"),
        ("read", {"path": 7}, "must be of type string"),
        ("read", {"path": "a", "limit": True}, "must be of type integer"),
        ("search", {"pattern": "("}, "no regular expression"),
        ("edit", {"path": "x", "old": "", "new": "y"}, "No such file"),
        ("fly", {}, "no tool 'fly'"),
        ("read", {"path": "x" * 5000}, "too long"),
    ],
)
def test_what_a_model_asks_wrongly_it_is_told(tmp_path: Path, tool: str, given: dict[str, object], said: str) -> None:
    assert said in failure(tools_in(tmp_path), tool, **given)
