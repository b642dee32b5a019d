"""The unit and native encodings: formulas, distributions, snapping, conditions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from aiohpo.space.encoding import satisfied
from aiohpo.space.space import Categorical, Float, Int, Ordinal, Parameter, Space
from tests.support.space_strategies import spaces_and_units


def column(param: Parameter, natives: list[float]) -> list[float]:
    """Return the units of native values in a space of one parameter."""
    units: list[float] = Space(x=param).encode_native(np.array([natives]).T)[:, 0].tolist()
    return units


@pytest.mark.parametrize(
    ("param", "natives", "units"),
    [
        (Float(-2, 6), [-2, 0, 6], [0, 0.25, 1]),
        (Float(1e-4, 1, log=True), [1e-4, 1e-3, 1e-2, 1], [0, 0.25, 0.5, 1]),
        (Float(0, 1, step=0.25), [0, 0.25, 1], [0.1, 0.3, 0.9]),
        (Int(1, 4), [1, 2, 4], [0.125, 0.375, 0.875]),
        (Int(2, 8, step=2), [2, 4, 8], [0.125, 0.375, 0.875]),
        (Int(1, 4, log=True), [1, 2, 4], [math.log(2 * v) / math.log(9) for v in (1, 2, 4)]),
        (Categorical(["a", "b"]), [0, 1], [0.25, 0.75]),
        (Ordinal([1, 10, 100, 1000]), [0, 3], [0.125, 0.875]),
    ],
)
def test_formulas(param: Parameter, natives: list[float], units: list[float]) -> None:
    """The units are those that the module's table states."""
    assert column(param, natives) == pytest.approx(units)


@given(spaces_and_units())
def test_snapping_is_idempotent(drawn: tuple[Space, NDArray[np.float64]]) -> None:
    """What is snapped stays bit for bit, lies in [0, 1], and decodes to the same native values as before."""
    space, U = drawn
    snapped = space.snap(U)
    np.testing.assert_array_equal(space.snap(snapped), snapped)
    np.testing.assert_array_equal(space.decode_native(snapped), space.decode_native(U))
    assert np.all(np.isnan(snapped) | ((snapped >= 0) & (snapped <= 1)))


@given(spaces_and_units())
def test_native_and_back(drawn: tuple[Space, NDArray[np.float64]]) -> None:
    """Encoding the decoded natives gives the snapped units, exactly for everything that has levels."""
    space, U = drawn
    snapped = space.snap(U)
    again = space.encode_native(space.decode_native(U))
    np.testing.assert_allclose(again, snapped, atol=1e-9)
    levels = np.isfinite(space.cardinality)
    np.testing.assert_array_equal(again[:, levels], snapped[:, levels])


def test_nan_stands_for_the_default() -> None:
    """NaN of an active parameter becomes its default; without one a Categorical's first choice, or the middle."""
    space = Space(
        a=Float(0, 1, default=0.25),
        b=Float(0, 1),
        c=Categorical(["x", "y", "z"]),
        d=Categorical(["x", "y", "z"], default="y"),
        e=Ordinal(["x", "y", "z"]),
        f=Int(1, 9, default=2),
    )
    assert space.decode_native(np.full((1, 6), np.nan)).tolist() == [[0.25, 0.5, 0, 1, 1, 2]]


def test_bounds_are_hit_exactly() -> None:
    """The units 0 and 1 are the bounds, without rounding error, and nothing beyond is reached."""
    space = Space(a=Float(0.1, 0.7), b=Float(1e-5, 0.3, log=True), c=Int(7, 2981, log=True))
    assert (
        space.decode_native([[0, 0, 0], [1, 1, 1], [-5, -5, -5], [5, 5, 5]]).tolist()
        == [
            [0.1, 1e-5, 7],
            [0.7, 0.3, 2981],
        ]
        * 2
    )


