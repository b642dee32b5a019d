"""Tests of the pool of predicted candidates."""

from __future__ import annotations

import numpy as np
import pytest

from aiohpo.events.schema import Ended, Proposed
from aiohpo.plugin.objective import Objective
from aiohpo.space.space import Float, Space
from aiohpo.testing import StaticView
from aiohpo.view.view import View
from aiohpo_plugins.searchers.adbo.geometry import Geometry
from aiohpo_plugins.searchers.adbo.pool import ADBOPool, RemainingPool

LINE = Space(x=Float(0, 1))
GEOMETRY = Geometry(LINE)


def pool(*units: float) -> ADBOPool:
    rows = np.array(units)[:, None]
    ones = np.ones(len(rows))
    return ADBOPool(rows, 0.0 * ones, ones.copy(), ones.copy(), GEOMETRY.embed(rows))


def test_a_taken_row_makes_its_neighbours_better_known() -> None:
    """The gap becomes the distance to what is taken, where that is nearer."""
    candidates = pool(0.1, 0.2, 0.9)
    gap = candidates.gap_beside(GEOMETRY.embed(np.array([[0.1], [0.3]])))
    assert gap == pytest.approx([0.0, 0.1, 0.6], abs=1e-3)
    assert candidates.gap.tolist() == [1.0, 1.0, 1.0]


def test_what_was_proposed_since_the_fit_is_taken() -> None:
    """A proposed row is no candidate any more, neighbours of running ones are better known, and the fit's pool does not
    change."""
    view = View(LINE, Objective("loss", "min"))
    fitted = pool(0.1, 0.2, 0.5, 0.9)
    view.apply("ann", 1, Proposed(1, 0.0, (0.9,)))
    remaining = RemainingPool(fitted, view, view.observations().moment, GEOMETRY)
    remaining.catch_up()
    assert remaining.pool.units[:, 0].tolist() == [0.1, 0.2, 0.5]
    assert remaining.pool.gap.tolist() == [1.0, 1.0, 1.0]
    view.apply("ann", 2, Proposed(2, 0.0, (0.5,)))
    view.apply("ann", 3, Ended(3, 2, 0, "finished", 0, 1.0, 1.0))
    view.apply("ann", 4, Proposed(4, 0.0, (0.2,)))
    remaining.catch_up()
    assert remaining.taken.tolist() == [False, True, True]
    assert len(remaining) == 1
    assert remaining.pool.gap == pytest.approx([0.1, 0.0, 0.3], abs=1e-3)
    assert fitted.gap.tolist() == [1.0, 1.0, 1.0, 1.0]


def test_candidates_beside_what_was_taken_since_the_fit_are_crowded() -> None:
    """What the fit knew crowds nobody, what came later does where it is nearer."""
    fitted = pool(0.1, 0.5, 0.52, 0.9)
    fitted.gap[:] = 0.1, 0.1, 0.1, 0.01
    remaining = RemainingPool(fitted, StaticView(LINE), 0, GEOMETRY)
    assert not remaining.is_crowded(remaining.pool.gap).any()
    gap = remaining.pool.gap_beside(GEOMETRY.embed(np.array([[0.5], [0.92]])))
    assert remaining.is_crowded(gap).tolist() == [False, True, True, False]


def test_pools_add_up() -> None:
    """The sum of two pools has the rows of both."""
    both = pool(0.1) + pool(0.5, 0.6)
    assert both.units[:, 0].tolist() == [0.1, 0.5, 0.6]
    assert len(both) == len(both.embedded) == len(both.gap) == 3
