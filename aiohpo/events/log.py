"""The log: one append-only sequence of events per origin, and what a replica has of each.

The union of all workers' logs is the study. Replicas only ever hold *prefixes*: events 1..n of an origin, no
gaps. So ``{origin: n}``, the version vector, says exactly what a replica has, two replicas merge in any order
and agree (a grow-only set, hence a state-based CRDT), and what a peer lacks is a slice of bytes.

Events are kept as the bytes that stand in the journal, packed in chunks: about 140 bytes for the two events of
a 10-parameter trial, with no Python object for each.

A journal with a corrupt record in the middle has a gap. The events behind it are still true, so they are
*parked*: readers get them, but they are not part of the prefix, are not counted in the version vector and are
not offered to peers until the gap is filled.

An event of a kind that this version does not know is kept, counted and offered like any other; its meaning is skipped.

Lamport clocks follow the largest stamp that was heard, so one absurd stamp would hold them for good, and with them
everything that the largest stamp decides. No study has so many events that an honest stamp could be ``FAR_AHEAD`` of a
replica's clock. An event whose stamp is stays out, with those that follow it in its log, until the clock has come
nearer: then it is offered again. So replicas that refused it at different times still end with the same events.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from .codec import decode_batch, encode_checked
from .groups import OriginGroups
from .origin_log import BLOCK_EVENTS, CHUNK_BYTES, OriginImage, OriginLog
from .schema import MAX_NUMBER, Batch, Event, Fresh, Malformed, Seen, Unknown

FAR_AHEAD = 1 << 28
_ABSURDLY_AHEAD = 1 << 40
MOST_FORKS = 4096
_MOST_TOLD = 20  # kinds of unknown events, and workers whose stamps were refused, that are told apart


class FarAhead(Malformed):
    """An event that is left out because its stamp is absurdly far ahead of the replica's clock."""


class Read(NamedTuple):
    """A batch that was read and not yet taken: its events, and the largest of their stamps.

    ``forks``: it holds events of numbers that are taken by others.
    """

    batch: Batch
    events: list[Event | Unknown]
    lamport: int
    forks: bool = False


class LogImage(msgspec.Struct, array_like=True):
    """All of a replica's logs as plain data."""

    origins: dict[str, OriginImage]
    parked: dict[str, dict[int, bytes]]
    forks: dict[str, int]
    clock: int
    unknown_kinds: list[int]
    far_ahead: dict[str, int]


