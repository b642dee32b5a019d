"""Tests of quasi-random search."""

from __future__ import annotations

import numpy as np
from scipy.stats import qmc

from aiohpo.plugin import Identity
from aiohpo.space.space import Float, Space
from aiohpo.testing import StaticView, check_searcher
from aiohpo_plugins.searchers.quasirandom import QuasiRandomSearcher


def test_conforms() -> None:
    """Quasi-random search keeps every promise of a searcher."""
    check_searcher(QuasiRandomSearcher)


def test_workers_together_cover_the_space() -> None:
    """Four ranks that never heard of each other still cover the space evenly."""
    space = Space(x=Float(0, 1), y=Float(0, 1))
    rows = []
    for rank in range(4):
        searcher = QuasiRandomSearcher()
        searcher.setup(space, 0, Identity(f"w{rank}", rank, 4))
        rows.append(space.encode(searcher.ask(StaticView(space), np.random.default_rng(rank), [0] * 16)))
    random = np.random.default_rng(0).random((64, 2))
    assert qmc.discrepancy(np.concatenate(rows)) < 0.5 * qmc.discrepancy(random)


def test_repr_is_a_status_line() -> None:
    """The repr names the searcher."""
    assert repr(QuasiRandomSearcher()) == "QuasiRandomSearcher()"
