"""Bad task lines and bad files, by `conductor submit` and by the inbox: each is answered, none stops the others."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conductor.app.submitting import Defaults, with_agent
from conductor.cli.submit import _finished, _read_line, submit
from conductor.domain.errors import BadTask, UsageError
from conductor.domain.home import Home
from conductor.domain.lines import format_task, parse_description, parse_task, seal, unseal
from conductor.domain.task import MAX_DESCRIPTION_BYTES, TaskSpec
from conductor.kit import durable
from tests.faults.stories import Scene
from tests.support import clean_environment, run_cli

MUTATIONS = 10_000
SEED = 20261121
GOOD_LINES = (
    rb"ID|pytest -q|coder|high|agent=command|priority=5|retries=2",
    rb"|echo a \| sort|||agent=command|env=NAME=a\\b|workspace=/tmp",
    rb"b.ID|two\nlines|||agent=command|timeout=10m|stall_timeout=30|pool=night",
    "c_ID|Gr\u00fc\u00dfe \U0001f680|||agent=command|not_before=1800000000000|submitted=1".encode(),
    rb"dID|plain||",
)
PIECES = (*b"|\\=\n\r\0\t #~/.-%@", b"|" * 9, b"\\", b"\\x", b"..", b"\xff\xfe", b"\xed\xa0\x80", b"=" * 5, b"9" * 5000)
BAD_IDS = ("", "/", "..", "../up", "a/b", "a\nb", "a|b", ".hidden", "-rf", "a b", "a~b", "x" * 65, "\u00e9", "a\0b")


def mutated(chance: random.Random, number: int) -> bytes:
    """A good line with one to four pieces of it removed, doubled, changed or put in."""
    line = chance.choice(GOOD_LINES).replace(b"ID", b"%d" % number)
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(line) + 1)
        end = min(len(line), start + chance.choice((0, 1, 1, 3, 12)))
        piece = chance.choice(PIECES)
        new = bytes([piece]) if isinstance(piece, int) else piece
        if chance.random() < 0.3:
            new = chance.choice((b"", line[start:end] * 2, chance.randbytes(3)))
        line = line[:start] + new + line[end:]
    return line


@pytest.fixture
def scene(home: Home, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A queue on a fresh home; nothing here needs to reach the disk."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    made = Scene(home)
    assert made.queue.counts().pending == 0
    return made


def move_in(home: Home, content: bytes, name: str = "lines") -> None:
    """As a stranger should: written elsewhere, then moved into inbox/."""
    Path(f"{home.path}/outside").write_bytes(content)
    os.rename(f"{home.path}/outside", f"{home.queue}/inbox/{name}")


def tend(scene: Scene, agent: str = "command") -> tuple[int, list[str]]:
    """Housekeeping until nothing is left to do: how many tasks came in, and why others did not."""
    accepted, refused = 0, []
    while True:
        tended = scene.queue.tend(agent)
        accepted += tended.accepted
        refused += tended.refused
        if not tended.more:
            return accepted, refused


def corrupt(home: Home) -> dict[str, str]:
    """What lies in corrupt/, each with the reason beside it."""
    folder = Path(home.queue, "corrupt")
    names = [path.name for path in folder.iterdir() if not path.name.endswith(".reason")]
    return {name: (folder / f"{name}.reason").read_text(encoding="utf-8") for name in names}


def claim_all(scene: Scene) -> list[TaskSpec]:
    claimed = []
    while (claim := scene.queue.claim("default", scene.new_worker())) is not None:
        claimed.append(claim.spec)
    return claimed


# -- submit


def submit_lines(home: Home, stdin: bytes) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "conductor", "submit", "--agent", "command", "--lines", "-"]
    return subprocess.run(command, input=stdin, env=clean_environment(home), capture_output=True, timeout=60)


def options(**given: Any) -> dict[str, Any]:
    """What click hands to `conductor submit --lines -` when nothing else is said."""
    flags = {parameter.name: None for parameter in submit.params if parameter.name}
    return {**flags, "env": (), "lines": True, **given}


def test_ten_thousand_mutated_lines_are_accepted_whole_or_refused_with_a_reason() -> None:
    # given mutations of good lines, as `conductor submit --lines -` reads them
    chance = random.Random(SEED)
    accepted = refused = 0
    complete = partial(with_agent, defaults=Defaults("command", (), {}, lambda spec: spec))
    for number in range(MUTATIONS):
        text = mutated(chance, number).decode("utf-8", "surrogateescape")
        # when each is read
        try:
            spec = _finished(_read_line(parse_description(text)), options(), complete, "given")
        except UsageError:
            refused += 1
            continue
        # then it is refused as wrong usage, or what is written down for it is read back as the same task
        assert parse_task(unseal(seal(format_task(spec)))) == spec
        accepted += 1
    assert accepted > 1000
    assert refused > 1000


@pytest.mark.parametrize("task_id", BAD_IDS, ids=ascii)
def test_a_bad_id_is_refused_by_the_queue(scene: Scene, task_id: str) -> None:
    # given a task with an id that could leave its folder or confuse a name
    # when it is submitted alone or with others, then it is refused and nothing of it or of them stays
    spec, good = TaskSpec(id=task_id, description="true"), TaskSpec(id="good", description="true")
    with pytest.raises(BadTask, match="task id"):
        scene.queue.submit(spec)
    with pytest.raises(BadTask, match="task id"):
        scene.queue.submit_many([good, spec])
    assert scene.queue.counts().pending == 0
    assert os.listdir(f"{scene.home.queue}/tmp") == []


@pytest.mark.parametrize("task_id", [task_id for task_id in BAD_IDS if "\0" not in task_id], ids=ascii)
def test_a_bad_id_is_a_usage_error_of_the_command(home: Home, task_id: str) -> None:
    # when the command is given a bad id (none at all is made up)
    ended = run_cli(home, "submit", "--agent", "command", f"--id={task_id or '/'}", "true")
    # then it says so in one line and exits as for wrong usage
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "task id" in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("stdin", "said"),
    [
        (b"ok|true||\n\xff\xfe|true||\n", "not UTF-8 (byte 10)"),
        ("ok|true||\n".encode("utf-16"), "not UTF-8"),
        (b"ok|true||\nhalf|a li", "line 2: a task line has at least four fields"),
        (b"ok|true||\nok2|" + b"x" * (MAX_DESCRIPTION_BYTES + 1) + b"||\n", "line 2: the description is longer than"),
        (b"ok|true||\n../x|true||\n", "line 2: task id '../x'"),
        (b"ok|true||\nnul|a\0b||\n", "line 2: the description holds a NUL byte"),
        (b"ok|true||\nok|false||\n", "task id 'ok' is taken"),
    ],
    ids=["latin-1", "utf-16", "half-a-line", "over-1-MiB", "dots", "nul", "twice"],
)
def test_one_bad_line_refuses_the_whole_submit(home: Home, stdin: bytes, said: str) -> None:
    # given lines of which one is bad
    # when they are submitted together
    ended = submit_lines(home, stdin)
    # then the fault is named in one line and nothing was submitted
    assert ended.returncode == 2
    assert ended.stdout == b""
    assert said in ended.stderr.decode()
    assert ended.stderr.count(b"\n") == 1
    assert Scene(home).queue.counts().pending == 0


def test_the_longest_description_is_accepted_and_one_byte_more_is_not(scene: Scene) -> None:
    # given a description of exactly 1 MiB that needs escapes, and one a byte longer
    longest = "|\n" * (MAX_DESCRIPTION_BYTES // 2)
    # when they are submitted
    scene.queue.submit(TaskSpec(id="longest", description=longest))
    with pytest.raises(BadTask, match="longer than"):
        scene.queue.submit(TaskSpec(id="longer", description=longest + "x"))
    # then the first comes out as it went in
    assert [spec.description for spec in claim_all(scene)] == [longest]


# -- inbox


def test_ten_thousand_mutated_lines_in_the_inbox_are_tasks_or_in_corrupt(scene: Scene) -> None:
    # given a file of mutated lines, which need not even be text
    chance = random.Random(SEED)
    content = b"\n".join(mutated(chance, number) for number in range(MUTATIONS))
    whole = [line.removesuffix(b"\r") for line in content.split(b"\n")]
    meant = [line for line in whole if line.strip() and not line.lstrip().startswith(b"#")]
    move_in(scene.home, content)
    # when it is taken in
    accepted, refused = tend(scene)
    # then each line became a task or lies in corrupt/ with its reason, and every task can be claimed
    assert accepted + len(refused) == len(meant)
    assert min(accepted, len(refused)) > 1000
    (kept,) = corrupt(scene.home)
    assert Path(scene.home.queue, "corrupt", kept).read_bytes().count(b"\n") == len(refused)
    assert corrupt(scene.home)[kept].splitlines() == refused
    counts = scene.queue.counts()
    assert counts.ready + counts.waiting == accepted
    assert len(claim_all(scene)) > 100
    assert counts.corrupt == len(corrupt(scene.home)) == 1


BAD_CONTENTS: dict[str, tuple[bytes, int]] = {
    "empty": (b"", 0),
    "blank": (b"\n\n  \n\r\n", 0),
    "binary": (bytes(range(256)) * 40, 0),
    "half a line": (b"one|true||\ntwo|tr", 1),
    "no newline": (b"one|true||\ntwo|true||", 2),
    "windows line ends": (b"one|true||\r\ntwo|true||\r\n", 2),
    "latin-1": (b"one|true||\ntwo|gr\xfc\xdfe||\n", 1),
    "utf-16": ("one|true||\n".encode("utf-16"), 0),
    "byte order mark": (b"\xef\xbb\xbfone|true||\ntwo|true||\n", 1),
    "a line over 1 MiB": (b"one|true||\ntwo|" + b"x" * (MAX_DESCRIPTION_BYTES + 1) + b"||\n", 1),
    "a line of 9 MiB without a field": (b"x" * 9_000_000 + b"\none|true||\n", 1),
    "the same id twice": (b"one|true||\none|true||\n", 1),
    "bad ids": (b"".join(f"{i}|true||\n".encode() for i in BAD_IDS if i) + b"one|true||\n", 2),
}


@pytest.mark.parametrize("kind", BAD_CONTENTS, ids=lambda kind: kind.replace(" ", "-"))
def test_a_bad_file_in_the_inbox_gives_what_it_holds_and_a_reason_for_the_rest(scene: Scene, kind: str) -> None:
    # given a bad file in the inbox and a good one behind it
    content, good = BAD_CONTENTS[kind]
    move_in(scene.home, content, "1-bad")
    move_in(scene.home, b"last|true||\n", "2-good")
    # when they are taken in
    accepted, refused = tend(scene)
    # then good lines are tasks, each other line that is not blank has a reason, and nothing is left in the inbox
    assert accepted == good + 1
    assert "last" in {spec.id for spec in claim_all(scene)}
    assert bool(refused) is bool(corrupt(scene.home))
    assert sum(reason.count("\n") for reason in corrupt(scene.home).values()) == len(refused)
    assert os.listdir(f"{scene.home.queue}/inbox") == []
    assert os.listdir(f"{scene.home.queue}/tmp") == []


def _folder(path: str) -> None:
    os.makedirs(f"{path}/below")


def _socket(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))


def _huge(path: str) -> None:
    Path(path).write_bytes(b"")
    os.truncate(path, 257 << 20)


ODDITIES: dict[str, Callable[[str], None]] = {
    "folder": _folder,
    "fifo": os.mkfifo,
    "socket": _socket,
    "dangling link": lambda path: os.symlink("/nowhere", path),
    "link to a file of another": lambda path: os.symlink("/etc/passwd", path),
    "link to itself": lambda path: os.symlink(path, path),
    "file of 257 MiB": _huge,
}
BATCH_NAMES = ("b-1.batch", "b-1@7.batch")
ODD_NAMES = ("plain", "a b\tc\n", "\U0001f680" * 60, "x" * 255, os.fsdecode(b"\xff\xfe"), "b-1.raw", *BATCH_NAMES)


@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
@pytest.mark.parametrize("kind", ODDITIES, ids=lambda kind: kind.replace(" ", "-"))
def test_what_is_no_file_in_the_inbox_goes_to_corrupt(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    # given something in the inbox that is not a file of lines, under any name, and a good file behind it
    monkeypatch.chdir(f"{scene.home.queue}/inbox")
    if kind == "socket" and len(os.fsencode(name)) > 100:
        pytest.skip("a socket's name is shorter")
    if kind == "file of 257 MiB" and name in BATCH_NAMES:
        pytest.skip("a batch may be as large as it likes")
    ODDITIES[kind](f"{scene.home.queue}/inbox/{name}")
    move_in(scene.home, b"last|true||\n", "~good")
    # when the inbox is looked at
    tend(scene)
    # then it lies in corrupt/ with a reason, and the good one was taken in
    assert [spec.id for spec in claim_all(scene)] == ["last"]
    assert len(corrupt(scene.home)) == 1
    assert all(len(reason) > 10 for reason in corrupt(scene.home).values())
    assert os.listdir(f"{scene.home.queue}/inbox") == []


@pytest.mark.parametrize(("cut", "whole"), [(1, 2), (5, 1), (36, 1), (60, 0), (70, 0)])
def test_a_torn_batch_gives_its_whole_lines_and_the_torn_one_a_reason(scene: Scene, cut: int, whole: int) -> None:
    # given an accepted batch of two lines of 36 bytes whose last bytes the disk lost
    scene.queue.submit_many([TaskSpec(id=task_id, description="true", agent="command") for task_id in ("a", "b")])
    (batch,) = Path(scene.home.queue, "inbox").iterdir()
    content = batch.read_bytes()[:-cut]
    batch.write_bytes(content)
    # when it is unpacked
    accepted, refused = tend(scene)
    # then nothing of it has vanished: a line is whole without its line end, and a torn one is kept
    torn = [line for line in content.split(b"\n")[whole:] if line]
    assert accepted == whole
    assert len(refused) == len(torn)
    assert [Path(scene.home.queue, "corrupt", name).read_bytes().strip() for name in corrupt(scene.home)] == torn


def test_bad_lines_refused_in_the_same_moment_are_all_kept(scene: Scene) -> None:
    # given a batch whose every line was changed, and a clock that stands still
    Path(scene.home.queue, "inbox", "b-1.batch").write_bytes(b"a|1||\nb|2||\nc|3||\n")
    # when it is unpacked
    _, refused = tend(scene)
    # then each line has its own file in corrupt/ and its own reason
    assert len(refused) == len(corrupt(scene.home)) == 3
    kept = {Path(scene.home.queue, "corrupt", name).read_bytes() for name in corrupt(scene.home)}
    assert kept == {b"a|1||\n", b"b|2||\n", b"c|3||\n"}


def test_without_an_agent_no_line_reaches_a_shell(scene: Scene) -> None:
    # given plain prose in the inbox, and no default agent
    move_in(scene.home, b"p|rm -rf the old logs, please||\n")
    # when it is looked at, then it is refused and says how to choose
    accepted, refused = tend(scene, agent="")
    assert accepted == 0
    assert ["agent=command" in reason for reason in refused] == [True]
    assert len(corrupt(scene.home)) == 1


def test_a_refused_disk_leaves_the_inbox_as_it_is(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a disk that refuses every write
    move_in(scene.home, b"one|true||\n")

    def refuse(descriptor: int, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(durable, "write_all", refuse)
        # when the inbox is looked at, then nothing comes in and the reason reaches the caller
        accepted, refused = tend(scene)
        assert accepted == 0
        assert ["No space left" in reason for reason in refused] == [True]
    # and it is taken in when there is room again
    assert tend(scene) == (1, [])
    assert corrupt(scene.home) == {}
