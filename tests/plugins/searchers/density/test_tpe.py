"""Tests of TPE."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aiohpo.errors import UsageError
from aiohpo.plugin import Identity
from aiohpo.space.space import Categorical, Float, Space
from aiohpo.testing import StaticView, check_searcher
from aiohpo_plugins.searchers.density.tpe import TPESearcher

PLANE = Space(x=Float(0, 1), y=Float(0, 1))


@pytest.mark.parametrize("initial", [2, 10, 1000])
def test_conforms(initial: int) -> None:
    """TPE keeps every promise of a searcher, before and after it has a model."""
    check_searcher(lambda: TPESearcher(initial=initial))


def best_after(space: Space, loss: Any, steps: int) -> float:
    searcher = TPESearcher()
    searcher.setup(space, 0, Identity("w", 0, 1))
    X = np.empty((0, space.dim))
    for step in range(steps):
        view = StaticView(space, X, loss(X))
        searcher.adopt(searcher.fit(view.observations()))
        X = np.concatenate([X, space.encode(searcher.ask(view, np.random.default_rng(step), (0,)))])
    return float(loss(X).min())


def test_finds_the_bottom_of_a_bowl() -> None:
    """60 steps come within a few hundredths of the optimum."""
    assert best_after(PLANE, lambda X: ((X - 0.7) ** 2).sum(axis=1), 60) < 2 * 0.03**2


def test_finds_the_best_categories() -> None:
    """On 4^6 unordered combinations, the best one is found in far fewer steps than by chance."""
    space = Space({f"c{i}": Categorical(["a", "b", "c", "d"]) for i in range(6)})
    assert best_after(space, lambda X: (np.floor(X * 4) != [2, 0, 3, 1, 1, 2]).sum(axis=1).astype(float), 80) == 0


def test_at_most_25_are_good() -> None:
    """The good are 15 % and at least one, but never more than 25; both densities have the prior as well."""
    searcher = TPESearcher()
    searcher.setup(PLANE, 0, Identity("w", 0, 1))
    found = []
    for n in (9, 10, 100, 1000):
        X = PLANE.sample(np.random.default_rng(0), n)
        model = searcher.fit(StaticView(PLANE, X, np.arange(n)).observations())
        found.append(model and (len(model.good), len(model.bad)))
    assert found == [None, (3, 9), (16, 86), (26, 257)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"initial": 1}, "tpe: initial must be a whole number of at least 2, not 1"),
        ({"prior": 0}, "tpe: prior must be a number above 0 and below 1e[+]06, not 0"),
        ({"good": True}, "tpe: good must be a number above 0 and below 1, not True"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    """The error names the option, the value and what is allowed."""
    with pytest.raises(UsageError, match=message):
        TPESearcher(**options)
