"""A worker of the model: production's recorder, claims and searcher, on a view that all workers share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...events.codec import encode_checked
from ...events.log import Log
from ...events.schema import MAX_LAMPORT, Event
from ...peer.eligibility import Eligibility
from ...peer.racing import Racing
from ...peer.recorder import Recorder
from ...peer.running_segments import Segment
from ...plugin import Config, Searcher
from ...view.view import View
from ..evaluator import Evaluation


class SharedRecorder(Recorder):
    """Records a worker's events into the view that all share.

    What it records is known at once to all of them, in the one order of the clock. ``told`` hears how many bytes each
    event has.
    """

    def __init__(self, me: str, view: View, log: Log, told: Callable[[int], None]) -> None:
        super().__init__(me, view, log)
        self._told = told
        self._count = 0

    def _record(self, make: Callable[[int], Event]) -> int:
        log = self.log
        log.clock = min(log.clock + 1, MAX_LAMPORT)
        event = make(log.clock)
        self._count += 1
        self.view.apply(self.me, self._count, event)
        self._told(len(encode_checked(event)))
        self._ended.clear()
        return self._count


@dataclass(slots=True, eq=False)
class Playing:
    """What a slot runs: a segment, and the note of it. ``items`` are what it still has to say; ``lost_race``: another
    worker has claimed it before, and it is not recorded."""

    segment: Segment
    note: Evaluation
    items: Iterator[Any] = field(default_factory=lambda: iter(()))
    outcome: Any = None
    ends: float = 0.0
    step: int = 0
    last_step: int = 0
    value: float | None = None
    extra: dict[str, float] = field(default_factory=dict)
    over: bool = False
    lost_race: bool = False


@dataclass(slots=True, eq=False)
class ModelWorker:
    """One worker.

    clock      when its model is fitted, if its searcher learns
    free_at    when its loop has done what holds it up
    suggested  configurations that it was given for free slots
    waits      whether it waits for a model
    looks_at   when it looks again whether there is something to do
    """

    name: str
    place: int
    recorder: SharedRecorder
    racing: Racing
    claims: Eligibility
    searcher: Searcher
    rng: np.random.Generator
    slots: int
    clock: Any = None
    free_at: float = 0.0
    suggested: Iterator[Config] = field(default_factory=lambda: iter(()))
    alive: bool = True
    waits: bool = False
    looks_at: float = 0.0
    busy_seconds: float = 0.0
    ended: int = 0
    running: dict[int, Playing] = field(default_factory=dict)  # by slot

    @property
    def free_slots(self) -> list[int]:
        return [slot for slot in range(self.slots) if slot not in self.running]

    @property
    def interval(self) -> float:
        """The mean time between two results of this worker, as production has it."""
        return self.busy_seconds / max(self.ended, 1) / self.slots
