"""Tests of what a Gaussian process sees of a configuration."""

from __future__ import annotations

import numpy as np
import pytest

from aiohpo.space.space import Categorical, Float, Int, Space
from aiohpo_plugins.searchers.gp.surrogate.features import Features
from aiohpo_plugins.searchers.gp.surrogate.kernel import squared_distances

SPACE = Space(
    kind=Categorical(["a", "b", "c"]),
    x=Float(0, 1),
    n=Int(1, 4),
    deep=Float(0, 1, when={"kind": "a"}),
    flag=Categorical([True, False], when={"kind": "b"}),
)


def distance(one: dict, two: dict) -> float:
    features = Features(SPACE)
    F = features.embed(SPACE.encode([one, two]))
    return float(squared_distances(F[:1], F[1:], np.ones(F.shape[1]))[0, 0])


def test_numbers_come_first_as_they_are() -> None:
    """The first features are the numerical columns of the unit encoding."""
    features = Features(SPACE)
    U = SPACE.encode([{"kind": "a", "x": 0.25, "n": 2, "deep": 0.75}])
    assert features.embed(U)[0, :3].tolist() == [0.25, 0.375, 0.75]
    assert features.group[:3].tolist() == [1, 2, 3]


def test_two_categories_are_at_distance_one() -> None:
    """Categories differ or they do not, whatever their order."""
    one = {"kind": "c", "x": 0.5, "n": 1}
    assert distance(one, one | {"kind": "b", "flag": True}) == pytest.approx(1 + 0.5)
    two = one | {"kind": "b"}
    assert distance(two | {"flag": True}, two | {"flag": False}) == pytest.approx(1)


def test_an_inactive_number_stands_in_the_middle() -> None:
    """Only the category says that a parameter is inactive, not its own value."""
    assert distance({"kind": "c", "x": 0.5, "n": 1}, {"kind": "a", "x": 0.5, "n": 1, "deep": 0.5}) == pytest.approx(1)


def test_the_resource_has_a_lengthscale_of_its_own() -> None:
    """As a feature the resource comes last and belongs to no column."""
    features = Features(SPACE, resource=True)
    F = features.embed(SPACE.sample(np.random.default_rng(0), 3), np.array([0.1, 0.2, 1.0]))
    assert F[:, -1].tolist() == [0.1, 0.2, 1.0]
    assert features.group[-1] == SPACE.dim
    assert features.groups == SPACE.dim + 1
