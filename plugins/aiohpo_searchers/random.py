"""Random search (Bergstra and Bengio, JMLR 2012): the baseline that every other searcher has to beat."""

from __future__ import annotations

import numpy as np

from aiohpo.interfaces import Config, Identity, View
from aiohpo.space import Space

from .fresh import anything, unseen

_AHEAD = 4  # rows drawn for each one asked: enough that a small space seldom needs a second draw


class RandomSearcher:
    """Sample the space's own distribution, without repetition."""

    def setup(self, space: Space, seed: int, identity: Identity) -> None:
        """Bind to a space; any will do."""
        self._space = space

    def ask(self, view: View, rng: np.random.Generator, n: int = 1) -> list[Config]:
        """Return ``n`` new random configurations, fewer when the space is exhausted."""
        if np.isinf(self._space.size):  # a continuous space never repeats, and looking it up costs five times more
            return self._space.decode(self._space.sample(rng, n))
        rows = unseen(view, self._space.sample(rng, _AHEAD * n))[:n]
        if len(rows) < n:
            rows = np.concatenate([rows, anything(view, rng, n - len(rows), rows)])
        return self._space.decode(rows)

    def __repr__(self) -> str:
        return "RandomSearcher()"
