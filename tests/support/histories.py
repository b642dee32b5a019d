"""Small made-up histories of workers, for the tests of what stores and reads them."""

from __future__ import annotations

from collections.abc import Iterable

from aiohpo import Float, Space
from aiohpo.events.codec import encode_event
from aiohpo.events.schema import Batch, Ended, Event, Proposed, Started

SPACE = Space(x=Float(0.0, 1.0))


def events_of(trials: int, journal: str = "", host: str = "nowhere") -> list[Event]:
    """A worker that started and finished some trials, trial i with the value i."""
    events: list[Event] = [Started(1, 0.0, host, 1, journal, None)]
    for i in range(trials):
        t = len(events) + 1
        events += [Proposed(t, 0.0, (i / 1000,)), Ended(t + 1, t, 0, "finished", 0, float(i), 0.1)]
    return events


def batch_of(origin: str, events: Iterable[Event], first: int = 1) -> Batch:
    return Batch(origin, first, tuple(map(encode_event, events)))


def split(batch: Batch, size: int = 1) -> list[Batch]:
    """The same events in batches of ``size``."""
    return [Batch(batch.origin, batch.first + i, batch.raws[i : i + size]) for i in range(0, len(batch.raws), size)]
