"""Where things are in $CONDUCTOR_HOME, as seen from outside the queue."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Home:
    """An absolute path, and the names below it that people and several rooms know."""

    path: str

    @property
    def settings_file(self) -> str:
        return f"{self.path}/conductor.yaml"

    @property
    def queue(self) -> str:
        return f"{self.path}/queue"

    @property
    def results(self) -> str:
        return f"{self.path}/results.txt"

    @property
    def events(self) -> str:
        return f"{self.path}/events.jsonl"

    @property
    def tasks(self) -> str:
        return f"{self.path}/tasks"

    @property
    def status_page(self) -> str:
        return f"{self.path}/status.txt"

    @property
    def control_socket(self) -> str:
        return f"{self.path}/control.sock"

    @property
    def shared_socket(self) -> str:
        """Where members of a shared home ask; there only while its settings name a group."""
        return f"{self.path}/shared.sock"

    @property
    def daemon_lock(self) -> str:
        return f"{self.path}/conductord.lock"

    def task(self, task_id: str) -> str:
        return f"{self.tasks}/{task_id}"

    def attempt(self, task_id: str, attempt: int) -> str:
        return f"{self.tasks}/{task_id}/{attempt}"

    @property
    def database(self) -> str:
        return f"{self.path}/conductor.db"

    @property
    def projects(self) -> str:
        """A folder for each project: what its orchestrator keeps beside the store."""
        return f"{self.path}/projects"

    def project(self, name: str) -> str:
        """orchestrator.lock, heartbeat, wanted, log, worktrees/, checks/, context/."""
        return f"{self.projects}/{name}"
