"""Tests of the set of configurations that were seen."""

from __future__ import annotations

import numpy as np
import pytest

from aiohpo.view.known_rows import KnownRows


@pytest.mark.parametrize("batch", [1, 7, 600])
def test_exactly_what_was_added_is_contained(batch):
    """Rows are found after any number of additions, in any batch size, and others are not."""
    rng = np.random.default_rng(0)
    X = rng.random((1500, 3))
    X[::5, 1] = np.nan
    seen = KnownRows()
    for i in range(0, len(X), batch):
        seen.add(X[i : i + batch])
    assert len(seen) == len(X)
    assert seen.contains(X).all()
    assert not seen.contains(rng.random((1500, 3))).any()


def test_an_empty_set_contains_nothing():
    """Nothing is contained before anything was added, and no rows give no answers."""
    assert not KnownRows().contains(np.zeros((3, 2))).any()
    assert KnownRows().contains(np.zeros((0, 2))).shape == (0,)


def test_rounding_is_the_same_row_and_a_real_difference_is_not():
    """Rows agree to nine decimals; a millionth apart they differ."""
    row = np.array([[0.3, 0.7]])
    seen = KnownRows()
    seen.add(row)
    assert seen.contains(row + 1e-13).all()
    assert not seen.contains(row + 1e-6).any()
