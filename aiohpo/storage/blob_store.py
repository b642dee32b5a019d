"""Blobs: checkpoints and predictions, content-addressed files beside the journal.

A blob is named by the SHA-256 of its bytes, so it can be fetched from anybody and checked, written twice
without harm, and shared by trials. Files are written under another name and renamed, so that a reader never
sees half of one.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from pathlib import Path

from ..errors import Unavailable
from ..peer.patience import in_words


class DirectoryBlobs:
    """A :class:`aiohpo.plugin.BlobStore` in files under a directory, ``root/ab/abcdef…``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, digest: str) -> Path:
        """Where the blob is, whether or not it is there."""
        return self.root / digest[:2] / digest

    def put(self, data: bytes) -> str:
        """Store ``data``; return its digest."""
        digest = hashlib.sha256(data).hexdigest()
        path = self.path(digest)
        if path.exists():
            os.utime(path)  # it is wanted again: not to be deleted just now
        else:
            self._make_room(path)
            fd, name = tempfile.mkstemp(dir=path.parent)
            try:
                with os.fdopen(fd, "wb") as file:
                    file.write(data)
                os.replace(name, path)
            except BaseException:
                os.unlink(name)  # a full disk should not fill up with halves
                raise
        return digest

    def get(self, digest: str) -> bytes | None:
        """The blob's bytes, or None if it is not here or does not match its name.

        Raises :class:`~aiohpo.errors.Unavailable` if it is here and cannot be read at the moment.
        """
        try:
            data = self.path(digest).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
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
            pass  # somebody else's sweep was faster

    def read_part(self, digest: str, offset: int, most: int) -> tuple[int, bytes] | None:
        """The blob's size and at most ``most`` of its bytes from ``offset`` on; None if it is not here."""
        try:
            with self.path(digest).open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(offset)
                return size, file.read(most)
        except OSError:
            return None

    def write_part(self, digest: str, offset: int, data: bytes) -> None:
        """Keep a part of a blob that arrives piece by piece."""
        path = self._partial(digest)
        self._make_room(path)
        try:
            with path.open("r+b" if offset else "wb") as file:
                file.seek(offset)
                file.write(data)
        except OSError:
            path.unlink(missing_ok=True)
            raise

    def finish(self, digest: str) -> bool:
        """Say whether all parts of a blob are right; if so it is in the store now. Reads it all: use a thread."""
        path = self._partial(digest)
        try:
            with path.open("rb") as file:
                right = hashlib.file_digest(file, "sha256").hexdigest() == digest
            if right:
                os.replace(path, self.path(digest))
            else:
                path.unlink()
        except OSError:
            return digest in self
        return right

    def _partial(self, digest: str) -> Path:
        # Workers that share a directory may fetch the same blob at the same time.
        return self.root / digest[:2] / f"{digest}.{os.getpid()}.part"

    def _make_room(self, path: Path) -> None:
        # The store itself may have been removed, to get space back; a run directory that was is not made again.
        self.root.mkdir(exist_ok=True)
        path.parent.mkdir(exist_ok=True)

    def __contains__(self, digest: str) -> bool:
        return self.path(digest).is_file()

    def __repr__(self) -> str:
        return f"<DirectoryBlobs {self.root}>"
