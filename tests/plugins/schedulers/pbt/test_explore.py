"""Tests of the explored neighbours of configurations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiohpo import Categorical, Constant, Float, Int, Ordinal, Space
from aiohpo.errors import UsageError
from aiohpo_plugins.schedulers.pbt.explore import Explorer
from tests.support.space_strategies import spaces


def neighbours(space: Space, config: dict[str, Any], n: int = 200, **options: Any) -> list[dict[str, Any]]:
    explorer, rng = Explorer(**options), np.random.default_rng(0)
    return [explorer.neighbour(space, config, rng) for _ in range(n)]


def test_logarithmic_float_is_multiplied_by_one_of_two_factors() -> None:
    """Without resampling a value becomes 1.2 or 0.8 times itself, one about as often as the other."""
    values = [c["x"] for c in neighbours(Space(x=Float(1e-5, 1.0, log=True)), {"x": 1e-2}, resample=0.0)]
    up = sum(value == pytest.approx(1.2e-2) for value in values)
    assert up + sum(value == pytest.approx(0.8e-2) for value in values) == len(values)
    assert 70 < up < 130


def test_values_stay_inside_the_space() -> None:
    """At a bound a move outwards ends on the bound itself."""
    space = Space(x=Float(1e-5, 1.0, log=True), y=Float(0.0, 0.9), n=Int(1, 4), o=Ordinal(["a", "b", "c"]))
    found = neighbours(space, {"x": 1.0, "y": 0.9, "n": 4, "o": "c"}, resample=0.0)
    assert {round(c["x"], 12) for c in found} == {1.0, 0.8}
    assert {round(c["y"], 12) for c in found} == {0.9, 0.72}
    assert {c["n"] for c in found} == {3, 4}
    assert {c["o"] for c in found} == {"b", "c"}


def test_zero_of_a_linear_float_can_be_left() -> None:
    """A product would stay at zero; the least move is 2 % of the range."""
    found = {round(c["x"], 12) for c in neighbours(Space(x=Float(-1.0, 1.0)), {"x": 0.0}, resample=0.0)}
    assert found == {0.04, -0.04}


def test_levels_move_by_at_least_one() -> None:
    """Small integers and stepped floats go to a neighbour, large ones by the factor."""
    space = Space(small=Int(1, 9), large=Int(1, 1000, log=True), stepped=Float(0.0, 1.0, step=0.25))
    found = neighbours(space, {"small": 2, "large": 500, "stepped": 0.5}, resample=0.0)
    assert {c["small"] for c in found} == {1, 3}
    assert {c["large"] for c in found} == {400, 600}
    assert {c["stepped"] for c in found} == {0.25, 0.75}


def test_category_stays_unless_resampled() -> None:
    """Perturbing keeps the choice; resampling draws any of them."""
    space = Space(c=Categorical(["a", "b", "c"]))
    assert {c["c"] for c in neighbours(space, {"c": "b"}, resample=0.0)} == {"b"}
    assert {c["c"] for c in neighbours(space, {"c": "b"}, resample=1.0)} == {"a", "b", "c"}


def test_resampling_draws_from_the_whole_space_as_often_as_asked() -> None:
    """A quarter of the values, on average, is neither of the two neighbours."""
    values = [c["x"] for c in neighbours(Space(x=Float(0.0, 1.0)), {"x": 0.5}, n=1000)]
    away = [value for value in values if abs(abs(value - 0.5) - 0.1) > 1e-9]
    assert 190 < len(away) < 310
    assert min(away) < 0.05
    assert max(away) > 0.95


def test_condition_decides_what_a_neighbour_has() -> None:
    """A parameter that became active is drawn from the space, one that became inactive is gone."""
    space = Space(
        optimizer=Categorical(["sgd", "adam"]),
        momentum=Float(0.0, 0.9, when={"optimizer": "sgd"}),
        beta=Float(0.8, 0.999, when={"optimizer": "adam"}),
    )
    found = neighbours(space, {"optimizer": "sgd", "momentum": 0.5})
    adam = [c for c in found if c["optimizer"] == "adam"]
    assert adam
    assert all(set(c) == {"optimizer", "beta"} for c in adam)
    assert len({c["beta"] for c in adam}) == len(adam)
    assert all(set(c) == {"optimizer", "momentum"} for c in found if c["optimizer"] == "sgd")


def test_what_may_not_vary_is_inherited_exactly() -> None:
    """Parameters that are not named stay as they are, to the last digit; constants too."""
    space = Space(lr=Float(1e-5, 1.0, log=True), width=Int(8, 512), decay=Float(1e-8, 1e-1, log=True), k=Constant(3))
    config = {"lr": 0.1, "width": 100, "decay": 1.2345678901234567e-5, "k": 3}
    found = neighbours(space, config, vary=["lr"])
    assert all({**c, "lr": 0.1} == config for c in found)
    assert len({c["lr"] for c in found}) > 2


def test_unknown_name_is_refused_with_the_known_ones() -> None:
    """A misspelt parameter is an error when the space is known."""
    with pytest.raises(UsageError, match="vary names 'rate'; the tunable parameters are x"):
        neighbours(Space(x=Float(0, 1)), {"x": 0.5}, vary=["rate"])


@given(space=spaces(), seed=st.integers(0, 2**32 - 1), resample=st.sampled_from([0.0, 0.25, 1.0]))
@settings(max_examples=100, deadline=None)
def test_neighbours_are_valid_in_any_space(space: Space, seed: int, resample: float) -> None:
    """Whatever the parameters and conditions, a neighbour is a configuration of the space."""
    rng = np.random.default_rng(seed)
    config = space.decode(space.sample(rng, 1))[0]
    found = Explorer(resample=resample).neighbour(space, config, rng)
    assert space.validate(found) == found
    assert list(found) == list(space.validate(found))
