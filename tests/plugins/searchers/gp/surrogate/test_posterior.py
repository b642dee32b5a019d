"""Tests of predictions, their gradients, and of running evaluations."""

from __future__ import annotations

import numpy as np
import pytest

from aiohpo_plugins.searchers.gp.surrogate.features import Features
from aiohpo_plugins.searchers.gp.surrogate.likelihood import TrainingRows
from aiohpo_plugins.searchers.gp.surrogate.posterior import Posterior
from aiohpo_plugins.searchers.gp.surrogate.resource import ResourceModel
from tests.plugins.searchers.gp.surrogate.test_likelihood import CASES, SPACE, R, problem

RNG = np.random.default_rng(7)
NEW = SPACE.sample(RNG, 6)


@pytest.mark.parametrize(("model", "resource"), CASES)
def test_predictions_are_those_of_the_textbook(model: ResourceModel, resource: bool) -> None:
    """Mean and variance are what conditioning a joint normal distribution by hand gives."""
    likelihood, rows, theta = problem(model, resource)
    posterior = Posterior.of(likelihood, theta, rows)
    F = Features(SPACE, resource).embed(NEW, R[-1])
    both = TrainingRows(np.concatenate([rows.features, F]), np.r_[rows.level, np.full(6, 3)], np.zeros(26), R)
    p = likelihood.unpack(theta)
    table = model.table(p.resource, R)
    C = likelihood.covariance(both, p, table)
    inverse = np.linalg.inv(C[:20, :20] + p.noise**2 * np.eye(20))
    at = posterior.predict(F, 3)
    mean = table.mean[3] + C[20:, :20] @ inverse @ (rows.target - table.mean[rows.level])
    np.testing.assert_allclose(at.mean[:, 0], mean, atol=1e-5)
    np.testing.assert_allclose(at.variance, np.diag(C[20:, 20:] - C[20:, :20] @ inverse @ C[:20, 20:]), atol=1e-5)


@pytest.mark.parametrize(("model", "resource"), CASES)
def test_gradients_agree_with_finite_differences(model: ResourceModel, resource: bool) -> None:
    """The derivative of any function of a prediction by the features is right, with fantasies too."""
    likelihood, rows, theta = problem(model, resource)
    features = Features(SPACE, resource)
    draws = RNG.normal(size=(3, 4))
    posterior = Posterior.of(likelihood, theta, rows)
    posterior = posterior.extended(features.embed(NEW[:3], R[-1]), np.array([3, 3, 2]), draws)
    F = features.embed(NEW[3:] + 0.01, R[-1])
    by_mean, by_variance = RNG.normal(size=(3, 4)), RNG.normal(size=3)

    def value(F: np.ndarray) -> float:
        at = posterior.predict(F, 3)
        return float((at.mean * by_mean).sum() + (at.variance * by_variance).sum())

    gradient = posterior.backward(F, posterior.predict(F, 3, gradients=True), by_mean, by_variance)
    step = 1e-5
    for i in np.ndindex(F.shape):
        unit = np.zeros_like(F)
        unit[i] = step
        assert gradient[i] == pytest.approx((value(F + unit) - value(F - unit)) / (2 * step), abs=1e-6)


@pytest.mark.parametrize(("model", "resource"), CASES)
def test_a_fantasy_is_an_observation(model: ResourceModel, resource: bool) -> None:
    """Extending by a block gives what learning from all rows at once gives."""
    likelihood, rows, theta = problem(model, resource)
    F = Features(SPACE, resource).embed(NEW, R[-1])
    level = np.array([3, 3, 2, 1, 0, 3])
    fantasised = Posterior.of(likelihood, theta, rows).extended(F, level, RNG.normal(size=(6, 1)))
    targets = fantasised.table.mean[level] + (fantasised.factor @ fantasised.whitened)[-6:, 0]
    whole = TrainingRows(np.concatenate([rows.features, F]), np.r_[rows.level, level], np.r_[rows.target, targets], R)
    at_once = Posterior.of(likelihood, theta, whole)
    G = Features(SPACE, resource).embed(SPACE.sample(RNG, 5), R[-1])
    np.testing.assert_allclose(fantasised.predict(G, 3).mean, at_once.predict(G, 3).mean, atol=1e-5)
    np.testing.assert_allclose(fantasised.predict(G, 3).variance, at_once.predict(G, 3).variance, atol=1e-5)


def test_fantasies_have_the_mean_and_spread_of_the_posterior() -> None:
    """Averaged over many fantasies, means are as before, and they vary as much as variance was taken away."""
    likelihood, rows, theta = problem(*CASES[0])
    features = Features(SPACE)
    posterior = Posterior.of(likelihood, theta, rows)
    draws = RNG.normal(size=(2, 20_000))
    fantasised = posterior.extended(features.embed(NEW[:2]), np.array([3, 3]), draws)
    G = features.embed(NEW)
    before, after = posterior.predict(G, 3), fantasised.predict(G, 3)
    np.testing.assert_allclose(after.mean.mean(axis=1), before.mean[:, 0], atol=0.02)
    np.testing.assert_allclose(after.mean.var(axis=1), before.variance - after.variance, atol=0.03)


def test_a_believer_changes_variances_only() -> None:
    """Assuming the mean leaves every mean, and makes variance smaller, most at the row itself."""
    likelihood, rows, theta = problem(*CASES[0])
    F = Features(SPACE).embed(NEW)
    posterior = Posterior.of(likelihood, theta, rows)
    believed = posterior.extended(F[:1], np.array([3]), None)
    before, after = posterior.predict(F, 3), believed.predict(F, 3)
    np.testing.assert_allclose(after.mean, before.mean, atol=1e-9)
    assert (after.variance <= before.variance + 1e-12).all()
    assert (before.variance - after.variance).argmax() == 0


def test_covariance_is_that_of_the_posterior() -> None:
    """Its diagonal is the variance, and it tells how much one evaluation says of another."""
    likelihood, rows, theta = problem(*CASES[0])
    F = Features(SPACE).embed(NEW)
    posterior = Posterior.of(likelihood, theta, rows)
    at = posterior.predict(F, 3)
    covariance = posterior.covariance(F, at.solved, F, 3)
    np.testing.assert_allclose(np.diag(covariance), at.variance, atol=1e-9)
    taken = posterior.extended(F[:1], np.array([3]), None).predict(F, 3).variance
    expected = at.variance - covariance[:, 0] ** 2 / (covariance[0, 0] + posterior.noise)
    np.testing.assert_allclose(taken, expected, atol=1e-6)
