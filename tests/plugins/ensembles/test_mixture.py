"""Tests of the mixture's loss and its gradients."""

from __future__ import annotations

import numpy as np
import pytest

from aiohpo.ensembles.ensemble import Ensemble, Member
from aiohpo.ensembles.metrics import METRICS
from aiohpo_plugins.ensembles.mixture import SHARED, SHIFTS, Mixture, NormalMixture, mixture_for
from tests.support.ensemble_problems import models, numbers

CASES = [
    ("classification", 2, "temperature"),
    ("classification", 2, "platt"),
    ("classification", 2, "vector"),
    ("classification", 4, "temperature"),
    ("classification", 4, "platt"),
    ("classification", 4, "vector"),
    ("regression", 1, "platt"),
    ("regression", 2, "platt"),
]


def build(
    task: str, k: int, scaling: str, prior: float = 3.0, metric: str = "nll"
) -> tuple[Mixture, np.ndarray, np.ndarray, np.ndarray]:
    p, y = (models if task == "classification" else numbers)(3, 40, k)
    mixture = mixture_for(list(p), y, METRICS["log_loss" if task == "classification" else metric], scaling, prior)
    rng = np.random.default_rng(1)
    x = mixture.begin(rng.dirichlet(np.ones(3)))
    x[3:] += 0.3 * rng.normal(size=len(x) - 3)
    return mixture, x, p, y


@pytest.mark.parametrize(("task", "k", "scaling"), CASES)
def test_gradients_are_right(task: str, k: int, scaling: str) -> None:
    """They agree with finite differences in every parameter, away from the start."""
    for metric in ("nll", "rmse"):
        check_gradient(*build(task, k, scaling, metric=metric)[:2])


def check_gradient(mixture: Mixture, x: np.ndarray) -> None:
    _, gradient = mixture(x)
    step = 1e-6
    for i in range(len(x)):
        e = np.zeros_like(x)
        e[i] = step
        difference = (mixture(x + e)[0] - mixture(x - e)[0]) / (2 * step)
        assert gradient[i] == pytest.approx(difference, abs=1e-6, rel=1e-4), i


@pytest.mark.parametrize(("task", "k", "scaling"), CASES)
def test_without_a_prior_the_loss_is_the_ensembles_cross_entropy(task: str, k: int, scaling: str) -> None:
    """Nothing else is minimised (for regression in units of the targets' spread)."""
    mixture, x, _, y = build(task, k, scaling, prior=0.0)
    x[3 : 3 + mixture.p] = 0.0  # what is shared has a prior of its own, and so has the mixture's temperature
    x[len(x) - mixture.t :] = 0.0
    if task == "classification":
        assert mixture(x)[0] == pytest.approx(METRICS["log_loss"](y, mixture.predict(x)))
    else:
        assert mixture(x)[0] == pytest.approx(METRICS["nll"](y, mixture.predict(x)) - np.log(y.std()))


@pytest.mark.parametrize("k", [1, 2])
def test_where_means_are_judged_no_row_counts_for_less(k: int) -> None:
    """The loss depends on the mean squared error and on the average variance, not on which row has which."""
    mixture, x, _, y = build("regression", k, "platt", prior=0.0, metric="rmse")
    x[3 : 3 + mixture.p] = 0.0
    predicted = mixture.predict(x)
    square, variance = np.square(predicted[:, 0] - y).mean(), predicted[:, 1].mean()
    expected = 0.5 * (np.log(2 * np.pi * variance) + square / variance) - np.log(y.std())
    assert mixture(x)[0] == pytest.approx(expected)


@pytest.mark.parametrize(("task", "k", "scaling"), CASES)
def test_calibrators_and_weights_predict_the_same(task: str, k: int, scaling: str) -> None:
    """What is returned to the user is what was optimised."""
    mixture, x, p, _ = build(task, k, scaling)
    members = tuple(Member(i) for i in range(3))
    ensemble = Ensemble(
        task,
        members,
        mixture.weights(x),
        tuple(mixture.calibrators(x)),
        "any",
        0.0,
        k,  # type: ignore[arg-type]
        final=mixture.final(x),
    )
    assert ensemble.combine(p) == pytest.approx(mixture.predict(x))


@pytest.mark.parametrize(("task", "k", "scaling"), CASES[:6])
def test_neutral_parameters_change_nothing(task: str, k: int, scaling: str) -> None:
    """The descent begins with the plain mean."""
    mixture, _, p, _ = build(task, k, scaling)
    x = mixture.begin(np.full(3, 1 / 3))
    assert mixture.predict(x) == pytest.approx(p.mean(axis=0), abs=1e-5)


def test_neutral_variances_are_the_models_own_errors() -> None:
    """A mean that states no variance begins with that of its residuals."""
    p, y = numbers(2, 50, 1)
    mixture = NormalMixture(list(p), y, 1.0)
    x = mixture.begin(np.array([1.0, 1e-20]))
    expected = np.square(p[0, :, 0] - y).mean()
    assert mixture.predict(x)[:, 1] == pytest.approx(np.full(50, expected), rel=1e-3)


def test_other_rows_are_predicted_in_the_same_units() -> None:
    """Parameters learned from some rows mean the same on others."""
    p, y = numbers(3, 60, 2)
    whole = NormalMixture(list(p), y, 1.0)
    x = whole.begin(np.full(3, 1 / 3)) + 0.2
    part = NormalMixture(list(p[:, :7]), y[:7], 1.0, like=whole)
    assert part.predict(x) == pytest.approx(whole.predict(x)[:7])


def test_what_models_share_costs_less_than_what_each_does() -> None:
    """The same calibrators as shared parameters, and as each model's own, differ in the prior only."""
    mixture, x, _, _ = build("classification", 2, "platt", prior=7.0)
    shared, own = x.copy(), x.copy()
    shared[3:] = [0.5, 0.2, *[0.0] * 6, 0.1]
    own[3:] = [0.0, 0.0, *[0.5, 0.2] * 3, 0.1]
    assert np.array_equal(mixture.predict(shared), mixture.predict(own))
    assert mixture(own)[0] - mixture(shared)[0] == pytest.approx((3 * 7.0 - SHARED) * (0.25 + SHIFTS * 0.04) / 40)


@pytest.mark.parametrize("k", [1, 2])
def test_the_variance_can_be_set_to_the_error_that_was_seen(k: int) -> None:
    """On average over rows, and without another mean; disagreement alone may already be more."""
    p, y = numbers(3, 60, k)
    mixture = NormalMixture(list(p), y, 1.0)
    x = mixture.begin(np.full(3, 1 / 3))
    before = mixture.predict(x)
    for square in (2.0, 30.0):
        after = mixture.predict(mixture.with_error(x, square))
        assert np.array_equal(after[:, 0], before[:, 0])
        assert after[:, 1].mean() == pytest.approx(square, rel=0.01)
    assert (mixture.predict(mixture.with_error(x, 0.0))[:, 1] > 0).all()


def test_certain_and_wrong_models_give_finite_losses() -> None:
    """Predictions of zero for the true class are survived, gradients included."""
    y = np.array([0, 1, 2, 0])
    wrong = np.eye(3)[(y + 1) % 3]
    for k in (2, 3):
        mixture = mixture_for([wrong[:, :k] + 1e-9] * 2, np.minimum(y, k - 1), METRICS["log_loss"], "platt", 1.0)
        value, gradient = mixture(mixture.begin(np.array([0.5, 0.5])))
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()
