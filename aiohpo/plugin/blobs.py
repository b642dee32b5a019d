"""What keeps checkpoints and predictions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable


@runtime_checkable
class BlobStore(Protocol):
    """Keeps blobs, each under the SHA-256 of its bytes in hexadecimal, its *digest*.

    So a blob can be fetched from any peer and checked, and writing it twice does no harm. A store may be shared by
    several workers (a directory is); each method is atomic, and all of them may be called from any thread. Methods that
    write raise ``OSError`` where there is no room.
    """

    def put(self, data: bytes) -> str:
        """Store ``data`` and return its digest."""
        ...

    def get(self, digest: str) -> bytes | None:
        """Return the blob's bytes; None if it is not here or is damaged.

        Raises :class:`~aiohpo.errors.Unavailable` if it is here and cannot be read at the moment.
        """
        ...

    def delete(self, digest: str, unless_newer: float) -> None:
        """Remove a blob, unless it was written within the last ``unless_newer`` seconds."""
        ...

    def read_part(self, digest: str, offset: int, most: int) -> tuple[int, bytes] | None:
        """Return the blob's size and at most ``most`` of its bytes from ``offset`` on; None if it is not here."""
        ...

    def write_part(self, digest: str, offset: int, data: bytes) -> None:
        """Keep a part of a blob that arrives piece by piece; it is not in the store before :meth:`finish`."""
        ...

    def finish(self, digest: str) -> bool:
        """Put the blob of which all parts were written into the store; say whether it is there now.

        False if the parts do not make up the blob; they are forgotten then. May take long: call it in a thread.
        """
        ...

    def digests(self) -> Iterator[str]:
        """The digests of the blobs that are there."""
        ...

    def __contains__(self, digest: str) -> bool: ...
