"""Programs of other people that conductor calls on a project's behalf, git, gh and openclaw: how, and with what."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from conductor.domain.errors import RepositoryBroken
from conductor.domain.inherited import inherited_environment
from conductor.domain.masking import Masker
from conductor.kit.process import set_parent_death_signal

_ALSO = (
    "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH", "GIT_SSH", "GIT_SSH_COMMAND",
    "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL",
    "SSH_AUTH_SOCK", "SSH_AGENT_PID", "DBUS_SESSION_BUS_ADDRESS",
    "GH_*", "GITHUB_TOKEN", "GITHUB_ENTERPRISE_TOKEN",
    "OPENCLAW_*",
)  # fmt: skip
"""What these programs find their logins by. Every other GIT_ variable could lead to another repository."""
_NEVER_ASK = {
    "GIT_TERMINAL_PROMPT": "0",
    "GCM_INTERACTIVE": "never",
    "GH_PROMPT_DISABLED": "1",
    "GH_NO_UPDATE_NOTIFIER": "1",
    "NO_COLOR": "1",
    "LC_ALL": "C",
}
GIT = (
    "git",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.askPass=",
    "-c",
    "gc.auto=0",
    "-c",
    "maintenance.auto=false",
)
"""No hook and no watcher of the repository is run: agents can write them."""
_MOST_TOLD = 2000


def tool_environment(environment: Mapping[str, str], also_pass: tuple[str, ...] = ()) -> dict[str, str]:
    """No model keys; nobody is asked for a password."""
    return {**inherited_environment(environment, (*_ALSO, *also_pass)), **_NEVER_ASK}


def _end_with_us() -> None:
    """What a killed one of us began must not go on beside the one that does it again."""
    set_parent_death_signal(signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Answer:
    code: int
    out: str
    told: str
    """Its standard error, masked."""

    @property
    def fault(self) -> str:
        return (self.told.strip() or self.out.strip() or f"exit code {self.code}")[-_MOST_TOLD:]


@dataclass(frozen=True, slots=True)
class Tools:
    """Calls one program and waits for it, with a deadline: for a person who waits too, not for a loop."""

    environment: Mapping[str, str]
    """As `tool_environment` makes it."""
    deadline_seconds: float = 120.0

    def run(self, *argv: str, folder: str = "/", stdin: str = "") -> Answer:
        """Raises RepositoryBroken where it can't be started or takes too long."""
        try:
            done = subprocess.run(
                argv,
                cwd=folder,
                env=self.environment,
                input=stdin.encode("utf-8", "surrogateescape"),
                capture_output=True,
                timeout=self.deadline_seconds,
                check=False,
                start_new_session=True,  # no terminal to ask at
                preexec_fn=_end_with_us,
            )
        except subprocess.TimeoutExpired:
            raise RepositoryBroken(f"{argv[0]} took longer than {self.deadline_seconds:.0f} s in {folder}") from None
        except FileNotFoundError as error:
            missing = argv[0] if error.filename == argv[0] else folder
            raise RepositoryBroken(f"can't run {argv[0]} in {folder}: there is no {missing}") from None
        except OSError as error:
            raise RepositoryBroken(f"can't run {argv[0]} in {folder}: {error.strerror}") from None
        told = Masker().mask(done.stderr.decode("utf-8", "replace"))
        return Answer(done.returncode, done.stdout.decode("utf-8", "surrogateescape"), told)

    def git(self, folder: str, *arguments: str, ok: tuple[int, ...] = (0,)) -> Answer:
        """Raises RepositoryBroken where git ends otherwise than `ok`."""
        answer = self.run(*GIT, *arguments, folder=folder)
        if answer.code not in ok:
            raise RepositoryBroken(f"git {arguments[0]} in {folder}: {answer.fault}")
        return answer
