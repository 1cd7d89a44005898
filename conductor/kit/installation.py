"""The files of the package on disk, which an upgrade changes under a running process."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_VERSION = re.compile(r'^__version__ = "([^"]{1,64})"$', re.MULTILINE)
_LONGEST = 65_536


@dataclass(frozen=True, slots=True)
class Installation:
    """`fingerprint` is another one whenever a file of the package was replaced, added or removed."""

    version: str
    fingerprint: str


def installation(folder: str = PACKAGE) -> Installation | None:
    """What lies there now; None where it can't be read: it is being replaced, or gone."""
    try:
        with open(f"{folder}/__init__.py", encoding="utf-8") as file:
            found = _VERSION.search(file.read(_LONGEST))
        digest = hashlib.blake2b("\n".join(sorted(_signatures(folder, ""))).encode("utf-8", "surrogateescape"))
    except (OSError, UnicodeDecodeError):
        return None
    return Installation(found[1], digest.hexdigest()[:16]) if found else None


def _signatures(folder: str, below: str) -> Iterator[str]:
    """One for each file; what Python itself writes beside them is left out."""
    with os.scandir(f"{folder}/{below}") as entries:
        for entry in entries:
            if entry.name == "__pycache__" or entry.name.endswith(".pyc"):
                continue
            name = f"{below}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from _signatures(folder, f"{name}/")
            else:
                found = entry.stat()
                yield f"{name} {found.st_size} {found.st_mtime_ns}"
