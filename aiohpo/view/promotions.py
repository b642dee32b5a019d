"""How far trials got: the rungs of a search whose scheduler pauses, read off a view.

A *rung* is a step at which segments were told to pause. A trial is *promoted* when a segment of it is to go beyond
an earlier one's rung, and *resumed* when any worker goes on with it after a pause.
"""

from __future__ import annotations

from array import array

from ..events.lifecycle import Facts, Status
from .view import View


class Promotions:
    """Tells how many trials reached which rung. What changed since it was asked last is all that it looks at."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._moment = 0
        self._levels: set[int] = set()
        # By row, and all of them added up: promotions, segments that went on after a pause, those on another worker.
        self._of_row = array("i")
        self._total = [0, 0, 0]

    def _update(self) -> None:
        view = self._view
        rows, self._moment = view.touched(self._moment)
        missing = view.n_rows - len(self._of_row) // 3
        self._of_row.frombytes(bytes(3 * missing * self._of_row.itemsize))
        for row in rows:
            facts = view.facts(row)
            if facts is None:
                if (step := view.to_step(row)) and view.status(row) is not Status.QUEUED:
                    self._levels.add(step)
                continue
            to_steps = {claim.to_step for claim in facts.claims.values()}
            self._levels |= to_steps
            for i, n in enumerate((max(len(to_steps) - 1, 0), *_moves(facts)), 3 * row):
                self._total[i % 3] += n - self._of_row[i]
                self._of_row[i] = n
        self._levels.discard(0)  # to the end

    @property
    def steps(self) -> list[int]:
        """The rungs, lowest first, and the last step of a complete trial; empty where nothing was to pause."""
        self._update()
        top = self._view.max_steps
        return sorted(self._levels | ({top} if top else set())) if self._levels else []

    def reached(self) -> dict[int, int]:
        """How many trials got to each of :attr:`steps`."""
        return self._view.count_reached(self.steps)

    def first_rung(self, row: int) -> int | None:
        """The rung at which a trial was first to pause; None if it was to run to its end at once."""
        facts = self._view.facts(row)
        if facts is None:
            return self._view.to_step(row)
        return min((claim.to_step for claim in facts.claims.values() if claim.to_step), default=None)

    def was_paused(self, row: int) -> bool:
        """Whether a segment of a trial ever paused."""
        facts = self._view.facts(row)
        return facts is not None and bool(facts.paused_by)

    @property
    def promoted(self) -> int:
        """Promotions so far; a trial may be promoted several times."""
        return self._total[0] if self.steps else 0

    @property
    def moved_segments(self) -> tuple[int, int]:
        """How many segments went on with a paused trial, and how many of those on another worker."""
        self._update()
        return self._total[1], self._total[2]

    def __repr__(self) -> str:
        return f"<Promotions: {self.promoted} to {self.steps}>"


def _pauses(facts: Facts) -> set[tuple[int, str]]:
    """Which worker paused the trial in which attempt."""
    return {
        (attempt, worker)
        for attempt, ends in facts.ends.items()
        for worker, (_, end) in ends.items()
        if end.how == "paused"
    }


def _moves(facts: Facts) -> tuple[int, int]:
    """How many of a trial's segments went on after a pause, and how many of those on another worker."""
    if len(facts.claims) < 2:
        return 0, 0
    pauses = _pauses(facts)
    owner = {attempt: claim.stamp[1] for attempt, claim in facts.claims.items()}
    after = [attempt for attempt in owner if (attempt - 1, owner.get(attempt - 1, "")) in pauses]
    return len(after), sum(owner[attempt] != owner[attempt - 1] for attempt in after)
