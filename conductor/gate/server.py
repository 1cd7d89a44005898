"""The gate of one attempt: it listens on loopback from the moment that it is made, and serves from `start` on."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from conductor.domain.agent_events import Call
from conductor.domain.agent_setup import ProviderSetup
from conductor.domain.errors import SettingsInvalid
from conductor.domain.masking import Masker
from conductor.gate.conversation import Conversation
from conductor.gate.exchange import Passage
from conductor.gate.forms import Exchanger, worthless_key
from conductor.gate.notes import Mailbox
from conductor.gate.upstream import Upstream, provider_address
from conductor.gate.wire import Wire
from conductor.ports import Endpoint, Log

if TYPE_CHECKING:
    import ssl

_BACKLOG = 128
_ENDING_SECONDS = 1.0
_TURN_SECONDS = 0.0005
"""How long the main thread, busy with an agent's output, keeps the interpreter when a byte waits here. Python's usual
5 ms add 10 ms to each answer."""


class GateServer:
    """One thread accepts, and each connection of the agent has one. All are gone soon after `close`."""

    def __init__(
        self,
        provider: ProviderSetup,
        key: str,
        *,
        log: Log | None = None,
        environment: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`environment` says which proxy and, where `tls` is not made yet, which certificates; `now` is in seconds
        since 1970. Raises SettingsInvalid, OSError."""
        address = provider_address(provider)
        if not re.fullmatch("[!-~]*", key):
            raise SettingsInvalid(
                f"provider {provider.name}: its key has a character that no key has, such as a line end"
            )
        token = worthless_key(provider.form, os.urandom)
        self._log = log
        self._passage = Passage(
            exchanger=Exchanger(provider.form, token, key, address.netloc, address.prefix),
            upstream=Upstream(address, os.environ if environment is None else environment, tls),
            mailbox=Mailbox(),
            masker=Masker((key, token)),
            now=now,
        )
        self._lock = threading.Lock()
        self._conversations: set[Conversation] = set()
        self._threads: set[threading.Thread] = set()
        self._closed = self._met_stranger = False
        self._usual_turn_seconds = sys.getswitchinterval()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
        self.endpoint = Endpoint(f"http://127.0.0.1:{self._listener.getsockname()[1]}", token)

    def start(self) -> None:
        self._usual_turn_seconds = sys.getswitchinterval()
        sys.setswitchinterval(min(self._usual_turn_seconds, _TURN_SECONDS))
        self._start_thread(self._accept)
        if self._passage.upstream.address.secure:
            self._start_thread(self._passage.upstream.prepare)

    def fileno(self) -> int:
        return self._passage.mailbox.fileno()

    def take(self) -> Sequence[Call]:
        return self._passage.mailbox.take()

    def refuse(self, reason: str) -> None:
        """From now on model calls are answered with `reason`, and those under way are cut."""
        self._passage.refused = reason
        for conversation in self._current():
            conversation.cut()

    def close(self) -> None:
        """Ends what is under way, which is told as incomplete: `take` once more after it. The port is free then."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        try:
            self._listener.shutdown(socket.SHUT_RDWR)  # also for a child that still holds it
        except OSError:
            pass
        self._listener.close()
        for conversation in self._current():
            conversation.hang_up()
        sys.setswitchinterval(self._usual_turn_seconds)
        deadline = time.monotonic() + _ENDING_SECONDS
        with self._lock:
            threads = set(self._threads)
        for thread in threads - {threading.current_thread()}:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._passage.upstream.close()
        self._passage.mailbox.close()

    def _current(self) -> set[Conversation]:
        with self._lock:
            return set(self._conversations)

    def _start_thread(self, work: Callable[[], None]) -> None:
        def run() -> None:
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are the main thread's
            try:
                work()
            finally:
                with self._lock:
                    self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=run, name="gate", daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                if self._closed:
                    return
                time.sleep(0.05)  # no more descriptors, for the moment
                continue
            try:
                self._start_thread(lambda sock=sock: self._converse(sock))  # type: ignore[misc]
            except RuntimeError:  # no more threads, for the moment: the agent will try again
                sock.close()

    def _converse(self, sock: socket.socket) -> None:
        conversation = Conversation(self._passage, Wire(sock), self._on_stranger)
        with self._lock:
            if self._closed:
                sock.close()
                return
            self._conversations.add(conversation)
        try:
            conversation.run()
        except Exception as error:  # the edge of the room: one connection is lost, not the agent's run
            self._on_fault(error)
        finally:
            with self._lock:
                self._conversations.discard(conversation)

    def _on_fault(self, error: Exception) -> None:
        if self._log is not None:
            import traceback

            told = self._passage.masker.mask("".join(traceback.format_exception(error)))
            self._log.error("gate_failed", error=str(type(error).__name__), traceback=told)

    def _on_stranger(self, path: str) -> None:
        """Claude Code looks at `/` without a key as it starts: that is no news."""
        if self._log is not None and not self._met_stranger and path != "/":
            self._met_stranger = True
            self._log.warning("gate_refused_stranger", path=path[:200])


class Gates:
    """Opens gates; a GateFactory. One in a nursery, made ready before it forks, spares each worker the time and memory
    of TLS (30 ms, 1.5 MiB of its own)."""

    def __init__(self, environment: Mapping[str, str], log: Log | None = None) -> None:
        self._environment, self._log = environment, log
        self._tls: ssl.SSLContext | None = None

    def make_ready(self, provider: ProviderSetup) -> None:
        """Loads what a gate to `provider` needs. Raises SettingsInvalid; OSError when certificates can't be read."""
        if provider_address(provider).secure and self._tls is None:
            from conductor.gate.tls import trusting_context

            self._tls = trusting_context(self._environment)

    def __call__(self, provider: ProviderSetup, key: str) -> GateServer:
        """Raises SettingsInvalid, OSError."""
        return GateServer(provider, key, log=self._log, environment=self._environment, tls=self._tls)


def open_gate(provider: ProviderSetup, key: str, log: Log | None = None) -> GateServer:
    """The gate to `provider` with the real `key`, with this process's proxy and certificates."""
    return Gates(os.environ, log)(provider, key)
