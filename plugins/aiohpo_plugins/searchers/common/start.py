"""How a search begins: with the defaults of its space, then evenly spread.

The user's defaults are the best guess there is before anything is known; a parameter without one stands at its middle,
from which nothing is far. It is one configuration, tried once: by the slot of rank 0, or by a worker that joined alone
before anything was proposed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .design import SharedSobol
from .fresh import random_fresh_rows, rows_without

if TYPE_CHECKING:
    from aiohpo.plugin import Config, Identity, StudyView
    from aiohpo.space.space import Space


class InitialDesign:
    """The space's default configuration, then one worker's share of a Sobol sequence, then random ones."""

    def __init__(self, space: Space, seed: int, identity: Identity) -> None:
        self._space = space
        self._default = space.encode([space.default()])
        self._rank = identity.rank
        self._sobol = SharedSobol(space, seed, identity)

    def next_configs(self, view: StudyView, rng: np.random.Generator, slots: Sequence[int]) -> list[Config]:
        """Return a new configuration for each of ``slots``; fewer only where the space is exhausted."""
        begins = 0 in slots and self._tries_default(view)
        besides = self._default if begins else self._default[:0]
        others = list(slots)
        if begins:
            others.remove(0)
        rows = rows_without(self._sobol.next_rows(view, others), besides)
        if len(rows) < len(others):
            rows = np.concatenate(
                [rows, random_fresh_rows(view, rng, len(others) - len(rows), np.concatenate([besides, rows]))]
            )
        # encoding and decoding the defaults could change their last bits
        return [*([self._space.default()] if begins else []), *self._space.decode(rows)]

    def _tries_default(self, view: StudyView) -> bool:
        first = self._rank == 0 or (self._rank is None and view.n_trials == 0)
        return first and not view.seen(self._default)[0]
