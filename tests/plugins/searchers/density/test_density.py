"""Tests of mixtures of product kernels over configurations of any type."""

from __future__ import annotations

import numpy as np
import pytest

from aiohpo.space.space import Categorical, Float, Int, Ordinal, Space
from aiohpo.testing import example_spaces
from aiohpo_plugins.searchers.density.density import (
    Density,
    Kernels,
    category_widths,
    neighbour_widths,
    reference_widths,
)

FINITE = {
    "mixed": Space(a=Int(1, 9, log=True), b=Ordinal(["s", "m", "l"]), c=Categorical(["u", "v", "w", "x"])),
    "conditional": Space(
        kind=Categorical(["no", "yes"]),
        size=Int(1, 5, when={"kind": "yes"}),
        how=Categorical(["u", "v", "w"], when={"size": [1, 2]}),
    ),
}


def some(space: Space, n: int, width: float = 0.2) -> Density:
    kernels = Kernels(space)
    centres = space.sample(np.random.default_rng(1), n)
    widths = np.where(kernels.categorical, 0.3, width) * np.ones(centres.shape)
    return Density(kernels, centres, widths, np.arange(1.0, n + 1))


@pytest.mark.parametrize("name", FINITE)
def test_probabilities_sum_to_one(name: str) -> None:
    """Over all configurations of a finite space, with conditions or without, a density sums to one."""
    space = FINITE[name]
    units = space.encode(list(space.grid(100)))
    assert np.exp(some(space, 7).log(Kernels(space).features(units))).sum() == pytest.approx(1.0)


def test_a_continuous_density_integrates_to_one() -> None:
    """Over the square, kernels cut off at its edges integrate to one."""
    space = Space(x=Float(0, 1), y=Float(1e-3, 1.0, log=True))
    grid = (np.arange(200) + 0.5) / 200
    units = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    assert np.exp(some(space, 5, 0.1).log(Kernels(space).features(units))).mean() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("name", FINITE)
def test_draws_follow_the_density(name: str) -> None:
    """How often a configuration is drawn is what the density says."""
    space = FINITE[name]
    units = space.encode(list(space.grid(100)))
    density = some(space, 7)
    expected = np.exp(density.log(Kernels(space).features(units)))
    drawn = np.nan_to_num(density.draw(np.random.default_rng(0), 20_000), nan=-1)
    counts = [(np.abs(drawn - row).max(axis=1) < 1e-9).mean() for row in np.nan_to_num(units, nan=-1)]
    np.testing.assert_allclose(counts, expected, atol=0.012)


@pytest.mark.parametrize("name", ["continuous", "mixed", "conditional"])
def test_single_precision_is_enough_for_bandwidths_of_a_hundredth(name: str) -> None:
    """A log density is off by less than what tells two candidates apart, whatever the parameters."""
    space = example_spaces()[name]
    density, features = some(space, 60, 0.01), Kernels(space).features(space.sample(np.random.default_rng(2), 200))
    exact, single = density.log(features), density.log(features.astype(np.float32))
    assert single.dtype == np.float32
    near = exact > exact.max() - 50
    assert single[near] == pytest.approx(exact[near], abs=0.02)


def test_wider_draws_reach_further() -> None:
    """A factor widens the kernels of numbers, and leaves categories alone."""
    space = Space(x=Float(0, 1), c=Categorical(["a", "b"]))
    kernels = Kernels(space)
    density = Density(kernels, np.array([[0.5, 0.25]]), np.array([[0.05, 0.1]]))
    near, far = (density.draw(np.random.default_rng(0), 4000, factor) for factor in (1.0, 3.0))
    assert near[:, 0].std() == pytest.approx(0.05, rel=0.1)
    assert far[:, 0].std() == pytest.approx(0.15, rel=0.1)
    for drawn in (near, far):
        assert (drawn[:, 1] == 0.75).mean() == pytest.approx(0.1, abs=0.02)


