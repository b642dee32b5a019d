"""Frames in pieces: cut, put together again, and what is wrong with them."""

from __future__ import annotations

import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiohpo_transports.zeromq.pieces import PIECE, Assembler, BadPiece, cut_into_pieces

MAX = 16 << 20


@pytest.mark.parametrize("size", [PIECE + 1, 2 * PIECE, 3 * PIECE - 1, MAX])
def test_round_trip(size: int) -> None:
    """A frame comes out as it was cut, with its last piece, and nothing stays behind."""
    assembler, frame = Assembler(MAX), os.urandom(size)
    got = [assembler.take("a", header, bytes(piece)) for header, piece in cut_into_pieces(frame, 7)]
    assert got == [None] * (len(got) - 1) + [frame]
    assert repr(assembler) == "<Assembler 0 unfinished frames, 0 bytes>"


def test_senders_do_not_mix() -> None:
    """Pieces of two senders may arrive in turns."""
    assembler = Assembler(MAX)
    one, two = b"1" * 3 * PIECE, b"2" * 3 * PIECE
    got = []
    for (h1, p1), (h2, p2) in zip(cut_into_pieces(one, 1), cut_into_pieces(two, 1), strict=True):
        got += [assembler.take("a", h1, bytes(p1)), assembler.take("b", h2, bytes(p2))]
    assert [frame for frame in got if frame] == [one, two]


def test_frame_that_lost_a_piece_is_forgotten() -> None:
    """When a piece was dropped nothing is handed on, and the next frame is whole."""
    assembler, frame = Assembler(MAX), os.urandom(4 * PIECE)
    for k, (header, piece) in enumerate(cut_into_pieces(frame, 1)):
        if k != 1:
            assert assembler.take("a", header, bytes(piece)) is None
    *_, last = [assembler.take("a", header, bytes(piece)) for header, piece in cut_into_pieces(frame, 2)]
    assert last == frame


def test_memory_is_bounded_over_all_senders() -> None:
    """However many senders leave frames unfinished, they cost 64 MiB at most; the oldest is forgotten."""
    assembler = Assembler(MAX)
    piece = bytes(PIECE)
    for sender in range(100):
        for index in range(200):
            assembler.take(str(sender), struct.pack(">IHH", 1, index, 256), piece)
    waiting = sum(len(p) for _, _, pieces in assembler._unfinished.values() for p in pieces)
    assert waiting == assembler._waiting <= 64 << 20


@pytest.mark.parametrize(
    ("header", "size"),
    [
        (b"", PIECE),
        (b"123456789", PIECE),
        (struct.pack(">IHH", 1, 0, 0), PIECE),
        (struct.pack(">IHH", 1, 0, 1), PIECE),
        (struct.pack(">IHH", 1, 2, 2), PIECE),
        (struct.pack(">IHH", 1, 0, 257), PIECE),
        (struct.pack(">IHH", 1, 0, 2), PIECE - 1),
        (struct.pack(">IHH", 1, 1, 2), 0),
        (struct.pack(">IHH", 1, 0, 2), PIECE + 1),
    ],
)
def test_what_is_no_piece(header: bytes, size: int) -> None:
    """Wrong headers and lengths are refused."""
    with pytest.raises(BadPiece):
        Assembler(MAX).take("a", header, bytes(size))


def test_frame_longer_than_allowed() -> None:
    """The last piece cannot make a frame longer than the limit."""
    assembler = Assembler(PIECE + 10)
    assert assembler.take("a", struct.pack(">IHH", 1, 0, 2), bytes(PIECE)) is None
    with pytest.raises(BadPiece):
        assembler.take("a", struct.pack(">IHH", 1, 1, 2), bytes(11))


@given(st.lists(st.tuples(st.sampled_from("ab"), st.binary(max_size=12), st.binary(max_size=50))))
def test_anything_may_arrive(messages: list[tuple[str, bytes, bytes]]) -> None:
    """Whatever arrives, the only exception is BadPiece, and the books agree."""
    assembler = Assembler(1000)
    for sender, header, piece in messages:
        try:
            assembler.take(sender, header, piece)
        except BadPiece:
            pass
        assert assembler._waiting == sum(len(p) for _, _, pieces in assembler._unfinished.values() for p in pieces)
