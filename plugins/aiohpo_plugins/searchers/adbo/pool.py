"""Predicted candidates: what a fit leaves behind, and what suggestions are taken from.

How uncertain a candidate's loss is has two parts,

    sigma(x) = forest's standard deviation at x + lambda gap(x)

where gap(x) is the distance (:mod:`.geometry`) to the nearest configuration that has been observed
or is being evaluated. A forest is constant far from data and between neighbours, so its trees agree where no one
has looked; the second part is what a Gaussian process would add there. It is what carries the search: with
lambda = 0 the medians after 200 evaluations are 9.8 on shifted Ackley-5 and 7.6 on shifted Levy-8, with 2 they
are 1.4 and 0.24, with 4 2.6 and 1.3.

The gap also needs no new fit to know of configurations that were taken since the last: :class:`RemainingPool`. Those of
which the result is known by the time of the next suggestion are no candidates any more but change no gap: that made no
difference (Ackley-10, 2,048 instant evaluations, 64 suggestions at a time and 8 times from each fit, 4 seeds: best
11.3 to 14.4 without them, 10.2 to 14.4 with them; medians of the distance to the nearest simultaneous suggestion .008
and .0075).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from aiohpo.space.row_hashes import row_hashes

from .geometry import Geometry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aiohpo.plugin import FloatArray, StudyView


# As long as there are others, a candidate is not suggested if what was taken since the fit has brought its gap below
# this share of what it was: where a fit answers many slots, its best candidates are neighbours. Five shifted and
# rotated functions of 3 to 10 dimensions, a fit after every 64 or 256 results of as many slots, 8 seeds: mean rank and
# mean normalised regret of the best in the end:
#
#     share       0 (neighbours allowed)     0.25            0.5             1
#     64          3.1   .65               2.3   .36       2.5   .48       2.1   .32
#     256         3.0   .64               2.5   .50       2.0   .32       2.5   .49
#
# With 16 further seeds 1 wins 71 of 120 times against 0.5 at 64, and 46 of 120 at 256.
CROWDED = 0.5


@dataclass(slots=True)
class ADBOPool:
    """Candidates and their predictions, a row each.

    units     (n, d) snapped rows, distinct
    mean      (n,) predicted target
    std       (n,) its standard deviation by the forest
    gap       (n,) distance to the nearest row that was observed or taken
    embedded  (n, e), see :class:`Geometry`
    """

    units: FloatArray
    mean: FloatArray
    std: FloatArray
    gap: FloatArray
    embedded: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.units)

    def __add__(self, other: ADBOPool) -> ADBOPool:
        return ADBOPool(*(np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self)))

    def select(self, which: NDArray[np.bool_]) -> ADBOPool:
        """Return a pool of some of the rows, with arrays of its own."""
        return ADBOPool(*(getattr(self, f.name)[which] for f in fields(self)))

    def gap_beside(self, embedded: NDArray[np.float32]) -> FloatArray:
        """Return the gap (n,) if rows (k, e), given as embedded, are taken, too."""
        return np.minimum(self.gap, Geometry.nearest(self.embedded, embedded))


class RemainingPool:
    """A pool as one view of the study knows it: less what was proposed since the fit.

    Only what is new is looked at, so this costs the same with thousands of running evaluations.

    pool    what was left of the pool of the fit when it was first looked at, with the present gaps
    fitted  (n,) the gaps of the fit
    taken   (n,) which of its rows have been proposed since then
    """

    def __init__(self, pool: ADBOPool, view: StudyView, moment: int, geometry: Geometry | None) -> None:
        """``moment`` is that of the observations that were fitted; without ``geometry`` what was proposed changes no
        gap."""
        self.view = view
        self.pool = pool = pool.select(~view.seen(pool.units))
        self.fitted = pool.gap.copy()
        self.taken: NDArray[np.bool_] = np.zeros(len(pool), np.bool_)
        self._geometry = geometry
        self._moment = moment
        self._row_of = {row_hash: row for row, row_hash in enumerate(row_hashes(pool.units).tolist())}

    def catch_up(self) -> None:
        """Note what was proposed since this was called last."""
        rows, running, self._moment = self.view.proposed(self._moment)
        if not len(rows) or not len(self.pool):
            return
        for row_hash in row_hashes(rows).tolist():
            row = self._row_of.get(row_hash)
            if row is not None:
                self.taken[row] = True
        if self._geometry is not None and running.any():
            self.pool.gap = self.pool.gap_beside(self._geometry.embed(rows[running]))

    def is_crowded(self, gap: FloatArray) -> NDArray[np.bool_]:
        """Return (n,): whether what was taken since the fit, with which the gaps are ``gap``, is nearer than what the
        fit knew; see :data:`CROWDED`."""
        return gap < CROWDED * self.fitted

    def __len__(self) -> int:
        return len(self.pool) - int(self.taken.sum())
