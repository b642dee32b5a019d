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

Lamport clocks follow the largest stamp that was heard, so one absurd stamp would hold them for good, and with them
everything that the largest stamp decides. No study has so many events that an honest stamp could be ``FAR_AHEAD`` of a
replica's clock. An event whose stamp is stays out, with those that follow it in its log, until the clock has come
nearer: then it is offered again. So replicas that refused it at different times still end with the same events.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from .codec import decode_batch, encode_checked, pack_raws, unpack_raws
from .lifecycle import Stamp
from .schema import MAX_NUMBER, Batch, Event, Fresh, Malformed, Seen, Unknown

CHUNK_EVENTS = 128
CHUNK_BYTES = 64 << 10
FAR_AHEAD = 1 << 28
_ABSURDLY_AHEAD = 1 << 40
_MOST_KINDS = 20  # of unknown events that are told apart


class OriginLog:
    """The events 1..``count`` of one worker as bytes."""

    __slots__ = ("_chunks", "_firsts", "_tail", "_tail_bytes", "_tail_first", "count")

    def __init__(self) -> None:
        self.count = 0
        self._chunks: list[bytes] = []
        self._firsts: list[int] = []
        self._tail: list[bytes] = []
        self._tail_first = 1
        self._tail_bytes = 0

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


def _begin_of(raws: tuple[bytes, ...], most_bytes: int, at_least: int) -> tuple[bytes, ...]:
    """The first of ``raws`` that fit, and ``at_least`` so many."""
    size = 0
    for n, raw in enumerate(raws):
        size += len(raw)
        if size > most_bytes and n >= at_least:
            return raws[:n]
    return raws


class Read(NamedTuple):
    """A batch that was read and not yet taken: its events, and the largest of their stamps."""

    batch: Batch
    events: list[Event | Unknown]
    lamport: int


class Log:
    """A replica's copy of all logs."""

    __slots__ = ("_origins", "_parked", "_vector_hash", "clock", "far_ahead", "unknown_kinds")

    def __init__(self) -> None:
        self._origins: dict[str, OriginLog] = {}
        self._parked: dict[str, dict[int, bytes]] = {}
        self._vector_hash: bytes | None = None
        self.clock = 0  # the largest lamport time seen
        self.unknown_kinds: set[int] = set()  # of events that a later version of aiohpo recorded
        self.far_ahead: Stamp | None = None  # the first that was refused

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

    def __len__(self) -> int:
        """How many workers it holds events of."""
        return len(self._origins)

    def __bool__(self) -> bool:
        return True  # a log without events is one

    @property
    def size(self) -> int:
        """Events held, over all origins."""
        return sum(log.count for log in self._origins.values())

    def append_own(self, origin: str, seq: int, event: Event) -> Batch:
        """Append the next event of the local worker ``origin`` and return its bytes.

        Raises :class:`~aiohpo.events.schema.Unrecordable`, and changes nothing, if the peers would drop it.
        """
        assert seq == self.count(origin) + 1, "own events are numbered without gaps"
        raws = (encode_checked(event),)
        self._extend(origin, raws)
        self.clock = max(self.clock, event.lamport)
        return Batch(origin, seq, raws)

    def merge(self, batch: Batch) -> Fresh | None:
        """Take the events of ``batch`` that are next in line; return those, or None if there are none.

        What is known is dropped; a batch that starts beyond ``count + 1`` changes nothing (the caller asks
        for repair). Raises :class:`Malformed` without changing anything if any new event of it is not one.
        """
        read = self.read(batch) if batch.first <= self.count(batch.origin) + 1 else None
        return None if read is None else self.take(read)

    def read(self, batch: Batch) -> Read | None:
        """Decode what of ``batch`` is not known, next in line or not; None if there is nothing that may be taken.

        Changes nothing. Raises :class:`Malformed` if any of it is no event.
        """
        held = self._origins.get(batch.origin)
        known = (held.count if held else 0) + 1 - batch.first
        if known >= len(batch.raws) or not batch.raws:
            return None
        new = batch if known <= 0 else Batch(batch.origin, batch.first + known, batch.raws[known:])
        events = self._decode(new)
        lamport = events[-1].lamport
        for event in events:
            if event.lamport > lamport:
                lamport = event.lamport
        if lamport > self.clock + FAR_AHEAD:
            if self.far_ahead is None:
                self.far_ahead = lamport, batch.origin
            if lamport > self.clock + _ABSURDLY_AHEAD:
                raise Malformed(f"the stamp {lamport}, where {self.clock} is the largest known")
            near = next(n for n, event in enumerate(events) if event.lamport > self.clock + FAR_AHEAD)
            if not near:
                return None
            new, events = Batch(new.origin, new.first, new.raws[:near]), events[:near]
            lamport = max(event.lamport for event in events)
        return Read(new, events, lamport)

    def take(self, read: Read) -> Fresh | None:
        """Take what was read, as far as it is next in line now; return that, or None if it is not."""
        batch, events, lamport = read
        origin, raws = batch.origin, batch.raws
        held = self._origins.get(origin)
        known = (held.count if held else 0) + 1 - batch.first
        if known:
            if not 0 < known < len(events):
                return None
            raws, events = raws[known:], events[known:]
            lamport = max(event.lamport for event in events)  # of what is held, or other replicas could not follow
        self._extend(origin, raws)
        self._note(events, lamport)
        if self._parked:
            self._unpark(origin)
        return Fresh(origin, batch.first + known, events)

    def hold_back(self, batch: Batch) -> Fresh:
        """Keep a batch that lies behind a gap and return its events; see the module's docstring.

        Raises :class:`Malformed` without changing anything if any event of it is not one.
        """
        read = self.read(batch) if batch.last <= MAX_NUMBER else None
        if read is None:
            raise Malformed(f"events {batch.first} to {batch.last} with stamps far above {self.clock}")
        waiting = self._parked.setdefault(batch.origin, {})
        waiting.update(enumerate(read.batch.raws, read.batch.first))
        self._note(read.events, read.lamport)
        return Fresh(batch.origin, read.batch.first, read.events)

    def missing(
        self, counts: Mapping[str, int], most_bytes: int, upto: Mapping[str, int] | None = None
    ) -> Iterator[Batch]:
        """Yield what a replica with version vector ``counts`` lacks, in all about ``most_bytes`` and one event.

        With ``upto`` leave out origins of which it lacks only what is newer than that version vector.
        """
        for origin, log in self._origins.items():
            first = counts.get(origin, 0) + 1
            if first > (log.count if upto is None else min(log.count, upto.get(origin, 0))):
                continue
            batch = Batch(origin, first, log.slice(first, most_bytes))
            yield batch
            most_bytes -= batch.wire_size
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

    def _note(self, events: list[Event | Unknown], lamport: int) -> None:
        for event in events:
            if isinstance(event, Unknown) and len(self.unknown_kinds) < _MOST_KINDS:
                self.unknown_kinds.add(event.kind)
        if lamport > self.clock:
            self.clock = lamport

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

    @property
    def refused(self) -> str:
        """Whose stamps were refused and why, in words; empty if none were."""
        if self.far_ahead is None:
            return ""
        lamport, origin = self.far_ahead
        return (
            f"events of worker {origin} are left out: their stamp {lamport} is absurdly far ahead of all others "
            f"({self.clock})"
        )

    def __repr__(self) -> str:
        return f"<Log {self.size} events of {len(self._origins)} workers, clock {self.clock}>"
