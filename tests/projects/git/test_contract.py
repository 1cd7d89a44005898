"""The contract of repositories, kept by the real one and by the one in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from conductor.ports.orchestration import Repository
from conductor.testing.memory_repository import MemoryRepository
from conductor.testing.repository_contract import RepositoryContract
from tests.projects.git.world import commit_files, git, make_repository, make_workspace


class TestGitRepository(RepositoryContract):
    def make_repository(self, folder: Path, files: dict[str, bytes]) -> Repository:
        self.workspace = make_workspace(folder, files)
        return make_repository(folder, self.workspace)

    def target_files(self, repository: Any) -> dict[str, bytes]:
        names = git(self.workspace, "ls-tree", "-r", "--name-only", "main").split("\n")
        assert git(self.workspace, "status", "--porcelain") == ""
        return {name: (self.workspace / name).read_bytes() for name in names}

    def commit_to_target(self, repository: Any, files: dict[str, bytes]) -> None:
        commit_files(self.workspace, files)


class TestMemoryRepository(RepositoryContract):
    def make_repository(self, folder: Path, files: dict[str, bytes]) -> Repository:
        return MemoryRepository(str(folder), files)

    def target_files(self, repository: Any) -> dict[str, bytes]:
        found: dict[str, bytes] = repository.files("main")
        return found

    def commit_to_target(self, repository: Any, files: dict[str, bytes]) -> None:
        repository.commit_to_target(files)
