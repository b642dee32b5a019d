"""Quasi-random search: a scrambled Sobol sequence covers the space more evenly than random points do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aiohpo.plugin import Config, Identity, StudyView
from aiohpo.space.space import Space

from .common.design import SharedSobol
from .common.fresh import random_fresh_rows


class QuasiRandomSearcher:
    """Follow a scrambled Sobol sequence, disjoint across workers (see :mod:`.common.design`)."""

    def setup(self, space: Space, seed: int, identity: Identity) -> None:
        """Bind to a space; any will do."""
        self._space = space
        self._sobol = SharedSobol(space, seed, identity)

    def ask(self, view: StudyView, rng: np.random.Generator, slots: Sequence[int]) -> list[Config]:
        """Return each slot's next point; random ones where snapping leaves no new one, fewer at the end."""
        rows = self._sobol.next_rows(view, slots)
        if len(rows) < len(slots):
            rows = np.concatenate([rows, random_fresh_rows(view, rng, len(slots) - len(rows), rows)])
        return self._space.decode(rows)

    def __repr__(self) -> str:
        return "QuasiRandomSearcher()"
