"""What is known about configurations at one amount of training: a rung's worth of losses.

Losses after different numbers of steps cannot be compared, so a searcher that ranks trials first chooses a rung:
the highest one with enough trials (Falkner et al., arXiv 1807.01774, section 4.1). Which steps are rungs no one
tells; they are where trials that are not running have ended. A trial's loss at a rung r is that of its first report
at a step >= r (objectives that report seconds as steps overshoot), and a failed trial is worse than all others
at every rung.

The highest rung of all are the complete trials; in studies without steps it is the only one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aiohpo.space.row_hashes import row_hashes

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from aiohpo.plugin import FloatArray, IntArray, Observations


@dataclass(frozen=True, slots=True)
class Evidence:
    """The trials that reached a rung, in canonical order: ``X`` (n, d) and their losses ``y`` (n,); and ``failed``
    (f, d). ``step`` is None if they are the complete ones."""

    step: int | None
    X: FloatArray
    y: FloatArray
    failed: FloatArray

    def __len__(self) -> int:
        return len(self.y) + len(self.failed)

    def order(self, k: int) -> NDArray[np.intp]:
        """Return (n + f,): the ``k`` best rows, best first, then the other ones as they come, then the failed."""
        n = len(self.y)
        if k < n:  # partitioning takes a tenth of the time of sorting
            best = np.flatnonzero(self.y <= np.partition(self.y, k)[k])
            best = best[np.argsort(self.y[best], kind="stable")][:k]
        else:
            best = np.argsort(self.y, kind="stable")
        others = np.ones(len(self), np.bool_)
        others[best] = False
        return np.concatenate([best, np.flatnonzero(others)])

    def rows(self, which: NDArray[np.intp]) -> FloatArray:
        """Return the rows that :meth:`order` counts."""
        failed = which >= len(self.y)
        rows = np.empty((len(which), self.X.shape[1]))
        rows[~failed], rows[failed] = self.X[which[~failed]], self.failed[which[failed] - len(self.y)]
        return rows


class Rungs:
    """The rungs of partially trained trials.

    steps    (r,) ascending: where trials that are not running have ended
    reached  (t,) the last step of every trial
    """

    def __init__(self, o: Observations) -> None:
        self._curves = curves = o.curves
        last = np.ones(len(curves.trial), np.bool_)
        last[:-1] = curves.trial[1:] != curves.trial[:-1]
        self.reached: IntArray = curves.step[last]
        running = np.isin(row_hashes(curves.X), row_hashes(o.pending))
        self.steps: IntArray = np.unique(self.reached[~running])
        # one ascending key for (trial, step), so that a binary search finds a trial's first report at a step
        self._base = int(self.reached.max(initial=0)) + 1
        self._key = curves.trial * self._base + curves.step

    def losses_at(self, step: int) -> tuple[IntArray, FloatArray]:
        """Return which trials have a loss at ``step``, as rows of ``curves.X``, and these losses."""
        trials = np.flatnonzero(self.reached >= step)
        return trials, self._curves.loss[np.searchsorted(self._key, trials * self._base + step)]

    def counts(self) -> IntArray:
        """Return (r,): how many trials have a loss at each of ``steps``."""
        return len(self.reached) - np.searchsorted(np.sort(self.reached), self.steps)


def complete(o: Observations) -> Evidence:
    """Return what is known of complete trials."""
    return Evidence(None, o.X, o.y, o.failed)


def highest(o: Observations, enough: Callable[[int, int], bool]) -> Evidence | None:
    """Return the evidence at the highest rung for which ``enough(losses, failures)`` holds, or None."""
    f = len(o.failed)
    if enough(len(o.y), f):
        return complete(o)
    if o.max_steps is None:
        return None
    rungs = Rungs(o)
    for step, count in zip(rungs.steps[::-1].tolist(), rungs.counts()[::-1].tolist(), strict=True):
        if enough(count, f):
            trials, losses = rungs.losses_at(step)
            return Evidence(step, o.curves.X[trials], losses, o.failed)
    return None
