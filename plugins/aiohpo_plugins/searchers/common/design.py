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
from aiohpo.space.row_hashes import row_hashes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohpo.plugin import FloatArray, Identity, IntArray, StudyView
    from aiohpo.space.space import Space

# The first sequence of a process reads a table for 20 ms: better while this is imported than in an event loop.
qmc.Sobol(1)

_SKIPS = 8
_NEAR = 512  # jumping costs as much as drawing this many points


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
        lacking, taken = Counter(slots), set[int]()
        chosen: dict[int, list[FloatArray]] = {slot: [] for slot in lacking}
        ahead = {slot: n + 2 for slot, n in lacking.items()}  # points looked at together, two more than are wanted
        at = dict.fromkeys(lacking, view.n_trials // self._stride)
        for _ in range(_SKIPS):
            owners = [slot for slot, n in lacking.items() if n for _ in range(ahead[slot])]
            if not owners:
                break
            places = [
                self._first + slot + (at[slot] + i) * self._stride
                for slot, n in lacking.items()
                if n
                for i in range(ahead[slot])
            ]
            rows = self._points(np.array(places, np.int64))
            for slot in set(owners):
                at[slot] += ahead[slot]
            new = np.flatnonzero(~view.seen(rows)).tolist()
            for i, row_hash in zip(new, row_hashes(rows[new]).tolist(), strict=True):
                slot = owners[i]
                if lacking[slot] and row_hash not in taken:
                    taken.add(row_hash)
                    chosen[slot].append(rows[i])
                    lacking[slot] -= 1
        found = [row for rows in chosen.values() for row in rows]
        return np.array(found) if found else np.empty((0, self._space.dim))

    def _points(self, places: IntArray) -> FloatArray:
        """Return the points at ``places`` (n,) of the sequence, snapped. Points in between are drawn along with them
        where that is cheaper than to jump over them."""
        order = np.argsort(places, kind="stable")
        ascending = places[order]
        points = np.empty((len(places), max(self._space.dim, 1)))
        self._sobol.reset()
        origin = self._sobol.random(1)  # by itself: scipy warns of a first draw that is no power of two
        position = 1
        for stretch in np.split(np.arange(len(places)), np.flatnonzero(np.diff(ascending) > _NEAR) + 1):
            first, last = int(ascending[stretch[0]]), int(ascending[stretch[-1]])
            if first > position:
                self._sobol.fast_forward(first - position)
            drawn = self._sobol.random(last + 1 - max(first, position))
            if first == 0:
                drawn = np.concatenate([origin, drawn])
            points[order[stretch]] = drawn[ascending[stretch] - first]
            position = last + 1
        return self._space.snap(points[:, : self._space.dim])
