"""Tests of noticing that a search has come to a standstill."""

from __future__ import annotations

import numpy as np
import pytest

from aiohpo_plugins.searchers.common.stagnation import since_improvement

FALLING = np.array([9.0, 7.0, 8.0, 4.0, 5.0, 6.0, 8.0, 7.0])


@pytest.mark.parametrize(("losses", "since"), [([], 0), ([3.0], 0), ([3.0] * 5, 4), (FALLING, 4), (FALLING[::-1], 3)])
def test_counts_what_came_after_the_last_improvement(losses: list[float], since: int) -> None:
    """The best one itself does not count, and equal losses are no improvement."""
    assert since_improvement(np.array(losses)) == since


def test_trifles_are_no_improvement() -> None:
    """Losses that get lower by less than a fiftieth of the distance from the median count as a standstill, until
    they add up."""
    creeping = 4.0 - 0.01 * np.arange(1.0, 4.0)
    assert since_improvement(np.append(FALLING, creeping)) == 7
    assert since_improvement(np.append(FALLING, 4.0 - 0.01 * np.arange(1.0, 9.0))) < 7


def test_scale_and_offset_make_no_difference() -> None:
    """Any metric that is the same up to a factor and a constant stands still at the same moment."""
    losses = np.random.default_rng(0).normal(size=60)
    assert len({since_improvement(c * losses + b) for c, b in ((1.0, 0.0), (0.25, 8.0), (64.0, -3.0))}) == 1
