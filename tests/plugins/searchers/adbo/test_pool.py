"""Tests of the pool of predicted candidates."""

from __future__ import annotations

import numpy as np
import pytest

from aiohpo.space.space import Float, Space
from aiohpo_plugins.searchers.adbo.geometry import Geometry
from aiohpo_plugins.searchers.adbo.pool import ADBOPool

LINE = Space(x=Float(0, 1))
GEOMETRY = Geometry(LINE)


def pool(*units: float) -> ADBOPool:
    rows = np.array(units)[:, None]
    ones = np.ones(len(rows))
    return ADBOPool(rows, 0.0 * ones, ones.copy(), ones.copy(), GEOMETRY.embed(rows))


def test_taking_a_row_makes_its_neighbours_better_known() -> None:
    """The gap becomes the distance to what was taken, where that is nearer."""
    candidates = pool(0.1, 0.2, 0.9)
    candidates.note_taken(GEOMETRY.embed(np.array([[0.1], [0.3]])))
    assert candidates.gap == pytest.approx([0.0, 0.1, 0.6], abs=1e-3)
    candidates.note_taken(GEOMETRY.embed(np.empty((0, 1))))
    assert candidates.gap == pytest.approx([0.0, 0.1, 0.6], abs=1e-3)


def test_selected_rows_are_a_pool_of_their_own() -> None:
    """Taking from a selection does not change the pool that it came from."""
    candidates = pool(0.1, 0.2, 0.9)
    some = candidates.select(np.array([True, False, True]))
    some.note_taken(GEOMETRY.embed(np.array([[0.1]])))
    assert len(some) == 2
    assert candidates.gap.tolist() == [1.0, 1.0, 1.0]


def test_pools_add_up() -> None:
    """The sum of two pools has the rows of both."""
    both = pool(0.1) + pool(0.5, 0.6)
    assert both.units[:, 0].tolist() == [0.1, 0.5, 0.6]
    assert len(both) == len(both.embedded) == len(both.gap) == 3
