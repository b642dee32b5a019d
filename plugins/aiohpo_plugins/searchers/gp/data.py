"""From observations to what the Gaussian process learns: which reports of which trials, at which resource.

A trial that reports after every step says nearly the same many times, and cost grows with the cube of the rows. So
of each trial are used its first report at or after each of the *levels* 1, eta, eta^2, … and ``max_steps``, which
are where a scheduler pauses and compares trials, and its last report, which says most about where it is going.

Without steps there is one level, and each complete trial is a row.

The *goal* is the level at which to look for the best configuration: the highest that enough trials have reached
(Tiao, Klein et al., arXiv 2003.10865, section 4). Where nothing has been trained for long, the model's idea of the
end is its prior's, and chasing it wastes trials.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .surrogate.targets import quantise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aiohpo.plugin import FloatArray, Observations

FINEST = 64  # most different resources; beyond, they are rounded on a logarithmic scale
BEST = 0.25  # share of a subset that is the best rows; the others are spread evenly


@dataclass(frozen=True, slots=True)
class Data:
    """Reports, by trial in canonical order and within each trial by step.

    X      (t, d) unit rows of trials
    trial  (k,) row of ``X``, ascending
    level  (k,) index into ``steps``
    q      (k,) quantised losses (:mod:`.surrogate.targets`)
    steps  (R,) ascending; the last one is ``max_steps``, or 1 without steps
    goal   index of the level at which to look for the best
    """

    X: FloatArray
    trial: NDArray[np.intp]
    level: NDArray[np.intp]
    q: FloatArray
    steps: NDArray[np.int64]
    goal: int

    def first(self, trials: int) -> Data:
        """Return the data of the first so many trials."""
        cut = int(np.searchsorted(self.trial, trials))
        return Data(self.X[:trials], self.trial[:cut], self.level[:cut], self.q[:cut], self.steps, self.goal)

    def subset(self, budget: int) -> NDArray[np.intp]:
        """Return the indices, ascending, of about at most ``budget`` reports: of the best trials at the goal, then
        of those that got furthest, and among equals of ones spread evenly over the study."""
        if len(self.q) <= budget:
            return np.arange(len(self.q))
        t = len(self.X)
        furthest = np.zeros(t, dtype=np.intp)
        np.maximum.at(furthest, self.trial, self.level)
        loss = np.full(t, np.inf)
        there = self.level >= self.goal
        np.minimum.at(loss, self.trial[there], self.q[there])
        costs = np.bincount(self.trial, minlength=t)
        best = np.argsort(loss, kind="stable")
        chosen = np.zeros(t, dtype=bool)
        chosen[best[np.cumsum(costs[best]) <= BEST * budget]] = True
        # multiples of the golden section: every beginning of this order is spread evenly
        spread = np.argsort((np.arange(t) * 0.6180339887498949) % 1.0, kind="stable")
        order = spread[np.lexsort((np.arange(t), -furthest[spread], ~chosen[spread]))]
        chosen[order[np.cumsum(costs[order]) <= budget]] = True
        return np.flatnonzero(chosen[self.trial])


def ladder(max_steps: int, eta: float) -> NDArray[np.int64]:
    """Return the levels 1, eta, eta^2, …, max_steps, ascending and distinct."""
    count = math.floor(math.log(max_steps) / math.log(eta) + 1e-9) + 1
    return np.unique(np.append(np.rint(eta ** np.arange(count)).astype(np.int64), max_steps))


def gather(o: Observations, eta: float, enough: int) -> Data:
    """Return the data in ``o``; a level that ``enough`` trials have reached can be the goal."""
    if o.max_steps is None:
        n = len(o.y)
        zeros = np.zeros(n, dtype=np.intp)
        return Data(o.X, np.arange(n), zeros, quantise(o.y), np.ones(1, dtype=np.int64), 0)
    levels = ladder(o.max_steps, eta)
    trial, step, loss = thinned(o, levels)
    furthest = np.zeros(len(o.curves.X), dtype=np.int64)
    np.maximum.at(furthest, trial, step)
    reached = [int(r) for r in levels if (furthest >= r).sum() >= enough]
    steps = np.union1d(step, levels)
    if len(steps) > FINEST:
        steps = np.unique(np.rint(np.geomspace(1, o.max_steps, FINEST)).astype(np.int64))
    level = nearest(steps, step)
    goal = nearest(steps, np.array(reached[-1:] or [levels[0]]))
    return Data(o.curves.X, trial, level, quantise(loss), steps, int(goal[0]))


def thinned(o: Observations, levels: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.int64], FloatArray]:
    """Return trial, step and loss of the reports that are used."""
    c = o.curves
    trial, step = np.asarray(c.trial), np.minimum(c.step, levels[-1])  # reported time may overshoot
    if not len(trial):
        return trial, step, np.asarray(c.loss)
    changes = trial[1:] != trial[:-1]
    first, last = np.r_[True, changes], np.r_[changes, True]
    reached = np.searchsorted(levels, step, side="right")
    before = np.where(first, 0, np.r_[0, reached[:-1]])
    used = (reached > before) | last
    return trial[used], step[used], np.asarray(c.loss)[used]


def nearest(steps: NDArray[np.int64], step: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the index of the entry of ``steps`` nearest in ratio to each of ``step``."""
    above = np.minimum(np.searchsorted(steps, step), len(steps) - 1)
    below = np.maximum(above - 1, 0)
    return np.where(step * step < steps[above] * steps[below], below, above)
