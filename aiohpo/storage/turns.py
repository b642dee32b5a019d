"""Turns: processes that ask for configurations in one run directory do so one after the other.

Each reads what the others wrote before it chooses. Two that chose at the same moment would not know of each other, and
choose the same.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..files import open_to_write

WITHIN = 10.0  # seconds
_LOOK_AGAIN = 0.005  # seconds


@contextmanager
def turn(lock: Path) -> Iterator[None]:
    """Within the block no other process is in such a block with the same file. One that hangs there is waited for no
    longer than :data:`WITHIN`; where the file system has no locks, nothing is waited for."""
    descriptor = open_to_write(lock)
    try:
        end = time.monotonic() + WITHIN
        while not _is_locked(descriptor) and time.monotonic() < end:
            time.sleep(_LOOK_AGAIN)
        yield
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int) -> bool:
    """Try to lock a file, and say whether that is done; True where it will never be possible."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True