def test_a_centre_says_nothing_of_what_is_inactive_in_it() -> None:
    """Where a parameter is inactive in the only centre, all its values are as likely."""
    space = FINITE["conditional"]
    kernels = Kernels(space)
    density = Density(kernels, space.encode([{"kind": "no"}]), np.full((1, 3), 0.3))
    rows = space.encode([{"kind": "yes", "size": size} for size in (3, 4, 5)])
    np.testing.assert_allclose(np.exp(density.log(kernels.features(rows))), 0.3 / 5)


def test_columns_of_many_levels_are_smooth() -> None:
    """A column of many levels is treated as a continuous one, and its draws are levels."""
    space = Space(n=Int(1, 1000))
    density = some(space, 3)
    drawn = density.draw(np.random.default_rng(0), 100)
    np.testing.assert_allclose(drawn, space.snap(drawn))
    units = space.encode([{"n": n} for n in range(1, 1001)])
    assert np.exp(density.log(Kernels(space).features(units))).mean() == pytest.approx(1.0, abs=1e-3)


def test_far_away_is_unlikely_but_finite() -> None:
    """The log density is finite everywhere, however narrow the kernels."""
    space = Space(x=Float(0, 1), k=Int(1, 3))
    kernels = Kernels(space)
    density = Density(kernels, np.array([[0.0, 1 / 6]]), np.array([[1e-3, 0.08]]))
    assert np.isfinite(density.log(kernels.features(np.array([[1.0, 5 / 6]])))).all()


def test_reference_widths() -> None:
    """Bandwidths follow the normal reference rule, over active values, but not below the least."""
    space = Space(c=Categorical(["a", "b", "c"]), x=Float(0, 1), y=Float(0, 1), z=Float(0, 1, when={"c": "a"}))
    X = np.array([[1 / 6, 0.2, 0.5, 0.1], [0.5, 0.6, 0.5, np.nan], [1 / 6, 0.4, 0.5, 0.3]])
    widths = reference_widths(Kernels(space), X, 1e-3, 0.2)
    std = [np.std([0.2, 0.6, 0.4]), np.std([0.1, 0.3])]
    expected = [0.2 * 2 / 3, 1.06 * std[0] * 3 ** (-1 / 8), 1e-3, 1.06 * std[1] * 2 ** (-1 / 8)]
    np.testing.assert_allclose(widths, expected)


def test_neighbour_widths() -> None:
    """A centre's bandwidth is the distance to its further neighbour; alone, it is the whole range."""
    space = Space(x=Float(0, 1), c=Categorical(["a", "b"]), z=Float(0, 1, when={"c": "a"}))
    X = np.array([[0.9, 0.25, 0.3], [0.1, 0.75, np.nan], [0.2, 0.75, np.nan], [0.25, 0.75, np.nan]])
    widths = neighbour_widths(Kernels(space), X, 0.2)
    np.testing.assert_allclose(widths[:, 0], [0.65, 1 / 6, 1 / 6, 0.65])  # at least 1 / (4 + 2)
    assert widths[0, 2] == 1.0
    np.testing.assert_allclose(widths[:, 1], 0.2 / 2)


def test_category_widths() -> None:
    """With ``moves`` 1, a category's kernel is uniform."""
    space = Space(c=Categorical(["a", "b", "c", "d"]), x=Float(0, 1))
    np.testing.assert_allclose(category_widths(Kernels(space), 1.0), [0.75, 0.0])


def test_the_prior_covers_everything() -> None:
    """A kernel is added that gives every category the same and every number nearly the same density."""
    for space in example_spaces().values():
        kernels = Kernels(space)
        none = np.empty((0, space.dim))
        density = Density(kernels, *kernels.with_prior(none, none))
        units = space.sample(np.random.default_rng(0), 200)
        uniform = Density(kernels, np.full((1, space.dim), np.nan), np.full((1, space.dim), 0.5))
        features = kernels.features(units)
        assert np.abs(density.log(features) - uniform.log(features)).max() < 0.12 * space.dim
