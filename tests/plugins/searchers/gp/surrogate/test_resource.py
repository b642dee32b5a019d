"""Tests of the models of the resource."""

from __future__ import annotations

import numpy as np
import pytest

from aiohpo_plugins.searchers.gp.surrogate.resource import DecayModel, ExpDecayModel, MaternModel, ResourceModel, kappa

R = np.array([1 / 27, 1 / 9, 1 / 3, 1.0])
MODELS = [MaternModel(), ExpDecayModel(), DecayModel()]


def parameters(model: ResourceModel, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    p = np.array([prior.mean + 0.3 * rng.normal() for prior in model.priors])
    return np.clip(p, [prior.low for prior in model.priors], [prior.high for prior in model.priors])


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_derivatives_are_those_of_the_values(model: ResourceModel) -> None:
    """Each derivative agrees with finite differences."""
    p, step = parameters(model), 1e-6
    table = model.table(p, R)
    for i, unit in enumerate(np.eye(len(p))):
        up, down = model.table(p + step * unit, R), model.table(p - step * unit, R)
        np.testing.assert_allclose(table.dmean[i], (up.mean - down.mean) / (2 * step), atol=1e-7)
        np.testing.assert_allclose(table.damplitudes[i], (up.amplitudes - down.amplitudes) / (2 * step), atol=1e-7)


def test_kappa_is_the_mean_of_random_decays() -> None:
    """It is E[exp(-lambda r)] for a gamma-distributed lambda."""
    rate, shape = 3.0, 2.0
    draws = np.random.default_rng(0).gamma(shape, rate / shape, 200_000)
    value, _ = kappa(R, np.log(rate), np.log(shape))
    np.testing.assert_allclose(value, np.exp(-draws[:, None] * R).mean(axis=0), atol=3e-3)


def test_expdecay_has_the_moments_of_its_definition() -> None:
    """Mean and covariance are those of sampled gamma e^(-lambda r) + f0 (1 - delta e^(-lambda r))."""
    m, log_scale, gamma, log_rate, log_shape, delta = 0.3, 0.1, 1.2, 1.0, 0.5, 0.6
    rng, n = np.random.default_rng(1), 400_000
    rate = rng.gamma(np.exp(log_shape), np.exp(log_rate - log_shape), n)[:, None]
    f0 = m + np.exp(log_scale) * rng.normal(size=(n, 1))
    f = gamma * np.exp(-rate * R) + f0 * (1 - delta * np.exp(-rate * R))
    table = ExpDecayModel().table(np.array([m, log_scale, gamma, log_rate, log_shape, delta]), R)
    np.testing.assert_allclose(table.mean, f.mean(axis=0), atol=0.01)
    np.testing.assert_allclose(table.amplitudes.sum(axis=0), np.cov(f.T), atol=0.02)
