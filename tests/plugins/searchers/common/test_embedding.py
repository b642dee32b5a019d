"""Tests of configurations as points."""

from __future__ import annotations

import numpy as np

from aiohpo.space.space import Categorical, Float, Space
from aiohpo_plugins.searchers.common.embedding import Embedding

SPACE = Space(kind=Categorical(["a", "b", "c"]), x=Float(0, 1, when={"kind": "a"}))


def test_numbers_come_first_and_each_choice_has_a_coordinate() -> None:
    """The coordinates say which column they come from; an inactive number lies in the middle."""
    embedding = Embedding(SPACE, 2.0)
    points = embedding.embed(SPACE.encode([{"kind": "a", "x": 0.25}, {"kind": "c"}]))
    assert points.tolist() == [[0.25, 2.0, 0.0, 0.0], [0.5, 0.0, 0.0, 2.0]]
    assert embedding.column.tolist() == [1, 0, 0, 0]


def test_an_inactive_category_is_as_far_from_every_choice() -> None:
    """It has the height in none of its coordinates."""
    points = Embedding(SPACE, 1.0).embed(np.array([[np.nan, 0.5], [0.0, 0.5], [0.4, 0.5], [0.9, 0.5]]))
    assert np.square(points[1:] - points[0]).sum(axis=1).tolist() == [1.0, 1.0, 1.0]
