"""What kind of disk a path is on; trees that go."""

from __future__ import annotations

import os
import re
from contextlib import suppress

_OCTAL = re.compile(r"\\([0-7]{3})")
NETWORK_TYPES = frozenset(
    "nfs nfs4 cifs smb3 smbfs afs 9p ceph glusterfs lustre "
    "fuse.sshfs fuse.glusterfs fuse.s3fs fuse.rclone fuse.gcsfuse".split()
)


def remove_tree(folder: str) -> None:
    """Removes `folder` and all in it as far as it can; links are not followed, `folder` itself is one of them too."""
    if os.path.islink(folder):
        with suppress(OSError):
            os.unlink(folder)
        return
    _open_up(folder)  # an agent may have closed it
    for path, folders, _ in os.walk(folder):
        for name in folders:
            _open_up(f"{path}/{name}")
    for path, folders, files in os.walk(folder, topdown=False):
        for name in (*files, *folders):
            with suppress(OSError):
                inside = f"{path}/{name}"
                (os.rmdir if name in folders and not os.path.islink(inside) else os.unlink)(inside)
    with suppress(OSError):
        os.rmdir(folder)


def _open_up(folder: str) -> None:
    if not os.path.islink(folder) and not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        with suppress(OSError):
            os.chmod(folder, 0o700)


def filesystem_type(path: str, mountinfo: str = "/proc/self/mountinfo") -> str:
    """The type (`ext4`, `nfs4`) of the file system that holds `path`, from the longest mount point above it."""
    real, best, kind = os.path.realpath(path), "", "unknown"
    with open(mountinfo, encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields = line.split(" ")
            point = fields[4] if "\\" not in fields[4] else _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4])
            inside = real == point or real.startswith(point.rstrip("/") + "/")
            if inside and len(point) >= len(best):
                best, kind = point, fields[fields.index("-") + 1]
    return kind