class Log:
    """A replica's copy of all logs."""

    __slots__ = ("_changed", "_groups", "_origins", "_parked", "clock", "far_ahead", "forks", "unknown_kinds")

    def __init__(self) -> None:
        self._origins: dict[str, OriginLog] = {}
        self._parked: dict[str, dict[int, bytes]] = {}
        self._groups = OriginGroups()
        self._changed: set[str] = set()  # origins whose hash is out of date
        self.forks: dict[str, int] = {}  # by origin, how many events have a number that another one has
        self.clock = 0  # the largest lamport time seen
        self.unknown_kinds: set[int] = set()  # of events that a later version of aiohpo recorded
        self.far_ahead: dict[str, int] = {}  # by origin, the first stamp that was refused

    def image(self) -> LogImage:
        """Return all of it as plain data."""
        origins = {origin: log.image() for origin, log in self._origins.items()}
        parked = {origin: dict(waiting) for origin, waiting in self._parked.items()}
        unknown = sorted(self.unknown_kinds)
        return LogImage(origins, parked, dict(self.forks), self.clock, unknown, dict(self.far_ahead))

    def restore(self, image: LogImage) -> None:
        """Become, from an empty log, what ``image`` was made of."""
        self._origins = {origin: OriginLog.of_image(log) for origin, log in image.origins.items()}
        self._changed = set(self._origins)
        self._parked, self.forks, self.clock = image.parked, image.forks, image.clock
        self.unknown_kinds, self.far_ahead = set(image.unknown_kinds), image.far_ahead

    def count(self, origin: str) -> int:
        """How many events of ``origin`` this replica has."""
        log = self._origins.get(origin)
        return log.count if log else 0

    def vector(self, among: Iterable[str] | None = None) -> dict[str, int]:
        """The version vector, ``{origin: count}``, or its part for these origins; a fresh dict."""
        if among is not None:
            return {origin: self._origins[origin].count for origin in among}
        return {origin: log.count for origin, log in self._origins.items()}

    def covers(self, other: Log) -> bool:
        """Whether certainly everything that ``other`` holds is here: not so if that has forks or parked events."""
        if other.forks or other._parked:
            return False
        return all(log.count <= self.count(origin) for origin, log in other._origins.items())

    def hash(self) -> bytes:
        """Eight bytes that differ (but for a chance of 2^-64) when the events do."""
        return self.groups.total()

    @property
    def groups(self) -> OriginGroups:
        """The hashes of all logs as they are now, by group of origins."""
        for origin in self._changed:
            log = self._origins[origin]
            text = b"%s/%d/%s" % (origin.encode(), log.count, log.hash())
            self._groups.put(origin, int.from_bytes(blake2b(text, digest_size=8).digest()))
        self._changed.clear()
        return self._groups

    def hash_of(self, origin: str) -> bytes:
        """The same for one worker's log; empty if there is none."""
        log = self._origins.get(origin)
        return log.hash() if log else b""

    def block_hashes(self, origin: str) -> list[bytes]:
        """The same for each of the blocks of a worker's log; see :mod:`aiohpo.events.origin_log`."""
        log = self._origins.get(origin)
        return log.block_hashes() if log else []

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

    def holds(self, batch: Batch) -> bool:
        """Whether all of ``batch`` is here, with the same bytes: of what a flood brings most is."""
        held = self._origins.get(batch.origin)
        last = batch.last
        return held is not None and last <= held.count and held.between(batch.first, last) == batch.raws

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
            if len(self.far_ahead) < _MOST_TOLD:
                self.far_ahead.setdefault(batch.origin, lamport)
            if lamport > self.clock + _ABSURDLY_AHEAD:
                raise FarAhead(f"the stamp {lamport}, where {self.clock} is the largest known")
            near = next(n for n, event in enumerate(events) if event.lamport > self.clock + FAR_AHEAD)
            if not near:
                return None
            new, events = Batch(new.origin, new.first, new.raws[:near]), events[:near]
            lamport = max(event.lamport for event in events)
        return Read(new, events, lamport)

    def take(self, read: Read) -> Fresh | None:
        """Take what was read, as far as it is next in line now; return that, or None if it is not."""
        batch, events, lamport, _ = read
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

    def read_forks(self, batch: Batch) -> list[Read]:
        """Read those of its events whose number is known and who are not; see :mod:`aiohpo.events.origin_log`.

        Changes nothing. Raises :class:`Malformed` if any of them is no event.
        """
        held = self._origins.get(batch.origin)
        if held is None or batch.first > held.count:
            return []
        forks = [Batch(batch.origin, number, (raw,)) for number, raw in held.differs(batch)]
        read = [Read(fork, events := self._decode(fork), events[0].lamport, forks=True) for fork in forks]
        return [each for each in read if each.lamport <= self.clock + FAR_AHEAD]

    def take_fork(self, read: Read) -> Fresh | None:
        """Keep an event of a number that another one has; None if it is here already, or there are too many."""
        origin, number = read.batch.origin, read.batch.first
        held = self._origins[origin]
        if sum(self.forks.values()) >= MOST_FORKS or not list(held.differs(read.batch)):
            return None
        self.forks[origin] = self.forks.get(origin, 0) + 1
        held.add_other(number, read.batch.raws[0])
        self._changed.add(origin)
        self._note(read.events, read.lamport)
        return Fresh(origin, number, read.events, again=True)

    def merge_forks(self, batch: Batch) -> list[Fresh]:
        """Take those of its events whose number is known and who are not. Raises :class:`Malformed`."""
        taken = map(self.take_fork, self.read_forks(batch))
        return [fresh for fresh in taken if fresh is not None]

    def all_of(self, origin: str, number: int) -> list[Batch]:
        """All events of a worker that bear this number."""
        return [Batch(origin, number, (raw,)) for raw in self._origins[origin].all_of(number)]

    def beside(self, counts: Mapping[str, int], among: Collection[str] | None = None) -> Iterator[Batch]:
        """Yield the events that stand beside those in line, of which a replica with version vector ``counts`` lacks
        those in line as well; of the origins ``among`` which it is valid, if not of all."""
        for origin in self.forks:
            if among is not None and origin not in among:
                continue
            for number, raws in self._origins[origin].others.items():
                if number > counts.get(origin, 0):
                    yield from (Batch(origin, number, (raw,)) for raw in raws)

    def block(self, origin: str, index: int, most_bytes: int) -> Iterator[Batch]:
        """Yield the events of one block of a worker's log, as many as ``most_bytes`` hold."""
        log, first = self._origins[origin], index * BLOCK_EVENTS + 1
        raws = log.slice(first, most_bytes)[:BLOCK_EVENTS]
        if raws:
            yield Batch(origin, first, raws)
        for number in log.others:
            if first <= number < first + len(raws):
                yield from (Batch(origin, number, (raw,)) for raw in log.others[number])

    def hold_back(self, batch: Batch) -> Fresh:
        """Keep a batch that lies behind a gap and return its events; see the module's docstring.

        Raises :class:`Malformed` without changing anything if any event of it is not one.
        """
        if batch.last > MAX_NUMBER:
            raise Malformed(f"an event with the number {batch.last}")
        read = self.read(batch)
        if read is None:
            raise FarAhead(f"events {batch.first} to {batch.last} with stamps far above {self.clock}")
        waiting = self._parked.setdefault(batch.origin, {})
        waiting.update(enumerate(read.batch.raws, read.batch.first))
        self._note(read.events, read.lamport)
        return Fresh(batch.origin, read.batch.first, read.events)

    def missing(
        self,
        counts: Mapping[str, int],
        most_bytes: int,
        upto: Mapping[str, int] | None = None,
        among: Iterable[str] | None = None,
    ) -> Iterator[Batch]:
        """Yield what a replica with version vector ``counts`` lacks, in all about ``most_bytes`` and one event.

        With ``upto`` leave out origins of which it lacks only what is newer than that version vector. ``among``: the
        origins of which ``counts`` says what it has, if not of all.
        """
        for origin in self._origins if among is None else among:
            log = self._origins[origin]
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
        at = 1
        while at <= self.count(origin):  # piece by piece: as objects events take eight times as much as their bytes
            batch = Batch(origin, at, self._origins[origin].slice(at, CHUNK_BYTES))
            yield from Fresh(origin, at, self._decode(batch))
            at = batch.last + 1

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
        self._changed.add(origin)

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
            if type(event) is Unknown and len(self.unknown_kinds) < _MOST_TOLD:
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
            f"events of kind {kinds} are kept and passed on, but not interpreted: a later version of aiohpo "
            "recorded them"
        )

    def refused(self, known: int = 0) -> list[str]:
        """Say of each worker whose stamps were refused, but for the ``known`` first ones, what is left out and why."""
        return [
            f"events of worker {origin} are ignored: their stamp {lamport} is implausibly far ahead of all others "
            f"({self.clock})"
            for origin, lamport in list(self.far_ahead.items())[known:]
        ]

    def __repr__(self) -> str:
        return f"<Log {self.size} events of {len(self._origins)} workers, clock {self.clock}>"
