"""Files that other users may have put there, and the modes of the files and directories that aiohpo makes.

Several people may be able to write to a directory that a search uses: a run directory, or one in which workers meet.
Opening what lies there must not wait (a FIFO), reading it must end (a link to ``/dev/zero``), and writing must not go
through a link to a file elsewhere. So only regular files are opened, and no more is read than what is expected.

Everything that aiohpo makes has one of two policies, whatever the umask says:

    =========  ===========  =====  ===========================================
    policy     directories  files  who has access
    =========  ===========  =====  ===========================================
    private    0700         0600   the owner
    shared     2770         0660   the owner and the directory's group
    =========  ===========  =====  ===========================================

A file follows the directory that it is made in, so the policy of a run directory is settled once, when its
directories are made.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import time
from collections.abc import Iterable
from pathlib import Path

PRIVATE_DIRECTORY, SHARED_DIRECTORY = 0o700, 0o2770
PRIVATE_FILE, SHARED_FILE = 0o600, 0o660
UNFINISHED = ".new"  # how the names of files end that are being written
_CHUNK = 1 << 24
_ABANDONED_AFTER = 3600.0  # seconds


# --------------------------------------------------------------------------------------------------- reading
class NotRegular(OSError):
    """What was to be opened is a directory, a FIFO, a device, a socket, or a link that must not be followed."""


def open_regular(path: str | Path, flags: int = os.O_RDONLY) -> int:
    """Open a regular file and return its descriptor. Raises ``OSError``, :class:`NotRegular` for anything else, without
    waiting for it."""
    try:
        descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENODEV, errno.ELOOP, errno.EISDIR):
            raise NotRegular(error.errno, "it is not a regular file", str(path)) from None
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotRegular(errno.EINVAL, "it is not a regular file", str(path))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_regular(path: str | Path, most: int) -> bytes:
    """Return the content of a regular file of ``most`` bytes or fewer. Raises ``OSError`` for anything else."""
    descriptor = open_regular(path)
    try:
        size = os.fstat(descriptor).st_size
        data = read_at(descriptor, 0, most + 1) if size <= most else b""
    finally:
        os.close(descriptor)
    if max(size, len(data)) > most:  # what the kernel makes up as it is read (/proc) has no size
        raise OSError(errno.EFBIG, f"it is larger than {most} bytes", str(path))
    return data


def read_at(descriptor: int, offset: int, most: int) -> bytes:
    """Return the bytes of an open file from ``offset`` on, at most ``most`` of them."""
    parts, end = [], offset + most
    while offset < end and (part := os.pread(descriptor, min(end - offset, _CHUNK), offset)):
        parts.append(part)
        offset += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


# --------------------------------------------------------------------------------------------------- writing
def is_shared(directory: str | Path) -> bool:
    """Whether this directory was opened to its group only, by :func:`make_directory`."""
    return _is_shared_mode(os.stat(directory or ".").st_mode)


def _is_shared_mode(mode: int) -> bool:
    return mode & (SHARED_DIRECTORY | 0o007) == SHARED_DIRECTORY


def make_directory(path: Path, *, shared: bool | None = None, parents: bool = False) -> None:
    """Make a directory unless it is there; None: ``shared`` if the one above it is. ``parents`` that are missing get
    the mode that the umask gives. Raises ``OSError``."""
    try:
        path.mkdir(PRIVATE_DIRECTORY, parents=parents)
    except FileExistsError:
        if not path.is_dir():
            raise
        return
    if is_shared(path.parent) if shared is None else shared:
        os.chmod(path, SHARED_DIRECTORY)
    elif os.stat(path).st_mode & 0o777 != PRIVATE_DIRECTORY:
        os.chmod(path, PRIVATE_DIRECTORY)  # an unusual umask took even the owner's rights


def share_with_group(root: Path, unchangeable: str) -> None:
    """Give a directory of this user's, and everything of theirs in it, the shared policy. The group may not write to
    files that are called ``unchangeable``. Raises ``OSError`` if that is not possible for the directories."""
    group = os.stat(root).st_gid
    for folder, _, names in os.walk(root):
        os.chown(folder, -1, group)
        os.chmod(folder, SHARED_DIRECTORY)
        for name in names:
            try:
                descriptor = open_regular(os.path.join(folder, name), os.O_RDONLY | os.O_NOFOLLOW)
                try:
                    os.fchown(descriptor, -1, group)
                    os.fchmod(descriptor, SHARED_FILE & ~0o020 if name == unchangeable else SHARED_FILE)
                finally:
                    os.close(descriptor)
            except OSError:
                pass  # another user's, or removed meanwhile
    if not is_shared(root):
        raise OSError(
            errno.EPERM, "its mode cannot be changed to 2770: only a member of its group can do that", str(root)
        )


def open_to_write(path: str | Path, flags: int = os.O_WRONLY) -> int:
    """Open a regular file to write to and return its descriptor; a new one gets its directory's policy.

    Never goes through a symbolic link. Raises ``OSError``.
    """
    try:
        descriptor = create_file(path, flags)
    except FileExistsError:
        descriptor = open_regular(path, flags | os.O_NOFOLLOW)
    return descriptor


def create_file(path: str | Path, flags: int = os.O_WRONLY, mode: int | None = None) -> int:
    """Make a file with ``mode``, None: its directory's policy, and return its descriptor. Raises ``FileExistsError`` if
    there is anything of that name, also a dangling link."""
    if mode is None:
        mode = SHARED_FILE if is_shared(os.path.dirname(path)) else PRIVATE_FILE
    descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        if os.fstat(descriptor).st_mode & 0o777 != mode:
            os.fchmod(descriptor, mode)
    except OSError:
        pass  # a file system that keeps no modes
    return descriptor


def write_file(path: str | Path, data: bytes, *, mode: int | None = None, durable: bool = False) -> None:
    """Write a new file. ``durable``: it outlives the machine. Raises ``OSError``, and leaves no part of it then."""
    descriptor = create_file(path, mode=mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
    except BaseException:
        os.unlink(path)  # a full disk should not fill up with halves
        raise


def replace_file(path: str | Path, data: bytes, *, mode: int | None = None) -> None:
    """Put a new file in the place of whatever bears its name, at once: readers see the old one or the new one, and a
    link there is not followed. Raises ``OSError``, and leaves no part of it then."""
    temporary = f"{path}.{secrets.token_hex(4)}{UNFINISHED}"
    write_file(temporary, data, mode=mode)
    try:
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def remove_unfinished(paths: Iterable[Path]) -> None:
    """Remove those of these files that have not changed for an hour: processes that were killed began them."""
    for path in paths:
        try:
            if time.time() - path.lstat().st_mtime > _ABANDONED_AFTER:
                path.unlink()
        except OSError:
            pass  # another process was faster


def sync_directory(path: str | Path) -> None:
    """Make the names of new files in a directory outlive the machine, where the file system can do that."""
    try:
        descriptor = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError:
        pass  # some file systems cannot sync a directory; they have their own ways
