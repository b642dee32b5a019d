"""Small made-up histories of workers, for the tests of what stores and reads them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from aiohpo import Float, Space
from aiohpo.events.codec import encode_event
from aiohpo.events.schema import Batch, Ended, Event, Goal, Proposed, Started

SPACE = Space(x=Float(0.0, 1.0))


def events_of(trials: int, journal: str = "", host: str = "nowhere") -> list[Event]:
    """A worker that started and finished some trials, trial i with the value i."""
    events: list[Event] = [Started(1, 0.0, host, 1, journal, None)]
    for i in range(trials):
        t = len(events) + 1
        events += [Proposed(t, 0.0, (i / 1000,)), Ended(t + 1, t, 0, "finished", 0, float(i), 0.1)]
    return events


def with_remarks() -> tuple[bytes, ...]:
    """The bytes of a later version's log: two trials between events of an unknown kind, then a budget of 7."""
    known = [encode_event(Proposed(2, 0.0, (0.5,))), encode_event(Ended(3, 2, 0, "finished", 0, 0.5))]
    known += [encode_event(Proposed(5, 0.0, (0.6,))), encode_event(Ended(6, 5, 0, "finished", 0, 0.25))]
    return remark(1), *known[:2], remark(4), *known[2:], remark(99), encode_event(Goal(9, 7))


def batch_of(origin: str, events: Iterable[Event], first: int = 1) -> Batch:
    return Batch(origin, first, tuple(map(encode_event, events)))


def split(batch: Batch, size: int = 1) -> list[Batch]:
    """The same events in batches of ``size``."""
    return [Batch(batch.origin, batch.first + i, batch.raws[i : i + size]) for i in range(0, len(batch.raws), size)]


class Remark(msgspec.Struct, frozen=True, array_like=True, tag=99):
    """An event of a kind that a later version of aiohpo might have."""

    lamport: int
    text: str


def remark(lamport: int, text: str = "as only a later version knows") -> bytes:
    """The bytes of an event of an unknown kind."""
    return msgspec.msgpack.encode(Remark(lamport, text))
