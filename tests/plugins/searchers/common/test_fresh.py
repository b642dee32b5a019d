"""Tests of finding configurations that nobody has seen."""

from __future__ import annotations

import numpy as np

from aiohpo.space.space import Categorical, Float, Int, Space
from aiohpo.testing import StaticView
from aiohpo_plugins.searchers.common.fresh import (
    every_configuration,
    first_occurrences,
    random_fresh_rows,
    rows_without,
    unseen_rows,
)

FINITE = Space(a=Int(1, 4), b=Categorical(["u", "v", "w"]))


def test_distinct_keeps_first_occurrences_in_order() -> None:
    """Repeated rows are found, inactive entries included, and the order is kept."""
    rows = np.array([[0.5, np.nan], [0.1, 0.2], [0.5, np.nan], [0.1, 0.2], [0.2, 0.1]])
    assert first_occurrences(rows).tolist() == [0, 1, 4]


def test_without_drops_what_is_taken() -> None:
    """The other rows stay, each once and in order; with nothing taken, all of them."""
    rows = np.array([[0.5, np.nan], [0.1, 0.2], [0.5, np.nan], [0.2, 0.1]])
    assert rows_without(rows, rows[1:2]).tolist()[1] == [0.2, 0.1]
    assert len(rows_without(rows, rows[1:2])) == 2
    assert len(rows_without(rows, rows[:0])) == 3
    assert len(rows_without(rows[:0], rows)) == 0


def test_unseen_drops_what_anybody_did_or_does() -> None:
    """Observed, failed and pending rows are dropped."""
    units = np.concatenate(list(every_configuration(FINITE)))
    view = StaticView(FINITE, units[:2], [1, 2], failed=units[2:3], pending=units[3:5])
    assert np.array_equal(unseen_rows(view, np.concatenate([units, units])), units[5:])


def test_every_yields_each_configuration_once() -> None:
    """A finite space is enumerated completely and without repetition."""
    units = np.concatenate(list(every_configuration(FINITE)))
    assert len(units) == FINITE.size == len(first_occurrences(units))


def test_anything_finds_the_last_configurations() -> None:
    """In an almost exhausted space all that is left is found, and nothing in an exhausted one."""
    units = np.concatenate(list(every_configuration(FINITE)))
    view, rng = StaticView(FINITE, units[:9], np.arange(9.0)), np.random.default_rng(0)
    assert len(random_fresh_rows(view, rng, 5, np.empty((0, 2)))) == 3
    assert np.array_equal(random_fresh_rows(view, rng, 5, units[9:11]), units[11:])
    assert len(random_fresh_rows(StaticView(FINITE, units, np.arange(12.0)), rng, 5, np.empty((0, 2)))) == 0


def test_anything_fills_any_number_in_an_infinite_space() -> None:
    """Where there is always more, as many rows come as were asked for."""
    space = Space(x=Float(0, 1), n=Int(1, 2))
    rows = random_fresh_rows(StaticView(space), np.random.default_rng(0), 1000, np.empty((0, 2)))
    assert len(rows) == len(first_occurrences(rows)) == 1000
