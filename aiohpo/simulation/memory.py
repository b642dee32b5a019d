"""Blobs in memory, for workers in virtual time: no disk, and every simulated machine has a store of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator


class MemoryBlobs:
    """A :class:`aiohpo.plugin.BlobStore` without files."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self._parts: dict[str, bytearray] = {}

    def put(self, data: bytes) -> str:
        """Store ``data``; return its digest."""
        digest = hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        return digest

    def get(self, digest: str) -> bytes | None:
        """The blob's bytes, or None if it is not here."""
        return self.blobs.get(digest)

    def delete(self, digest: str, unless_newer: float) -> None:
        """Remove a blob; nothing here knows how new it is."""
        self.blobs.pop(digest, None)

    def read_part(self, digest: str, offset: int, most: int) -> tuple[int, bytes] | None:
        """The blob's size and at most ``most`` of its bytes from ``offset`` on; None if it is not here."""
        data = self.blobs.get(digest)
        return None if data is None else (len(data), data[offset : offset + most])

    def write_part(self, digest: str, offset: int, data: bytes) -> None:
        """Keep a part of a blob that arrives piece by piece."""
        self._parts.setdefault(digest, bytearray())[offset:] = data

    def finish(self, digest: str) -> bool:
        """Say whether all parts of a blob are right; if so it is in the store now."""
        data = bytes(self._parts.pop(digest, b""))
        return self.put(data) == digest if hashlib.sha256(data).hexdigest() == digest else digest in self

    def digests(self) -> Iterator[str]:
        """The digests of the blobs that are there."""
        return iter(self.blobs)

    def __contains__(self, digest: str) -> bool:
        return digest in self.blobs

    def __repr__(self) -> str:
        return f"<MemoryBlobs, {len(self.blobs)} of them>"
