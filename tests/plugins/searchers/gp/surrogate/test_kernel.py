"""Tests of the correlations and of the sums that their gradients need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from aiohpo_plugins.searchers.gp.surrogate.kernel import (
    LONG,
    matern,
    pull,
    squared_distances,
    two_scales,
    weighted_squares,
)

if TYPE_CHECKING:
    from aiohpo_plugins.searchers.gp.surrogate.kernel import Correlation

RNG = np.random.default_rng(0)
A, B, C = RNG.random((6, 3)), RNG.random((4, 3)), RNG.normal(size=(6, 4))


def test_distances_are_weighted() -> None:
    """Each feature's difference counts by its weight."""
    weight = np.array([1.0, 4.0, 0.0])
    expected = (weight * (A[:, None] - B) ** 2).sum(axis=2)
    np.testing.assert_allclose(squared_distances(A, B, weight), expected, atol=1e-14)
    assert (np.diag(squared_distances(A, A, weight)) == 0).all()


@pytest.mark.parametrize("correlation", [matern, two_scales])
def test_it_is_one_at_zero_and_falls_with_the_slope_it_says(correlation: Correlation) -> None:
    """The derivative is that of the value, also at distance zero, where it is finite."""
    s = np.array([0.0, 1e-8, 0.1, 1.0, 30.0])
    value, slope = correlation(s)
    assert value[0] == 1.0
    assert slope[0] == pytest.approx(slope[1])
    step = 1e-6
    numerical = (correlation(s[2:] + step)[0] - correlation(s[2:] - step)[0]) / (2 * step)
    np.testing.assert_allclose(slope[2:], numerical, rtol=1e-5, atol=1e-10)


def test_with_two_scales_what_is_far_is_related() -> None:
    """At the distance of the long lengthscale there is a trend and no detail."""
    far = np.array([2 * LONG**2])
    assert matern(far)[0] < 1e-4
    assert two_scales(far)[0] == pytest.approx(0.25, abs=1e-4)


def test_sums_over_pairs_need_no_array_of_pairs() -> None:
    """The matrix products give what explicit sums over pairs of rows give."""
    square = C[:4] + C[:4].T
    np.testing.assert_allclose(
        weighted_squares(square, A[:4]), np.einsum("ij,ijf->f", square, (A[:4, None] - A[:4]) ** 2), atol=1e-12
    )
    np.testing.assert_allclose(pull(C, A, B), np.einsum("ij,ijf->if", C, A[:, None] - B), atol=1e-12)
