"""Random search (Bergstra and Bengio, JMLR 2012): the baseline that every other searcher has to beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aiohpo.plugin import Config, Identity, StudyView
from aiohpo.space.space import Space

from .common.fresh import random_fresh_rows, unseen_rows

_AHEAD = 4  # rows drawn for each one asked: enough that a small space seldom needs a second draw


class RandomSearcher:
    """Sample the space's own distribution, without repetition."""

    def setup(self, space: Space, seed: int, identity: Identity) -> None:
        """Bind to a space; any will do."""
        self._space = space
        # one continuous parameter that is always active makes a repetition impossible for practical purposes
        self._endless = any(
            np.isinf(levels) and not space[name].condition
            for name, levels in zip(space.names, space.cardinality, strict=True)
        )

    def ask(self, view: StudyView, rng: np.random.Generator, slots: Sequence[int]) -> list[Config]:
        """Return a new random configuration for each slot, fewer when the space is exhausted."""
        n = len(slots)
        if self._endless:  # looking up what was seen would cost five times more
            return self._space.decode(self._space.sample(rng, n))
        rows = unseen_rows(view, self._space.sample(rng, _AHEAD * n))[:n]
        if len(rows) < n:
            rows = np.concatenate([rows, random_fresh_rows(view, rng, n - len(rows), rows)])
        return self._space.decode(rows)

    def __repr__(self) -> str:
        return "RandomSearcher()"
