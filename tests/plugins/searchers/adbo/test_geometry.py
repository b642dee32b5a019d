"""Tests of distances between configurations."""

from __future__ import annotations

import numpy as np
import pytest

from aiohpo.space.space import Categorical, Float, Int, Space
from aiohpo_plugins.searchers.adbo.geometry import CATEGORY, Geometry

MIXED = Space(
    x=Float(0, 1),
    n=Int(1, 4),
    kind=Categorical(["a", "b", "c"]),
    other=Categorical(["u", "v"], when={"kind": "a"}),
)


def distance(one: dict[str, object], two: dict[str, object]) -> float:
    geometry = Geometry(MIXED)
    a, b = geometry.embed(MIXED.encode([one])), geometry.embed(MIXED.encode([two]))
    return float(geometry.nearest(a, b)[0]) ** 2 * 4  # the sum over the four columns


def test_columns_count_by_their_type() -> None:
    """Numbers differ by their units, categories by a constant, and by half of its square where one is inactive."""
    other = CATEGORY**2
    base = {"x": 0.2, "n": 1, "kind": "b"}
    assert distance(base, base) == pytest.approx(0.0, abs=1e-5)
    assert distance(base, {**base, "x": 0.7}) == pytest.approx(0.25, abs=1e-5)
    assert distance(base, {**base, "n": 3}) == pytest.approx(0.25, abs=1e-5)
    assert distance(base, {**base, "kind": "c"}) == pytest.approx(other, abs=1e-5)
    assert distance(base, {**base, "kind": "a", "other": "u"}) == pytest.approx(1.5 * other, abs=1e-5)
    assert distance({**base, "kind": "a", "other": "v"}, {**base, "kind": "a", "other": "u"}) == pytest.approx(
        other, abs=1e-5
    )


def test_nearest_is_the_smallest_of_all_distances() -> None:
    """The matrix product finds what comparing all pairs finds."""
    rng = np.random.default_rng(0)
    A, B = rng.random((30, 3), np.float32), rng.random((20, 3), np.float32)
    pairs = np.sqrt(((A[:, None] - B[None]) ** 2).sum(axis=2))
    assert Geometry.nearest(A, B) == pytest.approx(pairs.min(axis=1), abs=1e-3)
