"""The log: one append-only sequence of events per origin, and what a replica has of each.

The union of all workers' logs is the study. Replicas only ever hold *prefixes*: events 1..n of an origin, no
gaps. So ``{origin: n}``, the version vector, says exactly what a replica has, two replicas merge in any order
and agree (a grow-only set, hence a state-based CRDT), and what a peer lacks is a slice of bytes.

Events are kept as the bytes that stand in the journal, packed in chunks: about 140 bytes for the two events of
a 10-parameter trial, with no Python object for each.

A journal with a corrupt record in the middle has a gap. The events behind it are still true, so they are
*parked*: readers get them, but they are not part of the prefix, are not counted in the version vector and are
not offered to peers until somebody fills the gap.

An event of a kind that this version does not know is kept, counted and offered like any other; its meaning is skipped.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping

from .codec import decode_batch, encode_event, pack_raws, unpack_raws
from .schema import Batch, Event, Fresh, Seen, Unknown

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

    def append(self, raws: tuple[bytes, ...]) -> None:
        self._tail += raws
        self.count += len(raws)
        whole = len(self._tail) - len(self._tail) % CHUNK_EVENTS
        if whole:  # a large batch becomes many chunks: they are what a bounded answer is made of
            for at in range(0, whole, CHUNK_EVENTS):
                self._chunks.append(pack_raws(self._tail[at : at + CHUNK_EVENTS]))
                self._firsts.append(self._tail_first)
                self._tail_first += CHUNK_EVENTS
            del self._tail[:whole]

    def slice(self, first: int, most_bytes: int) -> tuple[bytes, ...]:
        """The bytes of events from number ``first`` on, about ``most_bytes`` in all and at least one."""
        raws: list[bytes] = []
        size = 0
        while first <= self.count and size < most_bytes:
            if first >= self._tail_first:
                part: tuple[bytes, ...] = tuple(self._tail[first - self._tail_first :])
            else:
                i = bisect_right(self._firsts, first) - 1
                part = unpack_raws(self._chunks[i])[first - self._firsts[i] :]
            raws += part
            size += sum(map(len, part))
            first += len(part)
        return tuple(raws)


class Log:
    """A replica's copy of all logs."""

    __slots__ = ("_origins", "_parked", "_vector_hash", "clock", "unknown_kinds")

    def __init__(self) -> None:
        self._origins: dict[str, OriginLog] = {}
        self._parked: dict[str, dict[int, bytes]] = {}
        self._vector_hash: bytes | None = None
        self.clock = 0  # the largest lamport time seen
        self.unknown_kinds: set[int] = set()  # of events that a later version of aiohpo recorded

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

    def append_own(self, origin: str, seq: int, event: Event) -> Batch:
        """Append the next event of the local worker ``origin`` and return its bytes."""
        assert seq == self.count(origin) + 1, "own events are numbered without gaps"
        raws = (encode_event(event),)
        self._extend(origin, raws)
        self.clock = max(self.clock, event.lamport)
        return Batch(origin, seq, raws)

    def merge(self, batch: Batch) -> Fresh | None:
        """Take the events of ``batch`` that are next in line; return those, or None if there are none.

        What is known is dropped; a batch that starts beyond ``count + 1`` changes nothing (the caller asks
        for repair). Raises :class:`Malformed` without changing anything if any new event of it is not one.
        """
        known = self.count(batch.origin) + 1 - batch.first
        if not 0 <= known < len(batch.raws):
            return None
        new = batch if known == 0 else Batch(batch.origin, batch.first + known, batch.raws[known:])
        events = self._decode(new)
        self._extend(batch.origin, new.raws)
        self._note(events)
        if self._parked:
            self._unpark(batch.origin)
        return Fresh(new.origin, new.first, events)

    def hold_back(self, batch: Batch) -> Fresh:
        """Keep a batch that lies behind a gap and return its events; see the module's docstring."""
        events = self._decode(batch)
        waiting = self._parked.setdefault(batch.origin, {})
        waiting.update(zip(range(batch.first, batch.last + 1), batch.raws, strict=True))
        self._note(events)
        return Fresh(batch.origin, batch.first, events)

    def missing(
        self, counts: Mapping[str, int], most_bytes: int, upto: Mapping[str, int] | None = None
    ) -> Iterator[Batch]:
        """Yield what a replica with version vector ``counts`` lacks, in all about ``most_bytes``.

        With ``upto`` leave out origins of which it lacks only what is newer than that version vector.
        """
        for origin, log in self._origins.items():
            first = counts.get(origin, 0) + 1
            if first > (log.count if upto is None else min(log.count, upto.get(origin, 0))):
                continue
            batch = Batch(origin, first, log.slice(first, most_bytes))
            yield batch
            most_bytes -= batch.size
            if most_bytes <= 0:
                return

    def batch_from(self, origin: str, first: int) -> Batch:
        """Everything held of ``origin`` from event ``first`` on."""
        return Batch(origin, first, self._origins[origin].slice(first, 1 << 62))

    def lacks_any_of(self, counts: Mapping[str, int]) -> bool:
        """Whether a replica with version vector ``counts`` has something that this one has not."""
        return any(n > self.count(origin) for origin, n in counts.items())

    def events(self, origin: str) -> Iterator[Seen]:
        """All held events of ``origin`` in order, without those of unknown kinds."""
        if origin in self._origins:
            batch = self.batch_from(origin, 1)
            yield from Fresh(origin, 1, self._decode(batch))

    @property
    def origins(self) -> list[str]:
        return sorted(self._origins)

    @staticmethod
    def _decode(batch: Batch) -> list[Event | Unknown]:
        return decode_batch(batch)

    def _extend(self, origin: str, raws: tuple[bytes, ...]) -> None:
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
            self._extend(origin, tuple(raws))
        for seq in [s for s in waiting if s <= self.count(origin)]:
            del waiting[seq]
        if not waiting:
            del self._parked[origin]

    def _note(self, events: list[Event | Unknown]) -> None:
        clock = 0
        for event in events:
            if event.lamport > clock:
                clock = event.lamport
            if isinstance(event, Unknown):
                self.unknown_kinds.add(event.kind)
        if clock > self.clock:
            self.clock = clock

    @property
    def skipped(self) -> str:
        """What of this log is not understood, in words; empty if all of it is."""
        if not self.unknown_kinds:
            return ""
        kinds = ", ".join(map(str, sorted(self.unknown_kinds)))
        return (
            f"events of kind {kinds} are kept and passed on, but their meaning is skipped: a later version of aiohpo "
            "recorded them"
        )

    def __repr__(self) -> str:
        return f"<Log {self.size} events of {len(self._origins)} workers, clock {self.clock}>"
