"""Which variables of conductor's own environment the programs that it starts for others may see: an allow-list."""

from __future__ import annotations

from collections.abc import Mapping

_ALLOWED = frozenset(
    "PATH HOME USER LOGNAME SHELL LANG LANGUAGE TZ TMPDIR TERM COLORTERM "
    "SSL_CERT_FILE SSL_CERT_DIR CURL_CA_BUNDLE REQUESTS_CA_BUNDLE NODE_EXTRA_CA_CERTS GIT_SSL_CAINFO "
    "HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY http_proxy https_proxy no_proxy all_proxy".split()
)
_ALLOWED_PREFIXES = ("LC_", "XDG_")


def inherited_environment(own: Mapping[str, str], also_pass: tuple[str, ...] = ()) -> dict[str, str]:
    """What of `own` is passed on: no keys, nothing of conductor's. `also_pass`: `NAME` or `PREFIX*`."""
    names = frozenset(name for name in also_pass if not name.endswith("*"))
    prefixes = (*_ALLOWED_PREFIXES, *(name[:-1] for name in also_pass if name.endswith("*")))
    inherited = {
        name: value
        for name, value in own.items()
        if (name in _ALLOWED or name in names or name.startswith(prefixes)) and not name.startswith("CONDUCTOR_")
    }
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", **inherited}
