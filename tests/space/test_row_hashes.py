"""Tests of the hashes of unit rows."""

from __future__ import annotations

import numpy as np

from aiohpo.space.row_hashes import row_hashes


def test_equal_rows_have_equal_hashes_wherever_they_stand():
    """A row's hash depends on nothing but the row, inactive entries included; no rows have no hashes."""
    rows = np.array([[0.5, np.nan], [0.1, 0.2], [0.5, np.nan]])
    hashes = row_hashes(rows)
    assert hashes[0] == hashes[2] != hashes[1]
    assert np.array_equal(row_hashes(rows[::-1]), hashes[::-1])
    assert len(row_hashes(rows[:0])) == 0


def test_an_inactive_entry_is_not_a_zero():
    """NaN counts as a value of its own."""
    assert row_hashes(np.array([[np.nan]])) != row_hashes(np.array([[0.0]]))


def test_columns_are_told_apart():
    """Swapped columns make another row."""
    assert row_hashes(np.array([[0.1, 0.2]])) != row_hashes(np.array([[0.2, 0.1]]))


def test_many_rows_do_not_collide():
    """A hundred thousand rows of a fine grid have as many hashes."""
    grid = np.stack(np.meshgrid(np.arange(400) / 400, np.arange(250) / 250), -1).reshape(-1, 2)
    assert len(np.unique(row_hashes(grid))) == len(grid)
