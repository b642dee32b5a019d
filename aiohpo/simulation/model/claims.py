"""Claims that are under way: what makes workers collide.

In the model a claim is known to all as soon as it is made, so no scheduler offers the trial twice. In a swarm it takes
its time to arrive, and a worker that becomes free meanwhile may claim the same trial. It does where it could see that
the trial was there to be claimed before that news left, and where the rule of :mod:`aiohpo.peer.racing` lets it. The
second to claim loses, when it hears of the first.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...events.schema import trial_name
from ...peer.running_segments import Segment
from ...plugin import Scheduler
from ...view.view import View
from .worker import ModelWorker

_LONGEST = 10.0  # seconds that a claim is remembered, at most


@dataclass(frozen=True, slots=True)
class TravellingClaim:
    """A claim that ``worker`` (its place) made at ``time``. ``arrival`` is after how many seconds each worker hears of
    it, and ``until`` when all have."""

    segment: Segment
    worker: int
    time: float
    arrival: NDArray[np.float64]
    until: float

    def heard_by(self, place: int) -> float:
        """When a worker hears of it."""
        return self.time + float(self.arrival[place])


class ClaimsUnderWay:
    """The claims that not every worker has heard of."""

    def __init__(self) -> None:
        self._claims: deque[TravellingClaim] = deque()

    def add(self, claim: TravellingClaim) -> None:
        self._claims.append(claim)

    def collision(self, worker: ModelWorker, now: float, view: View) -> TravellingClaim | None:
        """The claim that this worker, which is free, does not know of and makes once more; None if there is none."""
        claims = self._claims
        while claims and (claims[0].until <= now or claims[0].time < now - _LONGEST):
            claims.popleft()
        for claim in claims:
            segment = claim.segment
            if claim.worker == worker.place or claim.heard_by(worker.place) <= now:
                continue
            if view.attempt(segment.row) != segment.attempt:
                continue
            if worker.racing.may_claim(segment.trial, segment.attempt, now):
                return claim
        return None

    def __repr__(self) -> str:
        return f"<ClaimsUnderWay: {len(self._claims)}>"


class _Onlooker:
    """Claims that are all refused. It notes for which trials a scheduler asked; see :class:`aiohpo.plugin.Claims`."""

    exhausted = False

    def __init__(self) -> None:
        self.offered: set[str] = set()

    def may_start(self, *, suggested: bool = True) -> bool:
        return True

    def may_claim(self, trial: str) -> bool:
        self.offered.add(trial)
        return False

    def holds(self, trial: str, step: int | None = None) -> bool:
        return False

    def obtainable(self, trial: str, step: int) -> bool:
        return True


def offered(scheduler: Scheduler, view: View, rng: object) -> set[str]:
    """The trials that a scheduler would have resumed now, had a worker been free to."""
    if not view.paused and not view.waiting:
        return set()
    onlooker = _Onlooker()
    scheduler.next(view, onlooker, rng)  # type: ignore[arg-type]  # it has what a scheduler may ask
    lost = {trial_name(view.id(row)) for row in view.waiting}
    return onlooker.offered | lost
