"""Leases: what becomes of the trial that a dead worker was running.

A running segment is its owner's while the owner is believed alive. When the owner is dead, has left, or was never met,
the segment is declared lost by one of the living: each waits its turn in an order hashed from the trial, so that
normally one of them speaks. What it says is a ``Lost`` event, recorded by
:meth:`aiohpo.peer.recorder.Recorder.declare_lost`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from ..events.schema import TrialId
from ..mesh.membership import State
from ..mesh.timing import TURN
from .racing import unit_hash

LAST_TURN = 8


class Leases:
    """Finds running segments whose owner is gone and says when it is this worker's turn to declare them."""

    def __init__(self, me: str, grace: float, gone: Iterable[str] = ()) -> None:
        """``gone`` are known for certain to be dead, for instance by an unlocked journal."""
        self.me = me
        self.grace = grace
        self._gone = frozenset(gone)
        self._doubt: dict[tuple[TrialId, int], float] = {}

    def expired(
        self,
        now: float,
        segments: Collection[tuple[TrialId, int, str]],
        state: Callable[[str], State | None],
        present: Collection[str],
    ) -> list[tuple[TrialId, int]]:
        """Return those of ``segments`` (trial, attempt, owner) that this worker should declare lost now."""
        due: list[tuple[TrialId, int]] = []
        doubt: dict[tuple[TrialId, int], float] = {}
        for trial, attempt, owner in segments:
            believed = state(owner)
            if owner in self._gone:
                wait = 0.0
            elif believed is None:
                wait = self.grace
            elif believed >= State.DEAD:
                wait = 0.0
            else:
                continue
            key = trial, attempt
            since = doubt[key] = self._doubt.get(key, now)
            if now >= since + wait + self._turn(trial, present):
                due.append(key)
        self._doubt = doubt
        return due

    def is_certain_to_live(self, worker: str, believed: State | None) -> bool:
        """Whether nothing of a worker of which this is believed may be declared lost."""
        return believed is State.ALIVE and worker not in self._gone

    def _turn(self, trial: TrialId, present: Collection[str]) -> float:
        mine = unit_hash(self.me, *trial)
        before = sum(unit_hash(worker, *trial) < mine for worker in present)
        return TURN * min(before, LAST_TURN)
