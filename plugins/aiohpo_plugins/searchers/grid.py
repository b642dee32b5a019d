"""Grid search: every combination of a few values per parameter, then the search ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from aiohpo.plugin import Config, Identity, Options, StudyView
from aiohpo.space.space import Space

_WINDOW = 64


class GridSearcher:
    """Walk a grid of at most ``resolution`` values for each parameter that is not categorical.

    Workers do not talk about who does what. Each looks at a window of the next unseen points; a
    worker that knows its rank takes its own share of the window, another one a random point of it. So they
    seldom meet, and no point is left out, whichever worker dies.
    """

    finite = True

    def __init__(self, resolution: int = 10) -> None:
        self.resolution = Options("grid").whole("resolution", resolution, least=1)

    def setup(self, space: Space, seed: int, identity: Identity) -> None:
        """Bind to a space; any will do."""
        self._space = space
        self._identity = identity
        self._size = max(_WINDOW, 2 * (identity.size or 1))
        self._points: Iterator[Config] = space.grid(self.resolution)
        self._window = np.empty((0, space.dim))
        self._index = np.empty(0, np.int64)
        self._drawn = 0

    def ask(self, view: StudyView, rng: np.random.Generator, slots: Sequence[int]) -> list[Config]:
        """Return the next points of the grid, one for each slot; fewer at its end."""
        n = len(slots)
        self._refill(view, max(self._size, n))
        index = self._index
        if self._identity.rank is not None and self._identity.size:
            mine = (index - self._identity.rank) % self._identity.size
            chosen = np.lexsort((index, mine >= self._identity.slots))[:n]
        else:
            chosen = np.sort(rng.permutation(len(index))[:n])
        return self._space.decode(self._window[chosen])

    def _refill(self, view: StudyView, size: int) -> None:
        """Bring the window up to ``size`` points that are new to ``view``, if the grid has as many."""
        keep = ~view.seen(self._window)
        self._window, self._index = self._window[keep], self._index[keep]
        while len(self._window) < size and (points := list(islice(self._points, size))):
            rows = self._space.encode(points)
            index = self._drawn + np.arange(len(rows))
            self._drawn += len(rows)
            new = ~view.seen(rows)
            self._window = np.concatenate([self._window, rows[new]])
            self._index = np.concatenate([self._index, index[new]])

    def __repr__(self) -> str:
        return f"GridSearcher(resolution={self.resolution})"
