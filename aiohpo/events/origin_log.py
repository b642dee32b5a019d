"""The log of one worker, as bytes.

Events are packed in chunks; only the last few are single objects. A worker numbers its events, so two different events
with one number are a *fork*: another process wrote in its name, or its journal was tampered with. Both are kept, or
replicas that heard one of them first would differ for good: the earlier one by its stamp and bytes stands in line, the
others beside it, so what is kept follows from what was heard, not from the order.

Two logs are compared by a hash of everything in them, and where they differ by those of their blocks.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right, insort
from collections.abc import Iterator

import msgspec

from .codec import decode_batch, pack_raws, unpack_raws
from .schema import Batch

CHUNK_EVENTS = 128
CHUNK_BYTES = 64 << 10
BLOCK_EVENTS = 1024


class OriginImage(msgspec.Struct, array_like=True):
    """All of one worker's log as plain data."""

    chunks: list[bytes]
    firsts: list[int]
    tail: list[bytes]
    others: dict[int, list[bytes]]


class OriginLog:
    """The events 1..``count`` of one worker as bytes.

    others  {number: further events that bear it, sorted}; all of them come after the one in line
    """

    __slots__ = ("_chunks", "_firsts", "_hashed", "_hasher", "_tail", "_tail_bytes", "_tail_first", "count", "others")

    def __init__(self) -> None:
        self.count = 0
        self.others: dict[int, list[bytes]] = {}
        self._hasher = hashlib.blake2b(digest_size=8)
        self._hashed = 0  # how many events it was fed
        self._chunks: list[bytes] = []
        self._firsts: list[int] = []
        self._tail: list[bytes] = []
        self._tail_first = 1
        self._tail_bytes = 0

    def image(self) -> OriginImage:
        """Return all of it as plain data."""
        return OriginImage(list(self._chunks), list(self._firsts), list(self._tail), dict(self.others))

    @classmethod
    def of_image(cls, image: OriginImage) -> OriginLog:
        """The log of which ``image`` was made."""
        log = cls()
        log._chunks, log._firsts, log._tail, log.others = image.chunks, image.firsts, image.tail, image.others
        if image.chunks:
            log._tail_first = image.firsts[-1] + len(unpack_raws(image.chunks[-1]))
        log._tail_bytes = sum(map(len, image.tail))
        log.count = log._tail_first - 1 + len(image.tail)
        return log

    def append(self, raws: tuple[bytes, ...]) -> None:
        self._tail += raws
        self.count += len(raws)
        self._tail_bytes += sum(map(len, raws))
        if len(self._tail) >= CHUNK_EVENTS or self._tail_bytes >= CHUNK_BYTES:
            self._pack()

    def _pack(self) -> None:
        """Pack the tail, as far as it fills chunks. A large batch becomes many: bounded answers are made of them."""
        begin = size = 0
        for end, raw in enumerate(self._tail, 1):
            size += len(raw)
            if end - begin == CHUNK_EVENTS or size >= CHUNK_BYTES:
                self._chunks.append(pack_raws(self._tail[begin:end]))
                self._firsts.append(self._tail_first)
                self._tail_first += end - begin
                begin, size = end, 0
        del self._tail[:begin]
        self._tail_bytes = size

    def slice(self, first: int, most_bytes: int) -> tuple[bytes, ...]:
        """The bytes of events from number ``first`` on: as many as ``most_bytes`` hold, and at least one."""
        raws: list[bytes] = []
        size = 0
        while first <= self.count:
            if first >= self._tail_first:
                part: tuple[bytes, ...] = tuple(self._tail[first - self._tail_first :])
            else:
                i = bisect_right(self._firsts, first) - 1
                part = unpack_raws(self._chunks[i])[first - self._firsts[i] :]
            whole = sum(map(len, part))
            if size + whole > most_bytes:
                return (*raws, *_begin_of(part, most_bytes - size, at_least=not raws))
            raws += part
            size += whole
            first += len(part)
        return tuple(raws)

    def between(self, first: int, last: int) -> tuple[bytes, ...]:
        """The bytes of events number ``first`` to ``last``."""
        if first >= self._tail_first:
            return tuple(self._tail[first - self._tail_first : last + 1 - self._tail_first])
        raws: list[bytes] = []
        while first + len(raws) <= last:
            raws += self.slice(first + len(raws), CHUNK_BYTES)
        return tuple(raws[: last + 1 - first])

    def differs(self, batch: Batch) -> Iterator[tuple[int, bytes]]:
        """Yield (number, bytes) of the events of ``batch`` whose number is known and whose bytes are not."""
        last = min(batch.last, self.count)
        held, theirs = self.between(batch.first, last), batch.raws[: last + 1 - batch.first]
        if held != theirs:
            for number, (mine, raw) in enumerate(zip(held, theirs, strict=True), batch.first):
                if mine != raw and raw not in self.others.get(number, ()):
                    yield number, raw

    def add_other(self, number: int, raw: bytes) -> None:
        """Keep a further event of a known number; the earliest of them stands in line."""
        [first] = self.between(number, number)
        if _place(raw) < _place(first):
            self._replace(number, raw)
            raw = first
        insort(self.others.setdefault(number, []), raw, key=_place)

    def all_of(self, number: int) -> list[bytes]:
        """All events that bear a number, the one in line first."""
        return [*self.between(number, number), *self.others.get(number, ())]

    def hash(self) -> bytes:
        """Eight bytes that follow from all of its events, in whatever order they came."""
        if self._hashed < self.count:
            at = self._hashed + 1
            while at <= self.count:
                raws = self.slice(at, CHUNK_BYTES)
                self._hasher.update(b"".join(raws))
                at += len(raws)
            self._hashed = self.count
        return self._with_others(self._hasher, self.others) if self.others else self._hasher.digest()

    def block_hashes(self) -> list[bytes]:
        """The same of each block of ``BLOCK_EVENTS``."""
        hashes = []
        for first in range(1, self.count + 1, BLOCK_EVENTS):
            last = min(first + BLOCK_EVENTS - 1, self.count)
            hasher = hashlib.blake2b(b"".join(self.between(first, last)), digest_size=8)
            hashes.append(self._with_others(hasher, {n: raws for n, raws in self.others.items() if first <= n <= last}))
        return hashes

    @staticmethod
    def _with_others(hasher: hashlib.blake2b, others: dict[int, list[bytes]]) -> bytes:
        hasher = hasher.copy()
        for number in sorted(others):
            for raw in others[number]:
                hasher.update(b"%d/%d/" % (number, len(raw)) + raw)
        return hasher.digest()

    def _replace(self, number: int, raw: bytes) -> None:
        if number >= self._tail_first:
            self._tail_bytes += len(raw) - len(self._tail[number - self._tail_first])
            self._tail[number - self._tail_first] = raw
        else:
            i = bisect_right(self._firsts, number) - 1
            raws = list(unpack_raws(self._chunks[i]))
            raws[number - self._firsts[i]] = raw
            self._chunks[i] = pack_raws(raws)
        self._hasher, self._hashed = hashlib.blake2b(digest_size=8), 0


def _place(raw: bytes) -> tuple[int, bytes]:
    """What the events of one number are sorted by."""
    [event] = decode_batch(Batch("", 1, (raw,)))
    return event.lamport, raw


def _begin_of(raws: tuple[bytes, ...], most_bytes: int, at_least: int) -> tuple[bytes, ...]:
    """The first of ``raws`` that fit, and ``at_least`` so many."""
    size = 0
    for n, raw in enumerate(raws):
        size += len(raw)
        if size > most_bytes and n >= at_least:
            return raws[:n]
    return raws
