"""Tests of partial trials as training data."""

from __future__ import annotations

import numpy as np
import pytest

from aiohpo.space.space import Float, Space
from aiohpo.testing import StaticView
from aiohpo_plugins.searchers.adbo.joint import LEAST_SPREAD, ROWS, RUNGS, joint_rows

LINE = Space(x=Float(0, 1))
RNG = np.random.default_rng(0)


def halving(n: int = 27) -> StaticView:
    """``n`` trials at step 1, the best third of them at 3, and of these at 9 of 27; the first is the best."""
    X = np.linspace(0.01, 0.99, n)[:, None]
    reports = [(i, step, i - 10.0 * step) for k, step in enumerate((1, 3, 9)) for i in range(n // 3**k)]
    return StaticView(LINE, partial=X, reports=reports, max_steps=27)


def test_a_row_per_trial_and_rung() -> None:
    """Every trial stands at every rung that it reached, with the logarithm of the rung as its resource."""
    rows = joint_rows(halving().observations(), 9, RNG)
    assert rows is not None
    found = {round(float(r), 3): int((rows.resource == r).sum()) for r in np.unique(rows.resource)}
    assert found == {0.0: 27, 0.333: 9, 0.667: 3}
    assert len(rows.X) == len(rows.targets) == 39


@pytest.mark.parametrize(("enough", "goal"), [(2, 2 / 3), (3, 2 / 3), (4, 1 / 3), (10, 0.0), (100, 0.0)])
def test_the_goal_is_the_highest_rung_with_enough_trials(enough: int, goal: float) -> None:
    """Predictions are made where enough trials have been, or else at the lowest rung."""
    rows = joint_rows(halving().observations(), enough, RNG)
    assert rows is not None
    assert rows.goal == pytest.approx(goal)


def test_survivors_keep_their_level() -> None:
    """At a higher rung, the survivors' mean is what it was at the rung below, though their losses are lower."""
    rows = joint_rows(halving().observations(), 9, RNG)
    assert rows is not None
    low, middle, high = (rows.targets[rows.resource == r] for r in np.unique(rows.resource))
    assert middle.mean() == pytest.approx(low[:9].mean(), abs=1e-9)
    assert high.mean() == pytest.approx(middle[:3].mean(), abs=1e-9)
    assert high.std() >= 0.8 * LEAST_SPREAD
    assert (np.diff(high) > 0).all()


def test_the_scale_of_the_loss_does_not_matter() -> None:
    """Losses times a factor, plus a constant, give the same targets."""
    o = halving().observations()
    c = o.curves
    reports = list(zip(c.trial.tolist(), c.step.tolist(), (1e3 * c.loss - 5).tolist(), strict=True))
    other = StaticView(LINE, partial=c.X, reports=reports, max_steps=27).observations()
    one, two = joint_rows(o, 9, RNG), joint_rows(other, 9, RNG)
    assert one is not None
    assert two is not None
    np.testing.assert_allclose(one.targets, two.targets, atol=1e-9)


def test_rungs_and_rows_are_bounded() -> None:
    """With a rung at every step and thousands of trials, the cost of a fit is bounded and the latest rows stay."""
    n = 2000
    last = RNG.integers(1, 51, n)
    reports = [(i, step, float(i)) for i in range(n) for step in {1, 5, 20, int(last[i])} if step <= last[i]]
    o = StaticView(LINE, partial=RNG.random((n, 1)), reports=reports, max_steps=50).observations()
    rows = joint_rows(o, 20, RNG)
    assert rows is not None
    assert len(rows.X) == ROWS
    assert len(np.unique(rows.resource)) <= RUNGS
    assert rows.resource.max() == 1.0


def test_too_little_gives_nothing() -> None:
    """Without two trials at any rung there is nothing to learn from."""
    assert joint_rows(StaticView(LINE, max_steps=9).observations(), 2, RNG) is None
    running = StaticView(
        LINE, pending=[[0.1], [0.2]], partial=[[0.1], [0.2]], reports=[(0, 1, 1.0), (1, 1, 2.0)], max_steps=9
    )
    assert joint_rows(running.observations(), 2, RNG) is None
