"""Tests of what KDE and TPE have in common, tried on both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from aiohpo.plugin import Identity
from aiohpo.space.space import Categorical, Float, Space
from aiohpo.testing import StaticView
from aiohpo_plugins.searchers.density.kde import KDESearcher
from aiohpo_plugins.searchers.density.ratio import MOST_BAD, RatioSearcher
from aiohpo_plugins.searchers.density.tpe import TPESearcher

BOTH = pytest.mark.parametrize("make", [KDESearcher, TPESearcher])
PLANE = Space(x=Float(0, 1), y=Float(0, 1))
Make = Callable[..., RatioSearcher]


def bowl(X: np.ndarray) -> np.ndarray:
    return np.asarray(np.nansum((X - 0.7) ** 2, axis=1))


def learned(make: Make, view: StaticView, space: Space = PLANE, **options: Any) -> RatioSearcher:
    searcher = make(**options)
    searcher.setup(space, 0, Identity("w", 0, 1))
    searcher.adopt(searcher.fit(view.observations()))
    return searcher


def asked(searcher: RatioSearcher, view: StaticView, n: int) -> np.ndarray:
    """Return the rows of ``n`` separate suggestions."""
    return PLANE.encode([searcher.ask(view, np.random.default_rng(seed), (0,))[0] for seed in range(n)])


@BOTH
def test_suggests_near_the_good(make: Make) -> None:
    """Most suggestions are nearer to the bottom of the bowl than four of five observations."""
    X = PLANE.sample(np.random.default_rng(0), 60)
    view = StaticView(PLANE, X, bowl(X))
    losses = bowl(asked(learned(make, view), view, 40))
    assert (losses < np.quantile(bowl(X), 0.2)).mean() > 0.55


@BOTH
def test_the_scale_of_the_loss_does_not_matter(make: Make) -> None:
    """Losses times 1e-3 or 1e3, plus a constant, give identical suggestions."""
    X = PLANE.sample(np.random.default_rng(0), 40)
    answers = []
    for scale, offset in ((1.0, 0.0), (1e-3, 5.0), (1e3, -7.0)):
        view = StaticView(PLANE, X, scale * bowl(X) + offset)
        answers.append(learned(make, view).ask(view, np.random.default_rng(1), [0] * 5))
    assert answers[0] == answers[1] == answers[2]


@BOTH
def test_failures_are_bad(make: Make) -> None:
    """Suggestions keep away from a region where every trial failed."""
    X = PLANE.sample(np.random.default_rng(0), 80)
    bad = X[:, 0] > 0.6
    view = StaticView(PLANE, X[~bad], bowl(X[~bad]), failed=X[bad])
    rows = asked(learned(make, view, **({"random": 0.0} if make is KDESearcher else {})), view, 30)
    assert (rows[:, 0] < 0.65).mean() > 0.9


@BOTH
def test_running_evaluations_are_kept_away_from(make: Make) -> None:
    """With the option, suggestions are further from running evaluations at the best place than without."""
    X = PLANE.sample(np.random.default_rng(0), 60)
    pending = np.array([0.7, 0.7]) + 0.02 * np.random.default_rng(1).normal(size=(20, 2))
    view = StaticView(PLANE, X, bowl(X), pending=pending)
    far = [
        np.median(np.abs(asked(learned(make, view, pending=noted), view, 40) - 0.7).max(axis=1))
        for noted in (False, True)
    ]
    assert far[1] > 1.2 * far[0]


@BOTH
def test_batches_are_distinct(make: Make) -> None:
    """20 suggestions at once are 20 different ones, also when few configurations are left."""
    space = Space({f"c{i}": Categorical(["a", "b", "c"]) for i in range(3)})
    X = space.encode(list(space.grid()))[:7]
    view = StaticView(space, X, bowl(X))
    configs = learned(make, view, space).ask(view, np.random.default_rng(0), [0] * 25)
    assert len(np.unique(space.encode(configs), axis=0)) == len(configs) == 20


@BOTH
def test_learns_from_partial_trials(make: Make) -> None:
    """Without any complete trial, the paused ones of the highest rung with enough are learned from."""
    X = PLANE.sample(np.random.default_rng(0), 60)
    reports = [(i, 1, float(loss)) for i, loss in enumerate(-bowl(X))]
    reports += [(i, 3, float(loss)) for i, loss in enumerate(bowl(X)[:30])]
    view = StaticView(PLANE, partial=X, reports=reports, max_steps=9)
    losses = bowl(asked(learned(make, view), view, 40))
    assert np.median(losses) < np.quantile(bowl(X), 0.3)


@BOTH
def test_the_number_of_kernels_is_bounded(make: Make) -> None:
    """Of thousands of bad observations, a bounded number gets a kernel, the nearly good ones first."""
    X = PLANE.sample(np.random.default_rng(0), 5000)
    view = StaticView(PLANE, X, bowl(X))
    model = learned(make, view).fit(view.observations())
    assert model is not None
    assert MOST_BAD <= len(model.bad) <= MOST_BAD + 1
