"""Large frames travel in pieces.

ZeroMQ bounds its queues by the number of messages. With frames of up to 16 MiB, 500 of them would be 8 GB for a
peer that does not read, and as much at a receiver that is slow. Cut into pieces of 64 KiB the same queues hold at
most 32 MiB a direction. A piece may be dropped like any frame; the rest of its frame is then of no use, and the
receiver forgets what it has.

On the wire a message of one part is a whole frame, one of two parts is a piece: a header (number of the frame,
index of the piece, how many there are) and its bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

PIECE = 64 << 10
_HEADER = struct.Struct(">IHH")
_MOST_WAITING = 64 << 20  # bytes of unfinished frames, of all senders together


class BadPiece(ValueError):
    """Two parts that are no piece of a frame."""


def cut_into_pieces(frame: bytes, number: int) -> Iterator[tuple[bytes, memoryview]]:
    """Yield (header, piece) of a frame longer than :data:`PIECE`."""
    view = memoryview(frame)
    count = -(-len(frame) // PIECE)
    for index in range(count):
        header = _HEADER.pack(number & 0xFFFFFFFF, index, count)
        yield header, view[index * PIECE : (index + 1) * PIECE]


class Assembler:
    """Puts pieces together again: one frame at a time per sender, of at most ``max_frame`` bytes."""

    def __init__(self, max_frame: int) -> None:
        self._most_pieces = -(-max_frame // PIECE)
        self._max_frame = max_frame
        self._unfinished: dict[bytes | str, tuple[int, int, list[bytes]]] = {}
        self._waiting = 0

    def take(self, sender: bytes | str, header: bytes, piece: bytes) -> bytes | None:
        """Take a piece; return its frame if that is complete now. Raises :class:`BadPiece`."""
        if len(header) != _HEADER.size:
            raise BadPiece
        number, index, count = _HEADER.unpack(header)
        if not 1 < count <= self._most_pieces or index >= count or not 0 < len(piece) <= PIECE:
            raise BadPiece
        if index < count - 1 and len(piece) != PIECE:
            raise BadPiece
        if index == 0:
            self.forget(sender)
            self._unfinished[sender] = number, count, []
        unfinished = self._unfinished.get(sender)
        if unfinished is None or unfinished[:2] != (number, count) or len(unfinished[2]) != index:
            self.forget(sender)  # a piece is missing
            return None
        pieces = unfinished[2]
        pieces.append(piece)
        self._waiting += len(piece)
        if index < count - 1:
            while self._waiting > _MOST_WAITING:
                self.forget(next(iter(self._unfinished)))
            return None
        self.forget(sender)
        frame = b"".join(pieces)
        if len(frame) > self._max_frame:
            raise BadPiece
        return frame

    def forget(self, sender: bytes | str) -> None:
        """Drop what has arrived of a frame; nothing more of it is expected."""
        unfinished = self._unfinished.pop(sender, None)
        if unfinished is not None:
            self._waiting -= sum(map(len, unfinished[2]))

    def __repr__(self) -> str:
        return f"<Assembler {len(self._unfinished)} unfinished frames, {self._waiting} bytes>"
