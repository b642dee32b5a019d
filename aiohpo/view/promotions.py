"""How far trials got: the rungs of a search whose scheduler pauses, read off its events.

A *rung* is a step at which segments were told to pause. A trial is *promoted* when a segment of it is to go beyond
an earlier one's rung, and *resumed* when any worker goes on with it after a pause. All of it is counted from sets,
so the order in which the events of different workers arrive does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..events.lifecycle import earlier_end
from ..events.schema import OWN, Claimed, Ended, Proposed, Reported, Seen, TrialId, trial_of

_Stamp = tuple[int, str]
_END = 0  # where a segment is to pause that is to run to its end


@dataclass(slots=True)
class _Climb:
    """One trial. ``claims`` are the smallest stamps by attempt, ``pauses`` (attempt, worker)."""

    step: int = 0
    to_steps: set[int] = field(default_factory=set)
    claims: dict[int, _Stamp] = field(default_factory=dict)
    pauses: set[tuple[int, str]] = field(default_factory=set)
    complete: bool = False
    withdrawn: bool = False

    def begin(self, attempt: int, to_step: int | None, stamp: _Stamp) -> None:
        self.to_steps.add(to_step or _END)
        self.claims[attempt] = min(stamp, self.claims.get(attempt, stamp))

    def moves(self) -> list[bool]:
        """For each segment that goes on after a pause: whether another worker runs it than the one before."""
        owner = {attempt: stamp[1] for attempt, stamp in self.claims.items()}
        after = [attempt for attempt in owner if (attempt - 1, owner.get(attempt - 1, "")) in self.pauses]
        return [owner[attempt] != owner[attempt - 1] for attempt in after]


class Promotions:
    """Takes events and tells how many trials reached which rung. ``max_steps`` are those of a complete trial."""

    def __init__(self, max_steps: int | None = None) -> None:
        self._top = max_steps
        self._trials: dict[TrialId, _Climb] = {}
        self._levels: set[int] = set()

    def account_for(self, events: Iterable[Seen]) -> None:
        """Account for new events."""
        for origin, seq, event in events:
            if isinstance(event, Proposed):
                if event.source == OWN:
                    self._begin((origin, seq), 0, event.to_step, (event.lamport, origin))
            elif isinstance(event, Claimed):
                trial = trial_of(origin, event.trial)
                self._begin(trial, event.attempt, event.to_step, (event.lamport, origin))
            elif isinstance(event, Reported):
                climb = self._climb(trial_of(origin, event.trial))
                climb.step = max(climb.step, event.step)
            elif isinstance(event, Ended) and (event.step or self._top):
                climb = self._climb(trial_of(origin, event.trial))
                climb.step = max(climb.step, event.step)
                how = event.how
                if end := earlier_end(event, self._top):
                    how, climb.step = "paused", max(climb.step, end)
                climb.complete |= how == "finished"
                climb.withdrawn |= how == "cancelled"
                if how == "paused":
                    climb.pauses.add((event.attempt, origin))

    def _climb(self, trial: TrialId) -> _Climb:
        found = self._trials.get(trial)
        if found is None:
            found = self._trials[trial] = _Climb()
        return found

    def _begin(self, trial: TrialId, attempt: int, to_step: int | None, stamp: _Stamp) -> None:
        if to_step is None and self._top is None and attempt == 0:
            return  # a million trials without steps are to cost nothing here
        if to_step is not None and (self._top is None or to_step < self._top):
            self._levels.add(to_step)
        elif to_step is not None:
            to_step = None
        self._climb(trial).begin(attempt, to_step, stamp)

    @property
    def steps(self) -> list[int]:
        """The rungs, lowest first, and the last step of a complete trial; empty where nothing was to pause."""
        return sorted(self._levels | ({self._top} if self._top else set())) if self._levels else []

    def reached(self) -> dict[int, int]:
        """How many trials got to each of :attr:`steps`."""
        counts = dict.fromkeys(self.steps, 0)
        for climb in self._trials.values():
            if not climb.withdrawn:
                for step in counts:
                    counts[step] += climb.step >= step or climb.complete
        return counts

    def first_rung(self, trial: TrialId) -> int | None:
        """The rung at which a trial was first to pause; None if it was to run to its end at once."""
        climb = self._trials.get(trial)
        return min((step for step in climb.to_steps if step != _END), default=None) if climb else None

    def was_paused(self, trial: TrialId) -> bool:
        """Whether a segment of it ever paused."""
        climb = self._trials.get(trial)
        return climb is not None and bool(climb.pauses)

    @property
    def promoted(self) -> int:
        """Promotions so far; a trial may be promoted several times."""
        return sum(max(len(climb.to_steps) - 1, 0) for climb in self._trials.values()) if self._levels else 0

    @property
    def moved_segments(self) -> tuple[int, int]:
        """How many segments went on with a paused trial, and how many of those on another worker."""
        moves = [move for climb in self._trials.values() if climb.pauses for move in climb.moves()]
        return len(moves), sum(moves)
