"""Frames: what one peer sends to another.

A frame is ``FORMAT (1 byte) | study tag (4 bytes) | msgpack array [kind, field, …]``; the tag is the first four
bytes of the study's hash, so a frame of another study is dropped unread. Only the few kinds by which strangers
explain themselves to each other are read whatever their tag.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Annotated

import msgspec

from ..events.groups import MOST_GROUPS
from ..events.schema import Address, Batch, Count, Malformed, Name, Sha256, Text

FORMAT = 2
MAX_FRAME = 16 << 20
MAX_BATCHES = 1 << 16  # of one frame
MAX_EVENTS = 1 << 16  # of one frame
PAGE_BYTES = 1 << 20  # of one frame of an answer that may be larger
_PAGE_EVENTS = 1 << 13
_PAGE_BATCHES = 512


Clock = Annotated[float, msgspec.Meta(ge=-1e18, le=1e18)]  # of a monotonic clock, whose zero may be anywhere
Hash = Annotated[bytes, msgspec.Meta(max_length=8)]
Group = Annotated[int, msgspec.Meta(ge=0, lt=MOST_GROUPS)]


class Foreign(Malformed):
    """A frame of another format version or another study."""


class Hello(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Introduces a worker to a peer; ``reply`` asks for one in return.

    ``greeted`` is the address the greeting was sent to, and comes back in the answer: a worker may be reached
    by other names than the one it advertises. A ``spectator`` is answered but is no member.
    """

    format: int
    study: Name
    worker: Name
    incarnation: Count
    address: Address
    greeted: Address
    reply: bool
    spectator: bool = False


