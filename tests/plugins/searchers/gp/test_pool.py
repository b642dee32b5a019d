"""Tests of prepared suggestions."""

from __future__ import annotations

import numpy as np

from aiohpo.plugin import Identity
from aiohpo.space.space import Float, Space
from aiohpo.testing import StaticView
from aiohpo_plugins.searchers.gp.pool import GPPool
from aiohpo_plugins.searchers.gp.searcher import GPSearcher

SPACE = Space(x=Float(0, 1), y=Float(0, 1))


def pool() -> GPPool:
    X = SPACE.sample(np.random.default_rng(0), 20)
    searcher = GPSearcher()
    searcher.setup(SPACE, 0, Identity("w", 0, 1))
    model = searcher.fit(StaticView(SPACE, X, ((X - 0.6) ** 2).sum(axis=1)).observations())
    assert model is not None
    return model.pool


def test_taking_is_conditioning() -> None:
    """Variances after taking some rows are those of the posterior given evaluations there."""
    prepared = pool()
    rows = prepared.features[[0, 5, 9]]
    taking, one_by_one = prepared.taking(), prepared.taking()
    taking.note_taken(rows)
    one_by_one.note_taken(rows[:1])
    one_by_one.take(5)
    one_by_one.take(9)
    extended = prepared.posterior.extended(rows, np.zeros(3, dtype=np.intp), None)
    expected = extended.predict(prepared.features, prepared.goal).variance
    np.testing.assert_allclose(taking.variance, expected, rtol=1e-3, atol=1e-8)
    np.testing.assert_allclose(one_by_one.variance, expected, rtol=1e-3, atol=1e-8)


def test_what_is_taken_promises_less_and_the_pool_does_not_change() -> None:
    """The neighbourhood of the best candidate loses its promise, for this asking only."""
    prepared = pool()
    before = prepared.taking().score()
    taking = prepared.taking()
    taking.take(0)
    assert taking.score()[0] < before[0] - 0.5
    np.testing.assert_array_equal(prepared.taking().score(), before)


def test_the_most_promising_come_first() -> None:
    """Candidates are in the order of their score, and after the best ones come some others."""
    score = pool().taking().score()
    assert (np.diff(score[:128]) <= 0).all()
