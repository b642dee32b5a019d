"""Tests of the logarithm of the augmented expected improvement."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from aiohpo_plugins.searchers.gp.acquisition import (
    log_belief,
    log_belief_gradient,
    log_ei,
    log_ei_gradient,
    log_h,
    log_worth,
)

RNG = np.random.default_rng(0)


def test_it_is_the_logarithm_where_that_can_be_taken() -> None:
    """For moderate arguments it agrees with the textbook's formula."""
    u = np.linspace(-6, 6, 50)
    np.testing.assert_allclose(log_h(u), np.log(norm.pdf(u) + u * norm.cdf(u)), rtol=1e-6)


def test_it_is_finite_and_increasing_where_the_improvement_underflows() -> None:
    """Down to absurd distances the pieces join, so that an optimiser finds its way back."""
    u = -np.logspace(12, -3, 4000)
    value = log_h(u)
    assert np.isfinite(value).all()
    assert (np.diff(value) > 0).all()


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_derivatives_agree_with_finite_differences(scale: float) -> None:
    """By every mean and every variance, also far away and with fantasies."""
    mean, variance, best = 3 * RNG.normal(size=(8, 4)), scale * RNG.random(8) + 1e-4, RNG.normal(size=4)
    value, by_mean, by_variance = log_ei_gradient(mean, variance, best, 0.01)
    np.testing.assert_allclose(value, log_ei(mean, variance, best, 0.01))
    for s in range(4):
        step = 1e-6 * np.eye(4)[s]
        numerical = (log_ei(mean + step, variance, best, 0.01) - log_ei(mean - step, variance, best, 0.01)) / 2e-6
        np.testing.assert_allclose(by_mean[:, s], numerical, rtol=1e-4, atol=1e-4)
    step = 1e-4 * variance
    numerical = (log_ei(mean, variance + step, best, 0.01) - log_ei(mean, variance - step, best, 0.01)) / (2 * step)
    np.testing.assert_allclose(by_variance, numerical, rtol=1e-3)


def test_what_is_known_better_than_noise_is_worth_little() -> None:
    """The factor goes from about 1, for unknown places, to nothing for places evaluated often enough."""
    worth = np.exp(log_worth(np.array([100.0, 1.0, 0.01, 1e-9]), 1.0))
    assert worth[0] > 0.89
    assert worth[1] == pytest.approx(1 - 1 / np.sqrt(2))
    assert worth[2] < 0.006
    assert worth[3] == pytest.approx(5e-10)


def test_fantasies_are_averaged() -> None:
    """The improvement is the mean over the fantasies, not of their means."""
    mean, variance = np.array([[0.0, 2.0]]), np.array([1.0])
    each = [np.exp(log_ei(mean[:, [s]], variance, np.zeros(1), 1e-9)) for s in range(2)]
    assert np.exp(log_ei(mean, variance, np.zeros(2), 1e-9)) == pytest.approx(np.mean(each))


def test_the_ends_of_ranges_are_believed_in_less_than_their_middle() -> None:
    """Each number counts by itself, the slope is the value's, and at an end both are finite."""
    x = np.array([[0.5, 0.5], [0.0, 0.5], [0.0, 1.0], [0.2, 0.9]])
    value = log_belief(x)
    assert value[0] - value[1] == pytest.approx(value[1] - value[2])
    assert value[0] - value[1] == pytest.approx(np.log(6))
    step = 1e-6
    numerical = [(log_belief(x + step * e) - log_belief(x - step * e)) / (2 * step) for e in np.eye(2)]
    np.testing.assert_allclose(log_belief_gradient(x), np.transpose(numerical), rtol=1e-6, atol=1e-8)
