"""At which rung a new trial is first judged: learnt from how well neighbouring rungs agree.

A rung low down costs little and may say little. Starting a rung lower tries nearly twice as many configurations in the
same time (with eta = 3, a trial and the promotion of a third of them take 5/3 r steps instead of 3 r), and loses those
whose loss there is not among the best third though they are good in the end. So it pays where both rungs rank alike.

evidence   A trial that was first judged at a higher rung reports on its way at those below. Nothing was selected by
           these losses, so their rank correlation with those at the next rung is that of the task; among promoted
           trials, which are the best of a rung, it would come out too low. What fails between the two is the worst at
           the upper one.
shrinkage  The correlation counts as that of its pairs together with ``PRIOR_PAIRS`` pairs of what is believed
           beforehand: below the usual rung, a 27th of a training, that steps tell little, from there on that they tell.
up         A new trial begins so many rungs above the usual one as the correlation of a rung with the next one is less
           than ``HIGHER``. A normal distribution with that correlation gives a trial of the best 5 % a chance of .7 to
           be among the best third of a rung; without any correlation it has a third.
down       Otherwise it begins so many rungs below the usual one as the product of the correlations down to there is
           at least ``LOWER``.
hedge      With probability ``HEDGE`` / (``HEDGE`` + trials known), at most an eighth, a trial begins at the rung above
           that, or above the usual one if that is higher, so that there is evidence of both, and goes on to be.

weights    A trial that was first judged k rungs above where trials begin now counts there and higher up for eta^-k
           trials, which is how many of those that began with it would have come there. Otherwise it would let in those
           that are not among the best third of what was selected: a rung is as selective with the hedge as without.

The rung is drawn by the worker that proposes a trial and stands in the proposal, so all others know it. Workers see
different parts of the study when they propose, and need not agree: rungs are the same for all, and a trial counts at
each that it has a loss at.

Correlation of the lowest two rungs, of the usual one with the next, and the share of the best 5 % in the end that is
among the best third of the lowest rung and of the usual one:

    TaskSet, 6 tasks          .92 to .99     .90 to .98     .74 to 1      .86 to 1
    LCBench, 17 tasks        -.18 to .76     .75 to .97     0 to 1        .43 to 1
    nb301                     .97            .88            1             1
    MNLI                      .63            .93            .47           .86
    AlexNet                   .36            .67            .32           .48

What it is worth is in docs/evidence/first_rung.md.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from aiohpo.plugin import TrialState

from ..ranking import Order

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aiohpo.plugin import FloatArray

_Pair = tuple[Order, str, float, float]  # order and id of a trial, its losses at a rung and at the next one

HIGHER, LOWER = 0.45, 0.8
HEDGE, MOST_HEDGED = 1.0, 1 / 8
PRIOR_PAIRS = 4.0
PRIOR_BELOW, PRIOR_ABOVE = 0.5, 0.8
RECENT = 96  # newest pairs that count: a search that learns comes to configurations that are alike
STRIDE = 4  # pairs that are waited for until the correlation is computed anew, or a sixteenth of those known


class RungAgreement:
    """How much alike a rung and the next one rank trials that were judged at neither.

    ``prior`` is the correlation that is believed beforehand. It is a function of the set of trials that were put.
    """

    def __init__(self, prior: float) -> None:
        self._prior = prior
        self._pairs: list[_Pair] = []
        self._known: dict[str, _Pair] = {}
        self._used: list[_Pair] = []
        self._correlation = prior

    def __len__(self) -> int:
        return len(self._pairs)

    def put(self, trial: TrialState, losses: tuple[float, float] | None) -> bool:
        """Note a trial's losses at the two rungs; None: it has none to compare. Return whether that is news."""
        new = None if losses is None else (trial.order, trial.id, *losses)
        old = self._known.get(trial.id)
        if new == old:
            return False
        if old is not None:
            del self._pairs[bisect_left(self._pairs, old)], self._known[trial.id]
        if new is not None:
            insort(self._pairs, new)
            self._known[trial.id] = new
        return True

    def correlation(self) -> float:
        """Return the rank correlation, shrunk towards what is believed beforehand."""
        count = len(self._pairs)
        count -= count % max(STRIDE, count // 16)
        used = self._pairs[max(count - RECENT, 0) : count]
        if used != self._used:
            self._used, n = used, len(used)
            found = rank_correlation(np.array([pair[2] for pair in used]), np.array([pair[3] for pair in used]))
            self._correlation = (n * found + PRIOR_PAIRS * self._prior) / (n + PRIOR_PAIRS)
        return self._correlation

    def __repr__(self) -> str:
        return f"<RungAgreement {self.correlation():.2f} by {len(self)} trials>"


class FirstRung:
    """Chooses the rung at which new trials are first judged.

    Args:
        levels: the steps of the rungs, ascending.
        usual: the rung where they begin while nothing is known.
    """

    def __init__(self, levels: Sequence[int], usual: int) -> None:
        self._levels, self._usual = levels, usual
        self._agreements = [RungAgreement(PRIOR_BELOW if at < usual else PRIOR_ABOVE) for at in range(len(levels) - 1)]
        self._best: int | None = usual  # None: it is to be found anew

    def update(self, trial: TrialState, first: int) -> None:
        """Take a trial, which was first judged at the rung ``first``, as it is now."""
        levels, curve = self._levels, trial.curve
        earliest = levels[0] if levels[0] in curve else min(curve, default=levels[-1])
        for at in range(min(first, len(self._agreements))):
            # without a report before the next rung there is nothing to compare, and there was not before
            if earliest < levels[at + 1] and self._agreements[at].put(
                trial, losses_between(trial, levels[at], levels[at + 1])
            ):
                self._best = None

    def choose(self, rng: np.random.Generator) -> int:
        """Return the rung at which a new trial is first judged."""
        best = self.best()
        told = max(best, self._usual)
        if told < len(self._agreements):
            known = len(self._agreements[told])
            if rng.random() < min(HEDGE / (HEDGE + known), MOST_HEDGED):
                return told + 1
        return best

    def best(self) -> int:
        """Return the rung that what is known speaks for."""
        if self._best is None:
            self._best = self._find_best()
        return self._best

    def _find_best(self) -> int:
        best, together = self._usual, 1.0
        while best < len(self._agreements) and self._agreements[best].correlation() < HIGHER:
            best += 1
        if best == self._usual:
            while best and (together := together * self._agreements[best - 1].correlation()) >= LOWER:
                best -= 1
        return best

    def size(self, begun: Sequence[int], eta: float) -> float:
        """Return how many trials a rung counts for, of which ``begun`` were first judged at the lowest, the next, …"""
        best = self.best()
        size = float(sum(begun))
        for at in range(best + 1, len(begun)):
            if begun[at]:
                size -= begun[at] * (1 - eta ** (best - at))
        return size

    def __repr__(self) -> str:
        return f"<FirstRung at step {self._levels[self.best()]} of {self._levels}>"


def losses_between(trial: TrialState, low: int, high: int) -> tuple[float, float] | None:
    """Return a trial's losses at two neighbouring rungs, those of its first reports there; None if it has none at one
    of them. A trial that failed after the first is infinitely bad at the second."""
    status, curve = trial.status, trial.curve
    if status == "cancelled" or status == "queued" or (trial.step < high and status != "failed"):
        return None
    below, above = curve.get(low), curve.get(high)
    if below is None:  # the steps are irregular
        step = min((step for step in curve if low <= step < high), default=None)
        if step is None:
            return None
        below = curve[step]
    if above is None:
        step = min((step for step in curve if step >= high), default=None)
        above = math.inf if step is None else curve[step]
    return below, above


def rank_correlation(one: FloatArray, other: FloatArray) -> float:
    """Return Spearman's correlation; 0 where one of the two does not vary. Infinite values are the largest."""
    if len(one) < 2:
        return 0.0
    a, b = (ranks - ranks.mean() for ranks in (_ranks(one), _ranks(other)))
    scale = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / scale if scale else 0.0


def _ranks(values: FloatArray) -> NDArray[np.float64]:
    """Return ranks; equal values share theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - 0.5 * count)[place])
