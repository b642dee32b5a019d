"""Tests of folds."""

from __future__ import annotations

import numpy as np
import pytest

from aiohpo_plugins.ensembles.folds import assign


@pytest.mark.parametrize("n", [5, 7, 100])
def test_folds_are_of_equal_size(n: int) -> None:
    """Within one row, with any number of rows."""
    sizes = np.bincount(assign(np.random.default_rng(0).normal(size=n), 5, 0), minlength=5)
    assert sizes.max() - sizes.min() <= 1


def test_classes_are_spread_evenly() -> None:
    """Each fold has its share of a rare class."""
    y = np.array([0] * 90 + [1] * 10)
    assert np.bincount(assign(y, 5, 3)[y == 1]).tolist() == [2] * 5


def test_values_are_spread_evenly() -> None:
    """Each fold has about the mean of all."""
    y = np.random.default_rng(0).exponential(size=500)
    fold = assign(y, 5, 0)
    means = [y[fold == i].mean() for i in range(5)]
    assert np.ptp(means) < 0.1


def test_depends_on_the_seed_and_on_nothing_else() -> None:
    """Equal seeds give equal folds, others others, and the order of the rows is not what decides."""
    y = np.zeros(50, dtype=int)
    assert assign(y, 5, 1).tolist() == assign(y, 5, 1).tolist()
    assert assign(y, 5, 1).tolist() != assign(y, 5, 2).tolist()
    assert assign(y, 5, 1).tolist() != (np.arange(50) % 5).tolist()