def test_log_integers_have_their_usual_shares() -> None:
    """Uniform units give v with probability proportional to ln(v + 0.5) - ln(v - 0.5)."""
    space = Space(n=Int(1, 8, log=True))
    values = space.decode_native(np.linspace(0, 1, 100_001)[:, None])[:, 0]
    shares = np.bincount(values.astype(int), minlength=9)[1:] / len(values)
    edges = np.log(np.arange(0.5, 9))
    np.testing.assert_allclose(shares, np.diff(edges) / (edges[-1] - edges[0]), atol=2e-5)


def test_levels_have_equal_shares() -> None:
    """Uniform units give every level of an Int, a stepped Float or a Categorical equally often."""
    space = Space(a=Int(-3, 3), b=Float(0, 0.6, step=0.1), c=Categorical(list("abcdefg")))
    U = np.repeat(((np.arange(7000) + 0.5) / 7000)[:, None], 3, axis=1)
    for values in space.decode_native(U).T:
        assert np.unique(values, return_counts=True)[1].tolist() == [1000] * 7


def test_conditions_reach_grandchildren() -> None:
    """A parameter is inactive where its parent has another value, and where its parent is inactive."""
    space = Space(
        c=Float(0, 1, when={"b": [2, 3]}), b=Int(1, 3, when={"a": "x"}), a=Categorical(["x", "y"]), d=Float(0, 1)
    )
    V = space.decode_native([[0.5, 0.9, 0.1, 0.5], [0.5, 0.1, 0.1, 0.5], [0.5, 0.9, 0.9, 0.5]])
    nan = np.nan
    np.testing.assert_array_equal(V, [[0.5, 3, 0, 0.5], [nan, 1, 0, 0.5], [nan, nan, 1, 0.5]])


def test_satisfied_by_row() -> None:
    """A condition is evaluated per row; NaN satisfies nothing."""
    V = np.array([[0.0, 1.0], [1.0, 1.0], [np.nan, 1.0], [1.0, np.nan]])
    assert satisfied(((0, frozenset([0, 1])), (1, frozenset([1]))), V).tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    "param",
    [
        Float(1, 1 + 1e-15),
        Float(math.nextafter(1, 0), 1 + 1e-15),  # across a power of two
        Float(-1 - 1e-15, -1),
        Float(-1e-323, 1e-323),
        Float(5e-324, 1e-322, log=True),
        Float(1e300, 1e300 * (1 + 1e-15), log=True),
        Float(100, 100 + 1e-13, log=True),
        Float(1, 1.000000000000001, step=2e-16),
    ],
    ids=repr,
)
def test_values_of_a_narrow_range_are_told_apart(param: Parameter) -> None:
    """A range of few doubles has each of them at one unit, which leads back to it."""
    space = Space(x=param)
    values = space._encoding.points(0, 100)
    assert len(values) == len(set(values)) == param.levels
    units = space.encode_native(np.array([values]).T)
    assert space.decode_native(units)[:, 0].tolist() == values
    snapped = space.snap(np.linspace(0, 1, 1000)[:, None])
    assert set(snapped[:, 0].tolist()) == set(units[:, 0].tolist())


def test_points_cover_a_parameter() -> None:
    """Grid points are all levels if these are few, else evenly spaced units with both ends, without repeats."""
    space = Space(
        a=Float(0, 1), b=Float(1e-4, 1, log=True), c=Int(1, 3), d=Int(0, 100), e=Int(1, 1000, log=True),
        f=Categorical(list("abcdefg")), g=Float(0, 0.2, step=0.1), h=Int(1, 6, log=True),
    )  # fmt: skip
    points = [space._encoding.points(c, 5) for c in range(space.dim)]
    assert points[0] == [0, 0.25, 0.5, 0.75, 1]
    assert points[1] == pytest.approx([1e-4, 1e-3, 1e-2, 0.1, 1])
    assert points[2] == [1, 2, 3]
    assert points[3] == [0, 25, 50, 75, 100]
    assert points[4] == [1, 6, 32, 178, 1000]
    assert points[5] == [0, 1, 2, 3, 4, 5, 6]
    assert points[6] == [0, 0.1, 0.2]
    assert points[7] == [1, 2, 4, 6]
    assert [space._encoding.points(c, 1) for c in (0, 3)] == [[0.5], [50]]
