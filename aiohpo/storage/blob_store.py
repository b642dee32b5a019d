"""Blobs: checkpoints and predictions, content-addressed files beside the journal.

A blob is named by the SHA-256 of its bytes, so it can be fetched from any peer and checked, written twice
without harm, and shared by trials. Files are written under another name and renamed, so that a reader never
sees half of one.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from ..errors import Unavailable
from ..files import (
    UNFINISHED,
    NotRegular,
    make_directory,
    open_regular,
    open_to_write,
    read_at,
    remove_unfinished,
    replace_file,
)
from ..peer.patience import in_words

# Bytes from which on a blob is checked before it is read into memory: its name may be a stranger's claim.
_LARGE = 1 << 26


class DirectoryBlobs:
    """A :class:`aiohpo.plugin.BlobStore` in files under a directory, ``root/ab/abcdef…``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._part = f"{secrets.token_hex(4)}.part"

    def path(self, digest: str) -> Path:
        """Where the blob is, whether or not it is there."""
        return self.root / digest[:2] / digest

    def put(self, data: bytes) -> str:
        """Store ``data``; return its digest."""
        digest = hashlib.sha256(data).hexdigest()
        path = self.path(digest)
        try:
            os.utime(path, follow_symlinks=False)  # it is wanted again: not to be deleted just now
            kept = digest in self and path.stat().st_size == len(data)  # a power cut may have left less
        except OSError:
            kept = False  # not there, or another user's, who might take it away
        if not kept:
            self._make_room(path)
            replace_file(path, data)
        return digest

    def get(self, digest: str) -> bytes | None:
        """The blob's bytes, or None if it is not here or does not match its name.

        Raises :class:`~aiohpo.errors.Unavailable` if it is here and cannot be read at the moment.
        """
        try:
            descriptor = open_regular(self.path(digest))
            try:
                size = os.fstat(descriptor).st_size
                if size > _LARGE and _hash(descriptor) != digest:
                    return None
                data = read_at(descriptor, 0, size)
            finally:
                os.close(descriptor)
        except (FileNotFoundError, NotADirectoryError, NotRegular):
            return None
        except OSError as error:
            raise Unavailable(f"cannot read {self.path(digest)}: {in_words(error)}") from error
        return data if hashlib.sha256(data).hexdigest() == digest else None

    def delete(self, digest: str, unless_newer: float) -> None:
        """Remove a blob, unless it was written (again) within the last ``unless_newer`` seconds."""
        path = self.path(digest)
        try:
            if time.time() - path.stat().st_mtime >= unless_newer:
                path.unlink()
        except OSError:
            pass  # another process' sweep was faster

    def read_part(self, digest: str, offset: int, most: int) -> tuple[int, bytes] | None:
        """The blob's size and at most ``most`` of its bytes from ``offset`` on; None if it is not here."""
        try:
            descriptor = open_regular(self.path(digest))
            try:
                return os.fstat(descriptor).st_size, read_at(descriptor, offset, most)
            finally:
                os.close(descriptor)
        except OSError:
            return None

    def write_part(self, digest: str, offset: int, data: bytes) -> None:
        """Keep a part of a blob that arrives piece by piece."""
        path = self._partial(digest)
        self._make_room(path)
        try:
            descriptor = open_to_write(path)
            with os.fdopen(descriptor, "wb") as file:
                if not offset:
                    file.truncate()
                file.seek(offset)
                file.write(data)
        except OSError:
            path.unlink(missing_ok=True)
            raise

    def finish(self, digest: str) -> bool:
        """Say whether all parts of a blob are right; if so it is in the store now. Reads it all: use a thread."""
        path = self._partial(digest)
        try:
            descriptor = open_regular(path)
            try:
                right = _hash(descriptor) == digest
            finally:
                os.close(descriptor)
            if right:
                os.replace(path, self.path(digest))
            else:
                path.unlink()
        except OSError:
            return digest in self
        return right

    def digests(self) -> Iterator[str]:
        """The digests of the blobs that are there."""
        return (path.name for path in self.root.glob("??/*") if "." not in path.name)

    def remove_unfinished(self) -> None:
        """Remove what processes that were killed had begun to write, once it has not changed for an hour."""
        for ending in (UNFINISHED, ".part"):
            remove_unfinished(self.root.glob(f"??/*{ending}"))

    def _partial(self, digest: str) -> Path:
        # Workers that share a directory may fetch the same blob at the same time.
        return self.root / digest[:2] / f"{digest}.{self._part}"

    def _make_room(self, path: Path) -> None:
        # The store itself may have been removed, to get space back; a run directory that was is not made again.
        make_directory(self.root)
        make_directory(path.parent)

    def __contains__(self, digest: str) -> bool:
        return self.path(digest).is_file()

    def __repr__(self) -> str:
        return f"<DirectoryBlobs {self.root}>"


def _hash(descriptor: int) -> str:
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest()