class Refused(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Tells a peer why its hello was not accepted."""

    reason: Text


class Events(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """Events, flooded when they are new or sent as ``repair`` to a peer that asked. ``more`` says that the sender
    has more of them and waits to be asked again."""

    batches: Annotated[tuple[Batch, ...], msgspec.Meta(max_length=MAX_BATCHES)]
    repair: bool = False
    more: bool = False


class Digest(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Short hashes of the sender's log and member table.

    ``groups``: into how many groups its log is divided, for a receiver whose log is another one and divided as well.
    0: it takes whole version vectors only, as its log is short or it is of an earlier version.
    """

    log: Hash
    members: Hash
    groups: Annotated[int, msgspec.Meta(ge=0, le=MOST_GROUPS)] = 0


class Vector(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """The sender's version vector, and the hash of its log: "send me what I lack".

    ``eager`` asks for everything (a joiner, a gap); otherwise the receiver may leave out what is so new that
    it is surely still in flight. ``reply`` asks for the receiver's vector too.
    """

    counts: Annotated[dict[Name, Count], msgspec.Meta(max_length=1 << 17)]
    eager: bool
    reply: bool
    log: Hash = b""


class Groups(msgspec.Struct, frozen=True, array_like=True, tag=15):
    """Hashes of the groups of logs (:mod:`aiohpo.events.groups`): "tell me what you have in those that differ".
    ``eager`` as in :class:`Vector`."""

    hashes: Annotated[tuple[Hash, ...], msgspec.Meta(min_length=1, max_length=MOST_GROUPS)]
    eager: bool


class GroupVector(msgspec.Struct, frozen=True, array_like=True, tag=16):
    """The sender's version vector, of the groups of origins that differ: "send me what I lack of them".

    ``hashes`` has the sender's hash of each of these groups, of which there are ``count``. ``eager`` and ``reply`` as
    in :class:`Vector`. ``asked`` is the hash of the log whose :class:`Groups` this answers, or empty.
    """

    count: Annotated[int, msgspec.Meta(ge=1, le=MOST_GROUPS)]
    hashes: Annotated[dict[Group, Hash], msgspec.Meta(max_length=MOST_GROUPS)]
    counts: Annotated[dict[Name, Count], msgspec.Meta(max_length=1 << 17)]
    eager: bool
    reply: bool
    asked: Hash = b""


class Heads(msgspec.Struct, frozen=True, array_like=True, tag=13):
    """Hashes of the logs of single workers, from a sender whose version vector is the same and whose log is not."""

    hashes: Annotated[dict[Name, Hash], msgspec.Meta(max_length=1 << 17)]


class Blocks(msgspec.Struct, frozen=True, array_like=True, tag=14):
    """Hashes of the blocks of one worker's log, for a peer that has another one of the same length. ``reply`` asks for
    the receiver's."""

    origin: Name
    hashes: Annotated[tuple[Hash, ...], msgspec.Meta(max_length=1 << 21)]
    reply: bool


class MemberNews(msgspec.Struct, frozen=True, array_like=True):
    """What the sender believes of a worker. ``by`` is its accuser, for suspicion."""

    worker: Name
    address: Address
    state: Annotated[int, msgspec.Meta(ge=0, le=3)]
    incarnation: Count
    by: Name


class Members(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """Changes to (or the whole of) the member table."""

    news: Annotated[tuple[MemberNews, ...], msgspec.Meta(max_length=1 << 17)]


class Ping(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """Are you there? ``nonce`` comes back in the answer; it carries the sender's clock."""

    nonce: Clock


class Pong(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """I am; ``nonce`` is the ping's."""

    nonce: Clock


class Inquire(msgspec.Struct, frozen=True, array_like=True, tag=9):
    """What is searched here? Asked by a spectator, who knows nothing but an address."""


class Definition(msgspec.Struct, frozen=True, array_like=True, tag=10):
    """The study's definition, as in ``study.json``."""

    json: Annotated[str, msgspec.Meta(max_length=1 << 20)]


class Want(msgspec.Struct, frozen=True, array_like=True, tag=11):
    """Send me the part of a blob that begins at ``offset``."""

    digest: Sha256
    offset: Count


class Chunk(msgspec.Struct, frozen=True, array_like=True, tag=12):
    """A part of a blob of ``total`` bytes; ``total`` None: it is not here."""

    digest: Sha256
    offset: Count
    total: Count | None
    data: bytes


Frame = (
    Hello
    | Refused
    | Events
    | Digest
    | Vector
    | Groups
    | GroupVector
    | Heads
    | Blocks
    | Members
    | Ping
    | Pong
    | Inquire
    | Definition
    | Want
    | Chunk
)
_FOR_STRANGERS = Hello | Refused | Inquire | Definition

_encode = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)

# Workers of one process receive the very same bytes. Frames and events are immutable, so they share them: with
# 16 workers on one loop that raises throughput by two thirds. Bounded: entries of at most 4 KiB.
_SHARED_BYTES = 4 << 10


def encode_frame(tag: bytes, frame: Frame) -> bytes:
    """Serialise ``frame`` for the study whose 4-byte ``tag`` this is."""
    return bytes([FORMAT]) + tag + _encode(frame)


def decode_frame(tag: bytes, data: bytes) -> Frame:
    """Parse one frame. Raises :class:`Foreign` for another study's, :class:`Malformed` for anything else.

    Hello and Refused (and a spectator's questions) are parsed whatever their tag and version, so that both
    sides can say what is wrong.
    """
    if not 5 < len(data) <= MAX_FRAME:
        raise Malformed(f"a frame of {len(data)} bytes")
    return _decode_shared(tag, data) if len(data) <= _SHARED_BYTES else _decode_frame(tag, data)


def _decode_frame(tag: bytes, data: bytes) -> Frame:
    foreign = data[0] != FORMAT or data[1:5] != tag
    try:
        frame = _decoder.decode(memoryview(data)[5:])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise (Foreign if foreign else Malformed)(str(error)) from None
    if foreign and not isinstance(frame, _FOR_STRANGERS):
        raise Foreign("a frame of another study or format version")
    return frame


def pages_of_events(batches: Iterable[Batch], most_bytes: int = PAGE_BYTES) -> Iterator[tuple[Batch, ...]]:
    """Cut batches into what one frame each should hold: about ``most_bytes``, and no more events than are read."""
    page: list[Batch] = []
    size = events = 0
    for batch in batches:
        for part in batch.cut(most_bytes, _PAGE_EVENTS):
            if page and (
                size + part.size > most_bytes or events + len(part.raws) > _PAGE_EVENTS or len(page) == _PAGE_BATCHES
            ):
                yield tuple(page)
                page, size, events = [], 0, 0
            page.append(part)
            size += part.size
            events += len(part.raws)
    if page:
        yield tuple(page)


def pages_of_news(news: Iterable[MemberNews]) -> Iterator[Members]:
    """Cut news of members into frames of at most about a megabyte each; none for no news."""
    page: list[MemberNews] = []
    size = 0
    for each in news:
        page.append(each)
        size += len(each.worker) + 4 * len(each.address) + len(each.by) + 24
        if size >= PAGE_BYTES:
            yield Members(tuple(page))
            page, size = [], 0
    if page:
        yield Members(tuple(page))


_decode_shared = lru_cache(maxsize=32)(_decode_frame)
