"""A scrambled Sobol sequence that workers share without talking.

It is scrambled as in Matoušek (1998), by scipy.stats.qmc, from the study's seed. How workers divide it:

- slots of ranks 0 … size-1, launched together, read one sequence with stride ``size``: together they visit every
  point of it once;
- a worker without a rank has a scrambling of its own, from its name, which its slots divide in the same way. (A far
  away stretch of the same sequence would do as well, but jumping there takes scipy 3 ns per point that is skipped.)

The position follows from the number of trials in the view, not from a counter, so a resumed study goes on where
it was; points that were seen are skipped, so trials that others ran in the meantime cost nothing.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import qmc

from aiohpo.plugin.hashing import text_hash

from .fresh import rows_without, unseen_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohpo.plugin import FloatArray, Identity, StudyView
    from aiohpo.space.space import Space

_SKIPS = 8


def stable_hash(*parts: object) -> int:
    """Return 64 bits that depend on the text of ``parts`` only, the same in every process."""
    return text_hash("\0".join(map(str, parts)))


class SharedSobol:
    """One worker's share of the study's sequence."""

    def __init__(self, space: Space, seed: int, identity: Identity) -> None:
        self._space = space
        key, self._first, self._stride = [seed, 1], 0, identity.slots
        if identity.rank is not None and identity.size:
            self._first, self._stride = identity.rank, identity.size
        else:
            key.append(stable_hash(identity.worker))
        self._sobol = qmc.Sobol(max(space.dim, 1), scramble=True, rng=np.random.default_rng(key))

    def next_rows(self, view: StudyView, slots: Sequence[int]) -> FloatArray:
        """Return a new row of each slot's share; fewer if many in a row were seen."""
        rows = np.empty((0, self._space.dim))
        for slot, n in Counter(slots).items():
            new = self._of_slot(slot, view, n)
            rows = np.concatenate([rows, rows_without(new, rows)])
        return rows

    def _of_slot(self, slot: int, view: StudyView, n: int) -> FloatArray:
        """Return up to ``n`` new rows of the share of ``slot``."""
        at = view.n_trials // self._stride
        rows = np.empty((0, self._space.dim))
        for _ in range(_SKIPS):
            rows = np.concatenate([rows, self._points(self._first + slot, at, n + 2)])
            at += n + 2
            new = unseen_rows(view, rows)
            if len(new) >= n:
                return new[:n]
        return new

    def _points(self, offset: int, at: int, n: int) -> FloatArray:
        """Return points ``at`` … ``at + n - 1`` of the share that begins at ``offset``, snapped."""
        self._sobol.reset()
        if first := offset + at * self._stride:
            self._sobol.fast_forward(first)
        points = []
        for i in range(n):
            if i and self._stride > 1:
                self._sobol.fast_forward(self._stride - 1)
            points.append(self._sobol.random(1))
        return self._space.snap(np.concatenate(points)[:, : self._space.dim])
