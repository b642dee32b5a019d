"""Scratch directories: what one process needs on a disk for a time, and who removes it when that process is killed.

A scratch directory is called ``HOST-xxxxxxxx`` and lies in ``aiohpo-UID`` in the system's temporary directory. Its
process holds a lock on it, which the kernel releases however the process ends. So the next process of the same user on
the same machine sees which directories have no owner left, and removes them (:func:`sweep`): a worker when it
starts, and when a process of its evaluator was killed; the supervisor of such a process when the worker is gone. The
latter runs this file without the package, so it imports the standard library only. (systemd-tmpfiles spares locked
directories, too.)
"""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import shutil
import stat
import tempfile
from pathlib import Path

_ATTEMPTS = 10


class Scratch:
    """A directory for this process alone, from now until :meth:`remove`. Raises ``OSError`` if it cannot be made."""

    def __init__(self) -> None:
        for _ in range(_ATTEMPTS):
            try:
                self.path = Path(tempfile.mkdtemp(prefix=_prefix(), dir=_made_place()))
                self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # another process removed it, or the one above it, before it could be locked
            if self._is_mine():
                return
            os.close(self._lock)
        raise FileNotFoundError(errno.ENOENT, "new directories keep vanishing", tempfile.gettempdir())

    def _is_mine(self) -> bool:
        """Lock the directory; say whether no other process took it for an abandoned one."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True  # a file system without locks: no process removes what it cannot lock
        return self.path.exists()

    def remove(self) -> None:
        """Remove the directory and all that is in it. Idempotent."""
        if self._lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1
            if self.path.parent == _place():
                try:
                    self.path.parent.rmdir()
                except OSError:
                    pass  # others are in it

    def __repr__(self) -> str:
        return f"<Scratch {self.path}{'' if self._lock >= 0 else ', removed'}>"


def sweep() -> None:
    """Remove the scratch directories of this user's processes on this machine that were killed."""
    try:
        if not _is_ours(_place()):
            return
        with os.scandir(_place()) as entries:
            found = [entry.path for entry in entries if entry.name.rpartition("-")[0] + "-" == _prefix()]
    except OSError:
        return
    for path in found:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(descriptor)
        except OSError:
            pass  # its process lives, or another one is removing it


def _place() -> Path:
    """Where this user's scratch directories are, whether or not there is such a directory."""
    return Path(tempfile.gettempdir()) / f"aiohpo-{os.geteuid()}"


def _is_ours(place: Path) -> bool:
    """Whether this is a directory in which no other user can put or replace anything. Raises ``OSError``."""
    found = os.lstat(place)
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def _made_place() -> Path:
    """Make that directory if need be. Where another user was faster, it is the system's temporary directory itself, in
    which nothing is swept."""
    place = _place()
    try:
        place.mkdir(0o700, exist_ok=True)
    except FileExistsError:
        return place.parent
    return place if _is_ours(place) else place.parent


def _prefix() -> str:
    return f"{platform.node().replace('/', '_')}-"
