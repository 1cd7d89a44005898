"""A disk that refuses while the work is done: worth waiting for."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from typing import TypeVar

_WAITS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
_MAY_PASS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)

Answer = TypeVar("Answer")


def patiently(deed: Callable[[], Answer]) -> Answer:
    """What `deed` answers, tried again for a quarter of a minute where the disk refuses. Raises its last OSError."""
    for wait in _WAITS:
        try:
            return deed()
        except OSError as error:
            if error.errno not in _MAY_PASS:
                raise
        time.sleep(wait)
    return deed()
