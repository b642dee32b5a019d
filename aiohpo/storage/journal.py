"""The journal: append-only files, one per worker process, that survive ``kill -9`` at any moment.

A file is a header line and records. A record is ``MAGIC | length | crc32 | payload`` and holds one batch of
consecutive events of one origin: the bytes of the log, framed. Records are written with one ``write`` each
before the events are published, so what any peer ever heard is in a file. The operating system keeps what was
written when the process dies; ``sync`` makes it outlive the machine too.

Reading forgives. A torn last record (the process died inside ``write``) is cut off; a corrupt one in the
middle is reported with file and offset, the reader finds the next intact record by its magic and checksum, and
everything else loads. A file that is no journal at all is reported and left alone. While a worker lives it holds a
lock on its file, where the file system has locks: see :mod:`aiohpo.storage.liveness`.
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
from ..files import open_regular, open_to_write, read_at, sync_directory
from ..mesh.frames import MAX_FRAME
from ..peer.patience import in_words

MAGIC = b"\xa1\xd0J\x01"
_HEAD = struct.Struct("<4sII")
HEADER = b"aiohpo journal 1\n"
_LONGEST = _HEAD.size + 4 * MAX_FRAME  # bytes of a record
WINDOW = 2 * _LONGEST  # bytes of a journal that are looked at together
_JOIN_EVENTS = 512


@dataclass(frozen=True, slots=True)
class Damage:
    """A part of a journal that could not be read. ``torn``: the end of the file, an interrupted write;
    ``offset`` None: what ``why`` says, of the whole file."""

    path: Path
    offset: int | None
    torn: bool = False
    why: str = "malformed events were skipped"

    def __str__(self) -> str:
        if self.offset is None:
            return f"{self.path}: {self.why}"
        what = "an interrupted write at the end was cut off" if self.torn else "a corrupt record was skipped"
        return f"{self.path} at byte {self.offset}: {what}"


def pack_record(batch: Batch) -> bytes:
    """The bytes of one record."""
    payload = pack_batch(batch)
    return _HEAD.pack(MAGIC, len(payload), zlib.crc32(payload)) + payload


class JournalGone(Unavailable):
    """The file was deleted or moved: what is written to it now would not be found again."""


class Journal:
    """The file that one worker process appends to. Raises ``UsageError`` where it cannot be made.

    ``without_lock`` says why it could not be locked, because its file system has no locks; it is empty if it was.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._where = path.absolute()
        try:
            self._fd = open_to_write(path, os.O_RDWR | os.O_APPEND)
        except OSError as error:
            raise UsageError(_unwritable(path, error)) from None
        try:
            self.without_lock = _lock(self._fd)
        except BlockingIOError:
            os.close(self._fd)
            raise UsageError(f"{path} is being written by another process") from None
        self._size = os.fstat(self._fd).st_size
        self._dirty = False
        self._named = False  # whether the directory entry has been made durable
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
                "if it was moved, the same command continues with the new path (--dir)"
            )
        dirty, self._dirty = self._dirty, False
        try:
            if self.without_lock:
                os.utime(self._fd)  # a sign of life
            if dirty:
                os.fsync(self._fd)
            if dirty and not self._named:
                sync_directory(self._where.parent)
                self._named = True
        except OSError as error:
            self._dirty |= dirty
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


def _lock(fd: int) -> str:
    """Lock an open file; return why that is impossible on its file system, "" if it is locked now.

    Raises ``BlockingIOError`` if another process holds the lock.
    """
    for attempt in range(20):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if attempt == 19:
                raise
            time.sleep(0.005)  # another process asks whether this one lives, see lock_is_held; that takes microseconds
        except OSError as error:  # ENOSYS: Lustre without -o flock; ENOLCK: NFS without its lock service; …
            return in_words(error)
        else:
            break
    return ""


def _unwritable(path: Path, error: OSError) -> str:
    return f"cannot write to {path.parent}: {in_words(error)}; make room, or make the directory writable"


