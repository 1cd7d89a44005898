"""What kind of disk a path is on."""

from __future__ import annotations

import os
import re

_OCTAL = re.compile(r"\\([0-7]{3})")
NETWORK_TYPES = frozenset(
    "nfs nfs4 cifs smb3 smbfs afs 9p ceph glusterfs lustre "
    "fuse.sshfs fuse.glusterfs fuse.s3fs fuse.rclone fuse.gcsfuse".split()
)


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
