"""Tests of the candidates for the acquisition."""

from __future__ import annotations

import numpy as np
import pytest

from aiohpo.space.space import Categorical, Float, Int, Ordinal, Space
from aiohpo.testing.searchers import example_spaces
from aiohpo_plugins.searchers.common.candidates import Candidates

MIXED = Space(
    x=Float(0, 1),
    n=Int(1, 8),
    size=Ordinal(["s", "m", "l"]),
    kind=Categorical(["a", "b", "c", "d"]),
    other=Categorical(["u", "v"]),
)


@pytest.mark.parametrize("name", list(example_spaces()))
def test_every_candidate_is_a_configuration(name: str) -> None:
    """On spaces of every kind, candidates are snapped and conditions hold."""
    space, rng = example_spaces()[name], np.random.default_rng(0)
    candidates = Candidates(space)
    for rows in (candidates.uniform(rng, 50), candidates.around(rng, space.sample(rng, 7), 300)):
        assert np.array_equal(space.snap(rows), rows, equal_nan=True)
        assert len(space.decode(rows)) == len(rows)


def test_steps_have_many_scales() -> None:
    """Around one elite there are candidates very near and far away."""
    space = Space({f"x{i}": Float(0, 1) for i in range(4)})
    elite = np.full((1, 4), 0.5)
    rows = Candidates(space).around(np.random.default_rng(0), elite, 2000)
    distance = np.abs(rows - elite).max(axis=1)
    assert (distance < 0.005).mean() > 0.1
    assert (distance > 0.1).mean() > 0.05


def test_every_column_moves_and_every_category_is_reached() -> None:
    """Ordered columns move by whole levels and categories change, all of them, but few at a time."""
    elite = MIXED.snap(np.full((1, 5), 0.4))
    rows = Candidates(MIXED).around(np.random.default_rng(0), elite, 2000)
    changed = rows != elite
    assert changed.mean(axis=0).min() > 0.1
    reached = [len(np.unique(column)) for column in rows.T[1:]]
    assert reached[1:] == MIXED.cardinality[2:].tolist()
    assert reached[0] >= 6
    assert changed[:, 3:].sum(axis=1).mean() < 1.5


def test_better_elites_are_perturbed_more_often() -> None:
    """The first elite has more candidates near it than the last."""
    space = Space(x=Float(0, 1), y=Float(0, 1))
    elites = np.array([[0.2, 0.2], [0.5, 0.5], [0.8, 0.8]])
    rows = Candidates(space).around(np.random.default_rng(0), elites, 3000)
    near = [(np.abs(rows - elite).max(axis=1) < 0.02).sum() for elite in elites]
    assert near[0] > near[1] > near[2] > 0


def test_differences_follow_the_valley_of_the_elites() -> None:
    """Where the elites lie along a diagonal, large steps go along it more than across it."""
    space = Space(x=Float(0, 1), y=Float(0, 1))
    t = np.linspace(0.3, 0.7, 9)[:, None]
    rows = Candidates(space).around(np.random.default_rng(0), np.hstack([t, t]), 4000)
    along, across = rows @ [1, 1] / np.sqrt(2), rows @ [1, -1] / np.sqrt(2)
    assert np.std(along) > 1.3 * np.std(across)


def test_columns_that_become_active_get_a_value_of_an_elite() -> None:
    """A step to another branch takes over what an elite of that branch has."""
    space = Space(kind=Categorical(["a", "b"]), x=Float(0, 1, when={"kind": "b"}))
    elites = space.snap(np.array([[0.25, np.nan], [0.75, 0.9]]))
    rows = Candidates(space).around(np.random.default_rng(0), elites[[0, 0, 0, 1]], 1000)
    active = rows[~np.isnan(rows[:, 1]), 1]
    assert len(active) > 100
    assert (np.abs(active - 0.9) < 0.15).mean() > 0.5
