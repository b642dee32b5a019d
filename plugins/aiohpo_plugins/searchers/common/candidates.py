"""Candidates for the acquisition: where to look for its minimum, on parameters of any type.

A forest has no gradient, so its acquisition is minimised by sampling. Uniform samples alone miss the small
regions that matter; samples around the best observations ("elites") alone never leave them. The mixture:

uniform      anywhere
steps        an elite, a random subset of its columns moved: numbers by a Gaussian of one scale for all columns,
             log-uniform over several orders of magnitude; ordered columns by at least one level; categories to
             another one
differences  an elite + F (elite' - elite''), from differential evolution (Storn and Price, 1997): steps
             with the scale, and along the valley, that the elites themselves have
crossovers   each column from one of two elites, then a small step

Better elites are perturbed more often. Steps that leave [0, 1] are reflected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aiohpo.space.space import CATEGORICAL, ORDERED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aiohpo.plugin import FloatArray
    from aiohpo.space.space import Space

    Mask = NDArray[np.bool_]

# On four functions of 5 to 8 dimensions (4 seeds), DIFFERENCES 0.5 and a smallest step of 0.01 made no difference
# beyond noise; a largest step of 0.1 was worse (Levy-8 3.3 instead of 0.24 after 200 evaluations). The other two
# were not varied.
SCALES = (-3.0, -0.6)  # decimal exponents of the smallest and largest step
CROSSOVERS = 0.3
DIFFERENCES = 0.2
GREED = 0.25  # parameter of the geometric distribution that picks elites by rank


class Candidates:
    """Generates snapped unit rows for one space."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._category = space.kinds == CATEGORICAL
        # the smallest step that changes an ordered column, 0 for continuous ones
        self._level = np.where(space.kinds == ORDERED, 1.0 / space.cardinality, 0.0)

    def uniform(self, rng: np.random.Generator, n: int) -> FloatArray:
        """Return ``n`` random rows."""
        return self._space.sample(rng, n)

    def around(self, rng: np.random.Generator, elites: FloatArray, n: int) -> FloatArray:
        """Return ``n`` rows near or between ``elites`` (k, d), which are sorted from best to worst."""
        crossed, differed = int(CROSSOVERS * n), int(DIFFERENCES * n)
        filled = self._filled(rng, elites)
        rows = filled[(rng.geometric(GREED, n) - 1) % len(filled)]

        near = slice(0, n - crossed - differed)
        self._step(rng, rows[near], self._subset(rng, len(rows[near])), SCALES)

        cross = slice(near.stop, near.stop + crossed)
        other = filled[rng.integers(len(filled), size=crossed)]
        rows[cross] = np.where(rng.random(other.shape) < 0.5, rows[cross], other)
        moved = self._subset(rng, crossed) & (rng.random((crossed, 1)) < 0.7)
        self._step(rng, rows[cross], moved, (SCALES[0], -1.0))

        self._differ(rng, rows[cross.stop :], filled)
        return self._space.snap(1.0 - np.abs(1.0 - np.abs(rows)))

    def _filled(self, rng: np.random.Generator, elites: FloatArray) -> FloatArray:
        """Give inactive columns a value, for the case that a step makes them active: another elite's where one
        has it, else a random one."""
        filled = elites.copy()
        for column in np.flatnonzero(np.isnan(elites).any(axis=0)):
            gap = np.isnan(elites[:, column])
            known = elites[~gap, column]
            filled[gap, column] = rng.choice(known, gap.sum()) if len(known) else rng.random(gap.sum())
        return filled

    def _subset(self, rng: np.random.Generator, n: int) -> Mask:
        """Return (n, d): which columns move, at least one. Half of the rows move in all numerical columns, half
        in about a third; of the categories about one moves, as each is a big step."""
        d = self._space.dim
        share = np.where(rng.random((n, 1)) < 0.5, 1.0, max(0.3, 1.0 / d))
        share = np.where(self._category, np.minimum(share, 1.0 / max(self._category.sum(), 1)), share)
        moved = rng.random((n, d)) < share
        moved[np.arange(n), rng.integers(d, size=n)] = True
        return moved

    def _step(self, rng: np.random.Generator, rows: FloatArray, moved: Mask, scales: tuple[float, float]) -> None:
        """Move ``rows`` (n, d) in place where ``moved``."""
        n, d = rows.shape
        step = 10.0 ** rng.uniform(*scales, (n, 1)) * rng.normal(size=(n, d))
        step = np.where(np.abs(step) < self._level, np.copysign(self._level, step), step)
        rows += np.where(moved & ~self._category, step, 0.0)
        switched = moved & self._category
        rows[switched] = rng.random(int(switched.sum()))

    def _differ(self, rng: np.random.Generator, rows: FloatArray, elites: FloatArray) -> None:
        """Move ``rows`` in place along differences of elites; categories come from one of the two."""
        n = len(rows)
        one, two = elites[rng.integers(len(elites), size=(2, n))]
        length = 0.7 * rng.normal(size=(n, 1))
        step = length * (one - two) + 10.0 ** SCALES[0] * rng.normal(size=rows.shape)
        taken = self._category & (rng.random(rows.shape) < 0.3)
        rows += np.where(self._category, 0.0, step)
        rows[taken] = one[taken]
