"""What was read of a run directory, kept for the next time: journals are read again only from there on.

A file ``replica-UID.cache`` beside the journals holds the image of the log and of the view, and of each journal how far
it is in them, with a digest of the bytes up to there. It may be deleted at any time. It is used only by the user who
wrote it (a file that another user could have written is left alone), by the code that wrote it, for the same study,
and only if every byte that it stands for is still there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from pathlib import Path

import msgspec

from .. import events as events_package
from .. import view as view_package
from ..events.log import Log, LogImage
from ..files import PRIVATE_FILE, UNFINISHED, open_regular, read_at, remove_unfinished, replace_file
from ..view.image import ViewImage, image_of, restore
from ..view.view import View

_MAGIC = b"aiohpo replica cache\n"
_DIGEST = 16
_PART = 1 << 22


class _Replica(msgspec.Struct, array_like=True):
    """The content of the file. ``journals`` are {name: (bytes read, their digest)}."""

    code: bytes
    study: str
    journals: dict[str, tuple[int, bytes]]
    log: LogImage
    view: ViewImage


class _Header(msgspec.Struct, array_like=True):
    """What it begins with."""

    code: bytes
    study: str


_encode = msgspec.msgpack.Encoder().encode
_header_decoder = msgspec.msgpack.Decoder(_Header)
_decoder = msgspec.msgpack.Decoder(_Replica)


def restore_replica(directory: Path, log: Log, view: View) -> dict[Path, int]:
    """Bring what was kept into ``log`` and ``view``, which are empty; return how far each journal is in them.

    Changes nothing, and returns nothing, where there is nothing to be used.
    """
    try:
        kept = _read(directory, view)
    except (OSError, msgspec.DecodeError):
        return {}
    if kept is None:
        return {}
    reached = {directory / "journal" / name: size for name, (size, _) in kept.journals.items()}
    for (size, digest), file in zip(kept.journals.values(), reached, strict=True):
        if _digest_of(file, size) != digest:
            return {}
    log.restore(kept.log)
    restore(view, kept.view)
    return reached


def keep_replica(directory: Path, log: Log, view: View, reached: Mapping[Path, int]) -> None:
    """Keep ``log`` and ``view``, which hold what the journals hold as far as they were ``reached``, and perhaps more.

    Where it cannot be written, the journals are read again next time.
    """
    journals = {}
    for file, size in reached.items():
        digest = _digest_of(file, size)
        if digest is None:
            return
        journals[file.name] = size, digest
    remove_unfinished(directory.glob(f"{_file(directory).name}.*{UNFINISHED}"))
    try:
        content = _encode(_Replica(_code(), _study(view), journals, log.image(), image_of(view)))
        data = _MAGIC + blake2b(content, digest_size=_DIGEST).digest() + content
        replace_file(_file(directory), data, mode=PRIVATE_FILE)
    except OSError:
        pass  # a full disk, or a directory that may only be read


def _file(directory: Path) -> Path:
    return directory / f"replica-{os.geteuid()}.cache"


def _read(directory: Path, view: View) -> _Replica | None:
    descriptor = open_regular(_file(directory), os.O_RDONLY | os.O_NOFOLLOW)
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            return None
        data = memoryview(read_at(descriptor, 0, found.st_size))
    finally:
        os.close(descriptor)
    begin = len(_MAGIC) + _DIGEST
    content = data[begin:]
    if data[: len(_MAGIC)] != _MAGIC or data[len(_MAGIC) : begin] != blake2b(content, digest_size=_DIGEST).digest():
        return None
    header = _header_decoder.decode(content)
    return _decoder.decode(content) if (header.code, header.study) == (_code(), _study(view)) else None


def _study(view: View) -> str:
    """What a log has to be about for the view to be the same."""
    return f"{view.space.hash} {view.objective} {view.max_steps}"


@cache
def _code() -> bytes:
    """Identify the code that makes of events what is kept, and the machine's way of writing numbers."""
    digest = blake2b(f"{sys.byteorder} {sys.version}".encode(), digest_size=_DIGEST)
    for package in (events_package, view_package):
        sources = sorted(Path(package.__path__[0]).glob("*.py"))
        for file in sources:
            digest.update(file.read_bytes())
        if not sources:  # of a frozen program: then no two processes have the same code for all that is known
            digest.update(os.urandom(_DIGEST))
    return digest.digest()


def _digest_of(file: Path, size: int) -> bytes | None:
    """The digest of the first ``size`` bytes of a file; None if it has fewer, or cannot be read."""
    digest = blake2b(digest_size=_DIGEST)
    try:
        descriptor = open_regular(file)
        try:
            for begin in range(0, size, _PART):
                part = read_at(descriptor, begin, min(_PART, size - begin))
                digest.update(part)
                if len(part) < min(_PART, size - begin):
                    return None
        finally:
            os.close(descriptor)
    except OSError:
        return None
    return digest.digest()
