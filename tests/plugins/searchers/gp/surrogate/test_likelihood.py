"""Tests of the likelihood of hyperparameters."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from aiohpo.space.space import Categorical, Float, Int, Space
from aiohpo_plugins.searchers.gp.surrogate.features import Features
from aiohpo_plugins.searchers.gp.surrogate.kernel import matern, two_scales
from aiohpo_plugins.searchers.gp.surrogate.likelihood import ALIKE, COMMON, Likelihood, TrainingRows, factorise
from aiohpo_plugins.searchers.gp.surrogate.resource import DecayModel, ExpDecayModel, MaternModel, ResourceModel

SPACE = Space(a=Float(0, 1), b=Int(1, 9), c=Categorical(["u", "v", "w"]), d=Float(0, 1, when={"c": "u"}))
R = np.array([1 / 27, 1 / 9, 1 / 3, 1.0])
CASES = [(MaternModel(), False), (MaternModel(), True), (ExpDecayModel(), False), (DecayModel(), False)]


def problem(
    model: ResourceModel, resource: bool, alike: bool = False, n: int = 20
) -> tuple[Likelihood, TrainingRows, np.ndarray]:
    rng = np.random.default_rng(0)
    features = Features(SPACE, resource)
    likelihood = Likelihood(model, features.group, features.groups, alike, two_scales if alike else matern)
    level = rng.integers(len(R), size=n)
    rows = TrainingRows(features.embed(SPACE.sample(rng, n), R[level]), level, rng.normal(size=n), R)
    low, high = np.array(likelihood.bounds).T
    return likelihood, rows, np.clip(likelihood.mean + 0.3 * rng.normal(size=len(low)), low + 0.1, high - 0.1)


@pytest.mark.parametrize("alike", [False, True])
@pytest.mark.parametrize(("model", "resource"), CASES)
def test_the_gradient_agrees_with_finite_differences(model: ResourceModel, resource: bool, alike: bool) -> None:
    """All derivatives of the log posterior are right, to the accuracy of finite differences."""
    likelihood, rows, theta = problem(model, resource, alike)
    _, gradient = likelihood.negative(theta, rows)
    step = 1e-5
    for i, unit in enumerate(np.eye(len(theta))):
        up, down = (likelihood.negative(theta + s * unit, rows)[0] for s in (step, -step))
        assert gradient[i] == pytest.approx((up - down) / (2 * step), abs=1e-4, rel=1e-4)


@pytest.mark.parametrize(("model", "resource"), CASES)
def test_it_is_the_density_of_a_normal_distribution_times_the_priors(model: ResourceModel, resource: bool) -> None:
    """Differences between two hyperparameters are those that scipy's densities give."""
    likelihood, rows, one = problem(model, resource)
    two = one + 0.1
    ours, theirs = [], []
    for theta in (one, two):
        p = likelihood.unpack(theta)
        table = model.table(p.resource, R)
        C = likelihood.covariance(rows, p, table) + p.noise**2 * np.eye(len(rows))
        density = multivariate_normal(table.mean[rows.level], C).logpdf(rows.target)
        theirs.append(
            density + sum(norm(q.mean, q.std).logpdf(t) for q, t in zip(likelihood.priors, theta, strict=True))
        )
        ours.append(-likelihood.negative(theta, rows)[0])
    assert ours[1] - ours[0] == pytest.approx(theirs[1] - theirs[0], rel=1e-5)


def test_lengthscales_that_are_alike_have_a_common_level() -> None:
    """Moving all of them costs what the common level allows, not that for each; moving one apart costs far more."""
    alike, rows, _ = problem(DecayModel(), False, alike=True)
    independent = Likelihood(DecayModel(), alike.group, alike.groups, False, two_scales)
    likely = {False: independent, True: alike}
    groups = alike.groups
    together, apart = np.zeros(len(alike.mean)), np.zeros(len(alike.mean))
    together[groups : 2 * groups], apart[groups] = 1.0, 1.0  # of the second kernel

    def cost(is_alike: bool, step: np.ndarray) -> float:
        """What the prior says against a step: the likelihood of the rows is the same with both."""
        chosen, other = likely[is_alike], likely[not is_alike]
        at = chosen.mean + step
        against = chosen.negative(at, rows)[0] - other.negative(at, rows)[0]
        return against + 0.5 * step @ np.linalg.inv(other.prior_covariance) @ step

    assert cost(True, together) == pytest.approx(0.5 / (COMMON**2 + ALIKE**2 / groups))
    assert cost(False, together) == pytest.approx(0.5 * groups)
    assert cost(True, apart) > 5 * cost(False, apart)


def test_a_singular_matrix_gets_jitter() -> None:
    """Repeated rows without noise are factorised all the same."""
    factor = factorise(np.ones((50, 50)), 0.0)
    np.testing.assert_allclose(factor @ factor.T, np.ones((50, 50)), atol=1e-5)


def test_a_matrix_that_is_not_finite_is_an_error() -> None:
    """It raises instead of adding jitter for ever."""
    with pytest.raises(FloatingPointError, match="finite"):
        factorise(np.full((3, 3), np.nan), 0.1)
