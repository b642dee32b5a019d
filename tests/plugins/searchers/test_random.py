"""Tests of random search."""

from __future__ import annotations

import numpy as np

from aiohpo.plugin import Identity
from aiohpo.space.space import Float, Space
from aiohpo.testing import StaticView, check_searcher
from aiohpo_plugins.searchers.random import RandomSearcher


def test_conforms() -> None:
    """Random search keeps every promise of a searcher."""
    check_searcher(RandomSearcher)


def test_follows_the_distribution_of_the_space() -> None:
    """A log parameter is sampled log-uniformly."""
    space = Space(lr=Float(1e-4, 1.0, log=True))
    searcher = RandomSearcher()
    searcher.setup(space, 0, Identity("w"))
    configs = searcher.ask(StaticView(space), np.random.default_rng(0), [0] * 2000)
    assert abs(np.mean([c["lr"] < 1e-2 for c in configs]) - 0.5) < 0.05


def test_repr_is_a_status_line() -> None:
    """The repr names the searcher."""
    assert repr(RandomSearcher()) == "RandomSearcher()"