class JournalReader:
    """Reads the batches of one file in order, consecutive ones joined; appends what is wrong to ``damage``.

    Nothing that a file holds, or that is in its place, is an error: the other journals are read all the same.

    Args:
        begin: the byte to begin at, where an earlier reading ended.

    ``end`` is where the last intact record ends, once all of it was read.
    """

    def __init__(self, path: Path, damage: list[Damage], begin: int = 0) -> None:
        self._path = path
        self._damage = damage
        self.end = begin

    def __iter__(self) -> Iterator[Batch]:
        try:
            descriptor = open_regular(self._path)
            try:
                yield from _joined(self._records(_Content(descriptor)))
            finally:
                os.close(descriptor)
        except OSError as error:
            self._damage.append(unreadable(self._path, error))

    def _records(self, content: _Content) -> Iterator[Batch]:
        at = self.end
        if not at:
            data, _ = content.at(0)
            if is_no_journal(data):
                self._damage.append(foreign(self._path, data))
                return
            at = len(HEADER) if data.startswith(HEADER[: len(data)]) else 0
        while at < content.size:
            batch, end = content.record(at)
            if batch is not None:
                yield batch
                at = self.end = end
                continue
            start = at
            at = content.next_record(at + 1)
            self._damage.append(Damage(self._path, start, torn=at < 0))
            if at < 0:
                return

    def __repr__(self) -> str:
        return f"<JournalReader of {self._path}, {self.end} bytes read>"


def _joined(batches: Iterable[Batch]) -> Iterator[Batch]:
    joined: list[bytes] = []
    head: Batch | None = None
    for batch in batches:
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


def journals_in(directory: Path) -> list[Path]:
    """The journals of a run directory, and what else bears such a name; hidden files are other programs'."""
    return sorted(file for file in (directory / "journal").glob("*.log") if not file.name.startswith("."))


def is_no_journal(data: bytes) -> bool:
    """Whether this is the beginning of some other file than a journal, damaged or not."""
    return not data.startswith(HEADER[: len(data)]) and _next_record(data, 0) < 0


def foreign(path: Path, data: bytes) -> Damage:
    """What to say of a file that begins with ``data`` and :func:`is_no_journal`."""
    what = "holds only zeros" if not data.strip(b"\0") else f"is not an aiohpo journal (it begins with {data[:16]!r})"
    return Damage(path, None, why=f"it {what} and was skipped; remove it from there")


def unreadable(path: Path, error: OSError) -> Damage:
    """What to say of a journal that cannot be read."""
    return Damage(path, None, why=f"it was skipped, as it cannot be read: {in_words(error)}")


class _Content:
    """What an open journal holds, a window at a time: memory must not depend on what others may have put there."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = readable_size(os.fstat(descriptor))
        self._begin, self._data = 0, b""

    def at(self, offset: int) -> tuple[bytes, int]:
        """Bytes of the file, and where ``offset`` is among them; behind it is a whole record, if there is one."""
        end = self._begin + len(self._data)
        if end < self.size and end - offset < _LONGEST:
            self._begin, self._data = offset, read_at(self._descriptor, offset, min(WINDOW, self.size - offset))
            if len(self._data) < min(WINDOW, self.size - offset):
                self.size = offset + len(self._data)  # it was cut meanwhile
        return self._data, offset - self._begin

    def record(self, offset: int) -> tuple[Batch | None, int]:
        """The batch of the record at ``offset`` and where the next one begins; see :func:`read_record`."""
        data, at = self.at(offset)
        batch, end = read_record(data, at)
        return batch, offset + end - at

    def next_record(self, offset: int) -> int:
        """Where the next intact record from ``offset`` on begins, -1 for nowhere."""
        while offset < self.size:
            data, at = self.at(offset)
            found = data.find(MAGIC, at)
            if found < 0:
                offset = max(offset + 1, offset + len(data) - at - len(MAGIC) + 1)
                continue
            offset += found - at
            if self.record(offset)[0] is not None:
                return offset
            offset += 1
        return -1


def readable_size(found: os.stat_result) -> int:
    """How many bytes of a journal are read: all of them, unless nearly all of it is holes that hold nothing, however
    long it says that it is. No worker writes such a file."""
    is_hollow = found.st_size > WINDOW and found.st_blocks * 512 < found.st_size // 64
    return WINDOW if is_hollow else found.st_size


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
        descriptor = open_regular(damage.path, os.O_RDWR | os.O_NOFOLLOW)
        try:
            _lock(descriptor)
            os.ftruncate(descriptor, damage.offset or 0)
        finally:
            os.close(descriptor)
    except OSError:
        return False
    return True
