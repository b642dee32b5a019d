"""The codec of events: between the classes of :mod:`aiohpo.events.schema` and the bytes of logs, journals and frames.

It is msgspec's, with the classes as the schema. Decoding checks every field against them, allocates nothing for a
length that the input does not back, and raises :class:`~aiohpo.events.schema.Malformed` for whatever is wrong.
(Checking by hand in Python was written first; it took 3.3 µs an event, msgspec takes 0.12.)
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import get_args

import msgspec

from .schema import MAX_EVENT, Batch, Count, Event, Malformed, Unknown, Unrecordable


class _Head(msgspec.Struct, frozen=True, array_like=True):
    """What every event of every version begins with; what follows is skipped."""

    kind: Count
    lamport: Count


_KINDS = frozenset(kind.__struct_config__.tag for kind in get_args(Event))

_encode = msgspec.msgpack.Encoder().encode
_event_decoder: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(Event)
_head_decoder = msgspec.msgpack.Decoder(_Head)
_batch_decoder = msgspec.msgpack.Decoder(Batch)
_raws_decoder = msgspec.msgpack.Decoder(tuple[bytes, ...])


def encode_event(event: Event) -> bytes:
    """The bytes of ``event`` in its worker's log."""
    return _encode(event)


def encode_checked(event: Event) -> bytes:
    """Like :func:`encode_event`, for an event that is to be recorded.

    Raises :class:`~aiohpo.events.schema.Unrecordable` for one that the peers would drop, or that could not be read
    from the journal again.
    """
    what = type(event).__name__
    try:
        raw = _encode(event)
    except UnicodeEncodeError as error:  # a lone surrogate
        raise Unrecordable(f"cannot record an event ({what}) with invalid text: {error}") from None
    if len(raw) > MAX_EVENT:
        raise Unrecordable(
            f"cannot record an event ({what}) of {len(raw)} bytes: it may have {MAX_EVENT}; report fewer metrics, or "
            "give them shorter names"
        )
    try:
        _event_decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise Unrecordable(f"cannot record an event ({what}) with a value out of range: {error}") from None
    return raw


def decode_batch(batch: Batch) -> list[Event | Unknown]:
    """Decode the events of a batch, those of kinds that this version does not know as :class:`Unknown`.

    Raises :class:`Malformed` if any of them is no event, is too large, or not as its kind has to be.
    """
    raws = batch.raws
    return _decode_raws(raws) if len(raws) > 32 else _decode_raws_shared(raws)


def _decode_raws(raws: tuple[bytes, ...]) -> list[Event | Unknown]:
    decode = _event_decoder.decode
    if raws and (largest := max(map(len, raws))) > MAX_EVENT:
        raise Malformed(f"an event of {largest} bytes")
    try:
        try:
            return [decode(raw) for raw in raws]
        except msgspec.ValidationError:
            return [_decode_or_skip(raw) for raw in raws]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:  # ValidationError is a DecodeError
        raise Malformed(str(error)) from None


def _decode_or_skip(raw: bytes) -> Event | Unknown:
    try:
        return _event_decoder.decode(raw)
    except msgspec.ValidationError:
        head = _head_decoder.decode(raw)
        if head.kind in _KINDS:
            raise
        return Unknown(head.kind, head.lamport)


_decode_raws_shared = lru_cache(maxsize=32)(_decode_raws)


def pack_batch(batch: Batch) -> bytes:
    """A batch as the payload of a journal's record."""
    return _encode(batch)


def unpack_batch(data: bytes) -> Batch:
    """Inverse of :func:`pack_batch`. Raises :class:`Malformed`."""
    try:
        return _batch_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(str(error)) from None


def pack_raws(raws: tuple[bytes, ...] | list[bytes]) -> bytes:
    """Many events' bytes as one object, for keeping them in memory: about half as many."""
    return zlib.compress(_encode(raws), 1)


def unpack_raws(data: bytes) -> tuple[bytes, ...]:
    """Inverse of :func:`pack_raws`."""
    return _raws_decoder.decode(zlib.decompress(data))
