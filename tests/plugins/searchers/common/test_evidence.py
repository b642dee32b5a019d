"""Tests of which losses are compared: the highest rung with enough trials."""

from __future__ import annotations

import numpy as np
import pytest

from aiohpo.space.space import Float, Space
from aiohpo.testing import StaticView
from aiohpo_plugins.searchers.common.evidence import Rungs, complete, highest

LINE = Space(x=Float(0, 1))


def view(*, running: int = 0) -> StaticView:
    """Two complete trials, two paused at 3 and three at 1 of 9 steps, one failed; ``running`` are at step 5."""
    X = np.arange(1, 8 + running)[:, None] / 100
    reports = [(i, 1, 10.0 + i) for i in range(7 + running)]
    reports += [(i, 3, 20.0 + i) for i in range(4)] + [(7 + i, 5, 30.0 + i) for i in range(running)]
    return StaticView(
        LINE, X[:2], [1.0, 2.0], failed=[[0.5]], partial=X[2:], pending=X[7:], reports=reports, max_steps=9
    )  # fmt: skip


@pytest.mark.parametrize(
    ("least", "step", "rows"), [(2, None, [1, 2]), (3, 3, [1, 2, 3, 4]), (5, 1, [1, 2, 3, 4, 5, 6, 7]), (8, 0, [])]
)
def test_the_highest_rung_with_enough_trials_is_taken(least: int, step: int | None, rows: list[int]) -> None:
    """Rungs are the steps at which trials paused, and complete trials are the highest."""
    found = highest(view().observations(), lambda losses, failures: losses >= least)
    assert (found is None) == (not rows)
    if found is not None:
        assert found.step == step
        np.testing.assert_allclose(found.X[:, 0] * 100, rows)


def test_a_trial_counts_with_its_loss_at_the_rung() -> None:
    """A loss is that of the first report at or after the rung, also of trials that went on."""
    found = highest(view().observations(), lambda losses, failures: losses >= 3)
    assert found is not None
    np.testing.assert_allclose(found.y, [20, 21, 22, 23])
    overshot = StaticView(LINE, partial=[[0.1], [0.2]], reports=[(0, 2, 5.0), (0, 4, 4.0), (1, 3, 7.0)], max_steps=9)
    np.testing.assert_allclose(Rungs(overshot.observations()).losses_at(3)[1], [4.0, 7.0])


def test_failures_count_at_every_rung_and_rank_last() -> None:
    """A failed trial is part of any rung, after all that have a loss."""
    found = highest(view().observations(), lambda losses, failures: losses + failures >= 5)
    assert found is not None
    assert (found.step, len(found)) == (3, 5)
    np.testing.assert_allclose(found.rows(found.order(4))[:, 0], [0.01, 0.02, 0.03, 0.04, 0.5])


def test_the_best_come_first() -> None:
    """The best are in order, ties as they come, and the others stay as they are, failures last."""
    y = [3.0, 1.0, 2.0, 5.0, 2.0, 4.0]
    X = np.arange(1, 7)[:, None] / 10
    evidence = complete(StaticView(LINE, X, y, failed=[[0.9]]).observations())
    for k, expected in ((0, [0, 1, 2, 3, 4, 5, 6]), (2, [1, 2, 0, 3, 4, 5, 6]), (9, [1, 2, 4, 0, 5, 3, 6])):
        assert evidence.order(k).tolist() == expected
        assert evidence.rows(evidence.order(k))[-1] == 0.9


def test_where_a_running_trial_is_now_is_no_rung() -> None:
    """A running trial counts at the rungs that it passed, and makes none."""
    rungs = Rungs(view(running=3).observations())
    assert rungs.steps.tolist() == [1, 3, 9]
    assert rungs.counts().tolist() == [10, 7, 2]


def test_without_steps_there_are_complete_trials_only() -> None:
    """In a study without steps nothing but results counts, whatever was reported."""
    o = StaticView(LINE, [[0.1]], [1.0], partial=[[0.2]], reports=[(0, 1, 3.0), (1, 1, 2.0)]).observations()
    assert highest(o, lambda losses, failures: losses >= 2) is None
    assert complete(o).y.tolist() == [1.0]


def test_nothing_at_all_is_no_rung() -> None:
    """Before the first report there is nothing to compare."""
    assert highest(StaticView(LINE, max_steps=9).observations(), lambda losses, failures: losses >= 1) is None
