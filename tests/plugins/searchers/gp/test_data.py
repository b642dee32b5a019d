"""Tests of which reports of which trials the Gaussian process learns from."""

from __future__ import annotations

import numpy as np

from aiohpo.space.space import Float, Space
from aiohpo.testing import StaticView
from aiohpo_plugins.searchers.gp.data import FINEST, gather, ladder, nearest

SPACE = Space(x=Float(0, 1), y=Float(0, 1))
X = SPACE.sample(np.random.default_rng(0), 40)


def partial(lasts: list[int], max_steps: int = 27) -> StaticView:
    """Trials that reported after every step up to their last."""
    reports = [(i, step, float(i - step)) for i, last in enumerate(lasts) for step in range(1, last + 1)]
    return StaticView(SPACE, partial=X[: len(lasts)], reports=reports, max_steps=max_steps)


def test_levels_are_geometric_and_end_at_the_most_steps() -> None:
    """They are where successive halving pauses."""
    assert ladder(27, 3.0).tolist() == [1, 3, 9, 27]
    assert ladder(50, 3.0).tolist() == [1, 3, 9, 27, 50]
    assert ladder(1, 3.0).tolist() == [1]
    assert ladder(7, 1.5).tolist() == [1, 2, 3, 5, 7]


def test_reports_at_levels_and_the_last_one_are_used() -> None:
    """A trial's reports between levels say nothing new, but for the last."""
    data = gather(partial([27, 5, 1]).observations(), 3.0, 2)
    assert data.steps.tolist() == [1, 3, 5, 9, 27]
    assert data.trial.tolist() == [0, 0, 0, 0, 1, 1, 1, 2]
    assert data.steps[data.level].tolist() == [1, 3, 9, 27, 1, 3, 5, 1]


def test_the_first_report_at_or_after_a_level_counts() -> None:
    """Objectives that report time overshoot: what came next after the level stands for it."""
    view = StaticView(SPACE, partial=X[:1], reports=[(0, 2, 5.0), (0, 4, 4.0), (0, 31, 3.0)], max_steps=27)
    data = gather(view.observations(), 3.0, 1)
    assert data.steps[data.level].tolist() == [2, 4, 27]


def test_the_goal_is_the_highest_level_that_enough_have_reached() -> None:
    """It climbs as trials get further, and is the lowest at first."""
    for lasts, goal in (([1], 1), ([1, 3], 1), ([3, 3, 27], 3), ([27, 27, 9], 27), ([8, 8], 3)):
        data = gather(partial(lasts).observations(), 3.0, 2)
        assert data.steps[data.goal] == goal


def test_without_steps_complete_trials_are_rows() -> None:
    """There is one level, and everything is at it."""
    data = gather(StaticView(SPACE, X, X[:, 0]).observations(), 3.0, 2)
    assert len(data.q) == 40
    assert data.goal == 0
    assert (np.argsort(data.q) == np.argsort(X[:, 0])).all()


def test_many_different_resources_are_rounded() -> None:
    """Reports at arbitrary seconds become few enough resources, in ratio close to what they were."""
    steps = np.unique(np.random.default_rng(0).integers(1, 10_000, 300))
    rows = SPACE.sample(np.random.default_rng(1), len(steps))
    reports = [(i, int(step), 0.5 * i) for i, step in enumerate(steps)]
    data = gather(StaticView(SPACE, partial=rows, reports=reports, max_steps=10_000).observations(), 3.0, 2)
    assert len(data.steps) <= FINEST
    ratio = data.steps[data.level] / steps[data.trial]
    assert ((ratio > 0.7) & (ratio < 1.4)).all()


def test_nearest_is_by_ratio() -> None:
    """Four is nearer to 9 than to 1, as 4/1 is more than 9/4."""
    assert nearest(np.array([1, 9, 27]), np.array([1, 2, 4, 9, 26, 40])).tolist() == [0, 0, 1, 1, 2, 2]


def test_a_subset_keeps_the_best_and_those_that_got_furthest() -> None:
    """Within the budget are the best at the goal, then the top of the ladder, whole trials at a time."""
    lasts = [27 if i % 8 == 0 else 1 for i in range(40)]
    data = gather(partial(lasts).observations(), 3.0, 2)
    rows = data.subset(24)
    assert len(rows) <= 24
    kept = set(data.trial[rows].tolist())
    assert {i for i in range(40) if i % 8 == 0} <= kept
    plain = gather(StaticView(SPACE, X, X[:, 0]).observations(), 3.0, 2)
    chosen = plain.subset(20)
    assert set(np.argsort(X[:, 0])[:5]) <= set(chosen.tolist())
    assert len(chosen) == 20
