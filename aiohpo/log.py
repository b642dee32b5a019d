"""The log: one append-only sequence of events per origin, and what a replica has of each.

The union of all workers' logs is the study. Replicas only ever hold *prefixes*: events 1..n of an origin, no
gaps. So ``{origin: n}``, the version vector, says exactly what a replica has, two replicas merge in any order
and agree (a grow-only set, hence a state-based CRDT), and what a peer lacks is a slice of bytes.

Events are kept as the bytes that stand in the journal, joined in chunks: about 70 bytes an event of a
10-parameter trial, with no Python object for each.

A journal with a corrupt record in the middle has a gap. The events behind it are still true, so they are
*parked*: readers get them, but they are not part of the prefix, are not counted in the version vector and are
not offered to peers until somebody fills the gap.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from functools import lru_cache

import msgpack

from .events import Batch, Malformed, Seen, decode_events, encode_event

CHUNK_EVENTS = 128


class OriginLog:
    """The events 1..``count`` of one worker as bytes."""

    __slots__ = ("_chunks", "_firsts", "_tail", "_tail_first", "count")

    def __init__(self) -> None:
        self.count = 0
        self._chunks: list[bytes] = []
        self._firsts: list[int] = []
        self._tail: list[bytes] = []
        self._tail_first = 1

    def append(self, raws: list[bytes]) -> None:
        self._tail += raws
        self.count += len(raws)
        whole = len(self._tail) - len(self._tail) % CHUNK_EVENTS
        if whole:  # a large batch becomes many chunks: they are what a bounded answer is made of
            for at in range(0, whole, CHUNK_EVENTS):
                self._chunks.append(b"".join(self._tail[at : at + CHUNK_EVENTS]))
                self._firsts.append(self._tail_first)
                self._tail_first += CHUNK_EVENTS
            del self._tail[:whole]

    def slice(self, first: int, most_bytes: int) -> tuple[int, bytes]:
        """Return (count, bytes) of events from number ``first`` on, about ``most_bytes`` and at least one."""
        parts: list[bytes] = []
        size = 0
        at = first
        while at <= self.count and (size < most_bytes or not parts):
            if at >= self._tail_first:
                part = b"".join(self._tail[at - self._tail_first :])
                end = self.count + 1
            else:
                i = bisect_right(self._firsts, at) - 1
                part = self._chunks[i]
                if at > self._firsts[i]:
                    part = part[_offset(part, at - self._firsts[i]) :]
                end = self._firsts[i + 1] if i + 1 < len(self._firsts) else self._tail_first
            parts.append(part)
            size += len(part)
            at = end
        return at - first, b"".join(parts)


def _offset(blob: bytes, skip: int) -> int:
    """The offset of the event after the first ``skip`` ones."""
    unpacker = msgpack.Unpacker(max_buffer_size=max(len(blob), 1))
    unpacker.feed(blob)
    for _ in range(skip):
        unpacker.skip()
    return int(unpacker.tell())


class Log:
    """A replica's copy of all logs."""

    __slots__ = ("_origins", "_parked", "_vector_hash", "clock")

    def __init__(self) -> None:
        self._origins: dict[str, OriginLog] = {}
        self._parked: dict[str, dict[int, bytes]] = {}
        self._vector_hash: bytes | None = None
        self.clock = 0  # the largest lamport time seen

    def count(self, origin: str) -> int:
        """How many events of ``origin`` this replica has."""
        log = self._origins.get(origin)
        return log.count if log else 0

    def vector(self) -> dict[str, int]:
        """The version vector, ``{origin: count}``; a fresh dict."""
        return {origin: log.count for origin, log in self._origins.items()}

    def hash(self) -> bytes:
        """Eight bytes that differ (but for a chance of 2^-64) when the version vectors do."""
        if self._vector_hash is None:
            text = "\n".join(f"{o} {log.count}" for o, log in sorted(self._origins.items()))
            self._vector_hash = hashlib.blake2b(text.encode(), digest_size=8).digest()
        return self._vector_hash

    @property
    def size(self) -> int:
        """Events held, over all origins."""
        return sum(log.count for log in self._origins.values())

    def append_own(self, origin: str, event: Seen) -> bytes:
        """Append the next event of the local worker ``origin`` and return its bytes."""
        raw = encode_event(origin, event.event)
        assert event.seq == self.count(origin) + 1, "own events are numbered without gaps"
        self._extend(origin, [raw])
        self.clock = max(self.clock, event.event.lamport)
        return raw

    def merge(self, batch: Batch) -> list[Seen]:
        """Take the events of ``batch`` that are next in line; return those, decoded, oldest first.

        What is known is dropped; a batch that starts beyond ``count + 1`` changes nothing (the caller asks
        for repair). Raises :class:`Malformed` without changing anything if any event of it is not one.
        """
        have = self.count(batch.origin)
        if batch.first > have + 1 or batch.first + batch.count - 1 <= have:
            return []
        new, raws = _parse(batch, have)
        self._extend(batch.origin, raws)
        self._advance_clock(new)
        self._unpark(batch.origin)
        return new

    def park(self, batch: Batch) -> list[Seen]:
        """Keep a batch that lies behind a gap and return its events; see the module's docstring."""
        new, raws = _parse(batch, batch.first - 1)
        waiting = self._parked.setdefault(batch.origin, {})
        waiting.update(zip(range(batch.first, batch.first + len(raws)), raws, strict=True))
        self._advance_clock(new)
        return new

    def missing(
        self, counts: Mapping[str, int], most_bytes: int, upto: Mapping[str, int] | None = None
    ) -> Iterator[Batch]:
        """Yield what a replica with version vector ``counts`` lacks, in all about ``most_bytes``.

        With ``upto`` leave out what is newer than that version vector.
        """
        for origin, log in self._origins.items():
            first = counts.get(origin, 0) + 1
            if first > (log.count if upto is None else min(log.count, upto.get(origin, 0))):
                continue
            count, blob = log.slice(first, most_bytes)
            yield Batch(origin, first, count, blob)
            most_bytes -= len(blob)
            if most_bytes <= 0:
                return

    def batch(self, origin: str, first: int) -> Batch:
        """Everything held of ``origin`` from event ``first`` on."""
        count, blob = self._origins[origin].slice(first, 1 << 62)
        return Batch(origin, first, count, blob)

    def lacks(self, counts: Mapping[str, int]) -> bool:
        """Whether a replica with version vector ``counts`` has something that this one has not."""
        return any(n > self.count(origin) for origin, n in counts.items())

    def events(self, origin: str) -> Iterator[Seen]:
        """All held events of ``origin`` in order."""
        log = self._origins.get(origin)
        if log:
            _, blob = log.slice(1, 1 << 62)
            for seq, (event, _) in enumerate(decode_events(origin, blob), start=1):
                yield Seen(origin, seq, event)

    @property
    def origins(self) -> list[str]:
        return sorted(self._origins)

    def _extend(self, origin: str, raws: list[bytes]) -> None:
        log = self._origins.get(origin)
        if log is None:
            log = self._origins[origin] = OriginLog()
        log.append(raws)
        self._vector_hash = None

    def _unpark(self, origin: str) -> None:
        waiting = self._parked.get(origin)
        if not waiting:
            return
        raws: list[bytes] = []
        while (raw := waiting.pop(self.count(origin) + len(raws) + 1, None)) is not None:
            raws.append(raw)
        if raws:
            self._extend(origin, raws)
        for seq in [s for s in waiting if s <= self.count(origin)]:
            del waiting[seq]

    def _advance_clock(self, events: list[Seen]) -> None:
        for seen in events:
            if seen.event.lamport > self.clock:
                self.clock = seen.event.lamport

    def __repr__(self) -> str:
        return f"<Log {self.size} events of {len(self._origins)} workers, clock {self.clock}>"


def _parse(batch: Batch, have: int) -> tuple[list[Seen], list[bytes]]:
    """The events of ``batch`` after number ``have``, decoded and as bytes."""
    seen, raws = (_decoded if len(batch.blob) <= _CACHED_BYTES else _decode)(batch)
    known = max(have + 1 - batch.first, 0)
    return seen[known:], raws[known:]


def _decode(batch: Batch) -> tuple[list[Seen], list[bytes]]:
    seen: list[Seen] = []
    raws: list[bytes] = []
    start = 0
    for event, end in decode_events(batch.origin, batch.blob):
        seen.append(Seen(batch.origin, batch.first + len(seen), event))
        raws.append(batch.blob[start:end])
        start = end
    if len(seen) != batch.count:
        raise Malformed(f"a batch says {batch.count} events and holds {len(seen)}")
    return seen, raws


# Several workers in one process receive the very same bytes; events are immutable, so they can share them.
# With 16 workers on one loop this and the cache of frames raise throughput by two thirds.
_CACHED_BYTES = 4 << 10
_decoded = lru_cache(maxsize=32)(_decode)
