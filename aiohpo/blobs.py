"""Blobs: checkpoints and predictions, content-addressed files beside the journal.

A blob is named by the SHA-256 of its bytes, so it can be fetched from anybody and checked, written twice
without harm, and shared by trials. Files are written under another name and renamed, so that a reader never
sees half of one.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path


class BlobStore:
    """Blobs under a directory, ``root/ab/abcdef…``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, digest: str) -> Path:
        """Where the blob is, whether or not it is there."""
        return self.root / digest[:2] / digest

    def put(self, data: bytes) -> str:
        """Store ``data``; return its digest."""
        digest = hashlib.sha256(data).hexdigest()
        path = self.path(digest)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
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
        """The blob's bytes, or None if it is not here or does not match its name."""
        try:
            data = self.path(digest).read_bytes()
        except OSError:
            return None
        return data if hashlib.sha256(data).hexdigest() == digest else None

    def __contains__(self, digest: str) -> bool:
        return self.path(digest).is_file()

    def __repr__(self) -> str:
        return f"<BlobStore {self.root}>"
