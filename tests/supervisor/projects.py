"""Project folders as the command line leaves them, for tests with real orchestrators."""

from __future__ import annotations

from pathlib import Path

from conductor.domain.home import Home
from conductor.domain.service import ServiceFolder
from conductor.kit.process import identity_of
from tests.support import eventually

STAND_IN = str(Path(__file__).with_name("stand_in.py"))


class ProjectFolder:
    """One project's, and what its stand-in orchestrator wrote there."""

    def __init__(self, home: Home, name: str, mode: str = "works") -> None:
        self.name = name
        self.path = Path(home.project(name))
        self.files = ServiceFolder(str(self.path))
        self.path.mkdir(parents=True, exist_ok=True)
        self.behave(mode)

    def behave(self, mode: str) -> None:
        (self.path / "mode").write_text(mode)

    def want(self) -> None:
        Path(self.files.wanted).touch()

    def finish(self) -> None:
        (self.path / "finish").touch()

    def starts(self) -> list[int]:
        """The pids of all that were started, oldest first."""
        path = self.path / "starts"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def child(self) -> int:
        """The pid of what the stand-in started, 0 before."""
        path = self.path / "child"
        return int(path.read_text() or 0) if path.exists() else 0

    def settings(self) -> str:
        """What the last one that tells its settings was given."""
        path = self.path / "settings"
        return path.read_text() if path.exists() else ""

    def was_told(self) -> bool:
        return (self.path / "told").exists()

    def wait_for_start(self, number: int = 1) -> int:
        return eventually(lambda: self.starts()[number - 1 : number], what=f"start {number} of {self.name}")[0]


def is_gone(pid: int) -> bool:
    return identity_of(pid) is None
