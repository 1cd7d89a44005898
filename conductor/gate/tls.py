"""TLS to the provider, its certificate checked. Loaded only where a provider is reached by https."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping

from conductor.gate.wire import Wire


def trusting_context(environment: Mapping[str, str]) -> ssl.SSLContext:
    """Trusts what SSL_CERT_FILE or SSL_CERT_DIR name, else what the system trusts. Raises OSError when they can't
    be read."""
    file, directory = environment.get("SSL_CERT_FILE") or None, environment.get("SSL_CERT_DIR") or None
    try:
        context = ssl.create_default_context(cafile=file, capath=None if file else directory)
    except OSError as error:
        raise OSError(f"the certificates in {file or directory or 'the system'} can't be read: {error}") from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def secured(sock: socket.socket, host: str, context: ssl.SSLContext) -> Wire:
    """Shakes hands, at most as long as `sock` waits. Raises OSError."""
    return TlsWire(context.wrap_socket(sock, server_hostname=host, suppress_ragged_eofs=False))


class TlsWire(Wire):
    def read(self) -> bytes | None:
        try:
            return super().read()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except ssl.SSLZeroReturnError:
            return b""

    def write(self, raw: memoryview) -> int:
        try:
            return super().write(raw)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0
