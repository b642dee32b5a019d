"""The searcher differential: asynchronous differential evolution.

Differential evolution moves a configuration x towards a good one and along the difference of two others:

    v = x + F (p - x) + F (a - b)

with p among the best of the population, a in the population and b anywhere ("current-to-pbest/1" with an archive:
Zhang and Sanderson, JADE, IEEE Transactions on Evolutionary Computation 13, 2009, eq. 6 and 7). The differences
shrink as the population contracts, so the steps need no schedule. The original works in generations and waits for
each of them; here the population is simply the best configurations observed so far, by any worker and in
whatever order. So a suggestion is a function of what was observed and of ``rng``, nothing else, which is what aiohpo
asks of a searcher, and the searcher has no state to keep or to lose.

The arithmetic is that of the unit cube, where parameters on a log scale are already linear. Categories have no
differences: such a column is inherited whole from x, p or a.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aiohpo.plugin import Config, Identity, Options, StudyView
from aiohpo.space.space import CATEGORICAL, Space

_CANDIDATES = 16  # drawn for each configuration that is asked for: some will be known already
_ROUNDS = 8
_STEP = (0.3, 0.9)  # F is drawn anew for each candidate, which saves choosing it


class DifferentialSearcher:
    """Differential evolution over the best configurations observed so far.

    population  how many of them; None for eight per parameter, at least 16. As many random ones come first
    best        the part of the population that the others move towards
    crossover   the part of the parameters that change in one suggestion
    """

    def __init__(self, population: int | None = None, best: float = 0.2, crossover: float = 0.7) -> None:
        options = Options("differential")
        self.population = options.whole_or_none("population", population, least=4)
        self.best = options.number("best", best, above=0, most=1)
        self.crossover = options.number("crossover", crossover, above=0, most=1)

    def setup(self, space: Space, seed: int, identity: Identity) -> None:
        """Bind to a space; any will do."""
        self._space = space
        self._size = self.population or max(16, 8 * space.dim)
        self._categorical = space.kinds == CATEGORICAL

    def ask(self, view: StudyView, rng: np.random.Generator, slots: Sequence[int]) -> list[Config]:
        """Return for each slot an untried configuration; fewer when hardly any are left."""
        n, chosen = len(slots), np.empty((0, self._space.dim))
        for _ in range(_ROUNDS):
            rows = self._space.snap(self._candidates(view, rng, _CANDIDATES * n))
            rows = rows[~view.seen(rows)]
            chosen = _distinct(np.concatenate([chosen, rows]))[:n]
            if len(chosen) == n:
                return self._space.decode(chosen)
        return self._space.decode(np.concatenate([chosen, self._left(view, chosen, n - len(chosen))]))

    def _candidates(self, view: StudyView, rng: np.random.Generator, n: int) -> np.ndarray:
        known = view.observations()
        fresh = self._space.sample(rng, n)
        if len(known.y) < self._size:
            return fresh
        order = np.argsort(known.y, kind="stable")
        members = order[: self._size]
        x = known.X[rng.choice(members, n)]
        p = known.X[rng.choice(members[: max(1, round(self.best * self._size))], n)]
        a = known.X[rng.choice(members, n)]
        b = known.X[rng.choice(order, n)]
        # A parameter that is inactive in one of them is NaN there and takes part with a random value.
        x, p, a, b = (np.where(np.isnan(rows), rng.random(rows.shape), rows) for rows in (x, p, a, b))
        step = rng.uniform(*_STEP, (n, 1))
        moved = x + step * (p - x) + step * (a - b)
        # Half-way to the edge rather than onto it (JADE): clipping would pile candidates up there.
        moved = np.where(moved < 0, x / 2, np.where(moved > 1, (x + 1) / 2, moved))
        source = rng.random(x.shape)
        inherited = np.where(source < step, p, np.where(source < (1 + step) / 2, a, x))
        moved = np.where(self._categorical, inherited, moved)
        change = rng.random(x.shape) < self.crossover
        change[np.arange(n), rng.integers(self._space.dim, size=n)] = True  # one at least
        return np.where(change, moved, x)

    def _left(self, view: StudyView, chosen: np.ndarray, n: int) -> np.ndarray:
        """In a small space that is nearly exhausted, look at everything that there is."""
        if self._space.size > 10_000:
            return chosen[:0]
        rows = self._space.encode(self._space.grid(10_000))
        rows = _distinct(np.concatenate([chosen, rows[~view.seen(rows)]]))
        return rows[len(chosen) : len(chosen) + n]

    def __repr__(self) -> str:
        return f"DifferentialSearcher(population={self.population}, best={self.best:g}, crossover={self.crossover:g})"


def _distinct(rows: np.ndarray) -> np.ndarray:
    """Drop repeated rows; NaN equals NaN here."""
    _, first = np.unique(np.nan_to_num(rows, nan=-1.0), axis=0, return_index=True)
    return rows[np.sort(first)]
