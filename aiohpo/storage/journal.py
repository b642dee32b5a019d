"""The journal: append-only files, one per worker process, that survive ``kill -9`` at any moment.

A file is a header line and records. A record is ``MAGIC | length | crc32 | payload`` and holds one batch of
consecutive events of one origin: the bytes of the log, framed. Records are written with one ``write`` each
before the events are published, so what any peer ever heard is in a file. The operating system keeps what was
written when the process dies; ``sync`` makes it outlive the machine too.

Reading forgives. A torn last record (the process died inside ``write``) is cut off; a corrupt one in the
middle is reported with file and offset, the reader finds the next intact record by its magic and checksum, and
everything else loads. While a worker lives it holds a lock on its file: see :mod:`aiohpo.storage.liveness`.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import Unavailable, UsageError
from ..events.codec import pack_batch, unpack_batch
from ..events.schema import Batch, Malformed
from ..mesh.frames import MAX_FRAME
from ..peer.patience import in_words

MAGIC = b"\xa1\xd0J\x01"
_HEAD = struct.Struct("<4sII")
HEADER = b"aiohpo journal 1\n"
_JOIN_EVENTS = 512


@dataclass(frozen=True, slots=True)
class Damage:
    """A part of a journal that could not be read. ``torn``: the end of the file, an interrupted write;
    ``offset`` None: intact records somewhere in it that hold what is no event."""

    path: Path
    offset: int | None
    torn: bool = False

    def __str__(self) -> str:
        if self.offset is None:
            return f"{self.path}: malformed events were skipped"
        what = "an interrupted write at the end was cut off" if self.torn else "a corrupt record was skipped"
        return f"{self.path} at byte {self.offset}: {what}"


def pack_record(batch: Batch) -> bytes:
    """The bytes of one record."""
    payload = pack_batch(batch)
    return _HEAD.pack(MAGIC, len(payload), zlib.crc32(payload)) + payload


class JournalGone(Unavailable):
    """Somebody has deleted or moved the file: what is written to it now would be found by nobody."""


class Journal:
    """The file that one worker process appends to. Raises ``UsageError`` where it cannot be made."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._where = path.absolute()
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise UsageError(_unwritable(path, error)) from None
        if not _lock(self._fd):
            os.close(self._fd)
            raise UsageError(f"{path} is being written by another process")
        self._size = os.fstat(self._fd).st_size
        self._dirty = False
        if self._size == 0:
            try:
                self._write(HEADER)
            except Unavailable as error:
                os.close(self._fd)
                raise UsageError(str(error)) from None

    def append(self, batches: Iterable[Batch]) -> None:
        """Write one record per batch. All of them are in the file when this returns, or none.

        Raises :class:`~aiohpo.Unavailable` if they cannot be written now; they can be given again later.
        """
        self._write(b"".join(map(pack_record, batches)))

    def _write(self, data: bytes) -> None:
        try:
            written = os.write(self._fd, data)
            if written != len(data):  # a nearly full disk takes a part
                written += os.write(self._fd, data[written:])
            if written != len(data):
                raise OSError(28, os.strerror(28))
        except OSError as error:
            try:
                os.ftruncate(self._fd, self._size)  # never leave half a record before later ones
            except OSError:
                pass  # the reader cuts it off
            raise Unavailable(_unwritable(self.path, error)) from None
        self._size += len(data)
        self._dirty = True

    def sync(self) -> None:
        """Make what was written outlive the machine. Slow (milliseconds): call it in a thread.

        Raises :class:`JournalGone` if the file is not where it was, :class:`~aiohpo.Unavailable` if the disk fails.
        """
        if self._fd < 0:
            return  # closed meanwhile
        if os.fstat(self._fd).st_nlink == 0 or _missing(self._where):
            raise JournalGone(
                f"{self._where.parent.parent} was deleted or moved while the search ran, so the search stops; "
                "if it was moved, the same command goes on with the new place (--dir)"
            )
        if self._dirty:
            self._dirty = False
            try:
                os.fsync(self._fd)
            except OSError as error:
                self._dirty = True
                raise Unavailable(_unwritable(self.path, error)) from None

    def close(self) -> None:
        """Sync, release the lock and close. Idempotent."""
        if self._fd >= 0:
            fd = self._fd
            try:
                self.sync()
            finally:
                self._fd = -1
                os.close(fd)

    def __repr__(self) -> str:
        return f"<Journal {self.path.name} {self._size} bytes>"


def _missing(path: Path) -> bool:
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass  # a file server that does not answer just now says nothing about the file
    return False


def _lock(fd: int) -> bool:
    for _ in range(20):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.005)  # another process asks whether this one lives, see lock_is_held; that takes microseconds
        except OSError:
            return False
        else:
            return True
    return False


def _unwritable(path: Path, error: OSError) -> str:
    return f"cannot write to {path.parent}: {in_words(error)}; make room, or make the directory writable"


def read_journal(path: Path, damage: list[Damage]) -> Iterator[Batch]:
    """Yield the batches of one file in order, consecutive ones joined; append what is wrong to ``damage``.

    Raises ``UsageError`` if the file is not a journal or cannot be read at all.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    if not data.startswith(HEADER[: len(data)]) and _next_record(data, 0) < 0:
        raise UsageError(f"{path} is not an aiohpo journal (its first bytes are {data[:16]!r}): remove it from there")
    joined: list[bytes] = []
    head: Batch | None = None
    for batch in _records(path, data, damage):
        if (
            head is not None
            and batch.origin == head.origin
            and batch.first == head.first + len(joined)
            and len(joined) < _JOIN_EVENTS
        ):
            joined += batch.raws
            continue
        if head is not None:
            yield Batch(head.origin, head.first, tuple(joined))
        head, joined = batch, list(batch.raws)
    if head is not None:
        yield Batch(head.origin, head.first, tuple(joined))


def _records(path: Path, data: bytes, damage: list[Damage]) -> Iterator[Batch]:
    at = len(HEADER) if data.startswith(HEADER[: len(data)]) else 0
    while at < len(data):
        batch, end = read_record(data, at)
        if batch is not None:
            yield batch
            at = end
            continue
        start = at
        at = _next_record(data, at + 1)
        damage.append(Damage(path, start, torn=at < 0))
        if at < 0:
            return


def _next_record(data: bytes, at: int) -> int:
    """Where the next intact record begins, -1 for nowhere."""
    at = data.find(MAGIC, at)
    while at >= 0 and read_record(data, at)[0] is None:
        at = data.find(MAGIC, at + 1)
    return at


def read_record(data: bytes, at: int) -> tuple[Batch | None, int]:
    """The batch of the record at ``at`` and where the next one begins; (None, ``at``) if none is intact there."""
    if at + _HEAD.size > len(data):
        return None, at
    magic, length, crc = _HEAD.unpack_from(data, at)
    start = at + _HEAD.size
    end = start + length
    if magic != MAGIC or length > 4 * MAX_FRAME or end > len(data):
        return None, at
    payload = data[start:end]
    if zlib.crc32(payload) != crc:
        return None, at
    try:
        return unpack_batch(payload), end
    except Malformed:  # intact by its checksum, yet not ours
        return None, at


def cut_torn_end(damage: Damage) -> bool:
    """Truncate a torn file at the damage, unless a process holds its lock; return whether that was done.

    Only for a file whose writer has certainly ended (:func:`aiohpo.storage.liveness.has_ended`): the lock of a writer
    on another machine may look free from here.
    """
    try:
        with damage.path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.truncate(damage.offset or 0)
    except OSError:
        return False
    return True
