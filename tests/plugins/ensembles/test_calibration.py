"""Tests of fitting calibrators."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from aiohpo.ensembles.calibrators import Affine, Scaling, log_probabilities
from aiohpo.ensembles.metrics import METRICS
from aiohpo_plugins.ensembles.calibration import CALIBRATIONS, PRIOR, cross_fit, fit
from aiohpo_plugins.ensembles.folds import assign
from tests.support.ensemble_problems import models, numbers, softmax

FITTED = [name for name in CALIBRATIONS if name != "none"]


def boastful(k: int, n: int = 2000, factor: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Predictions whose log-odds are ``factor`` times too large."""
    rng = np.random.default_rng(k)
    truth = softmax(1.5 * rng.normal(size=(n, k)))
    y = np.array([rng.choice(k, p=row) for row in truth])
    return softmax(factor * np.log(truth)), y


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("name", FITTED)
def test_makes_boastful_models_honest(name: str, k: int) -> None:
    """On rows that were not fitted to, log-loss falls and calibration error at least halves."""
    p, y = boastful(k)
    calibrated = fit(name, p[:1000], y[:1000], "classification")(p[1000:])
    for metric, factor in (("log_loss", 0.8), ("ece", 0.5)):
        before, after = METRICS[metric](y[1000:], p[1000:]), METRICS[metric](y[1000:], calibrated)
        assert after < factor * before, metric


def test_temperature_is_found() -> None:
    """Three times too bold is a third."""
    p, y = boastful(3, 5000)
    assert fit("temperature", p, y, "classification").scale == pytest.approx([1 / 3], abs=0.03)


def test_platt_scaling_is_logistic_regression_on_the_logit() -> None:
    """For two classes it is the method of that name, with a prior that pulls towards slope one."""
    p, y = boastful(2, 4000)
    logit = np.diff(log_probabilities(p), axis=1)
    theirs = LogisticRegression(C=np.inf).fit(logit, y)
    ours = fit("platt", p, y, "classification")
    assert ours.scale == pytest.approx(theirs.coef_[0], abs=0.02)
    assert np.diff(ours.shift) == pytest.approx(theirs.intercept_, abs=0.02)


@pytest.mark.parametrize("name", ["temperature", "platt", "vector"])
@pytest.mark.parametrize("k", [2, 3])
def test_newtons_method_arrives(name: str, k: int) -> None:
    """No small change of any parameter is better."""
    p, y = models(1, 200, k)
    found = fit(name, p[0], y, "classification")

    def loss(scale: np.ndarray, shift: np.ndarray) -> float:
        nats = len(y) * METRICS["log_loss"](y, Scaling(scale, shift)(p[0]))
        return nats + PRIOR * (np.square(scale - 1).sum() + np.square(shift).sum())

    best = loss(found.scale, found.shift)
    rng = np.random.default_rng(0)
    for _ in range(20):
        shift = found.shift + (0 if name == "temperature" else 0.01 * rng.normal(size=k))
        assert loss(found.scale + 0.01 * rng.normal(size=len(found.scale)), shift) > best - 1e-6


@pytest.mark.parametrize("name", FITTED)
def test_odd_rows_are_survived(name: str) -> None:
    """A class that does not occur, a perfect model, certain ones, one row: what comes out is finite."""
    p, y = models(1, 60, 3)
    cases = [
        (p[0][y < 2], y[y < 2]),
        (np.eye(3)[y], y),
        (np.eye(3)[p[0].argmax(axis=1)], y),
        (np.full((60, 3), 1 / 3), y),
        (p[0][:1], y[:1]),
    ]
    for given, truth in cases:
        out = fit(name, given, truth, "classification")(p[0])
        assert np.isfinite(out).all()
        assert (out > 0).all()
        assert out.sum(axis=1) == pytest.approx(np.ones(60))


@pytest.mark.parametrize("name", FITTED)
def test_cross_fitted_predictions_have_not_seen_their_row(name: str) -> None:
    """Changing a row's target changes the calibrator, but not that row's own prediction."""
    p, y = models(1, 60, 3)
    fold = assign(y, 5, 0)
    _, before = cross_fit(name, p[0], y, "classification", fold)
    changed = y.copy()
    mine = fold == fold[7]
    changed[mine] = (changed[mine] + 1) % 3
    _, after = cross_fit(name, p[0], changed, "classification", fold)
    assert before[mine] == pytest.approx(after[mine], abs=1e-4)
    assert not np.allclose(before[~mine], after[~mine], atol=1e-4)


def test_cross_fitting_reports_what_to_expect() -> None:
    """A calibrator with many parameters flatters itself on its own rows; cross-fitted it does not."""
    p, y = models(1, 150, 3)
    fresh, y_fresh = models(1, 150, 3, seed=0)
    whole, honest = cross_fit("isotonic", p[0], y, "classification", assign(y, 5, 0))
    assert METRICS["log_loss"](y, whole(p[0])) < METRICS["log_loss"](y, honest)
    assert np.array_equal(fresh, p)
    assert np.array_equal(y_fresh, y)


def test_none_is_nothing() -> None:
    """The predictions come back as they are."""
    p, y = models(1, 20, 2)
    calibrator, same = cross_fit("none", p[0], y, "classification", assign(y, 5, 0))
    assert calibrator is None
    assert np.shares_memory(same, p)


def test_regression_finds_slope_shift_and_noise() -> None:
    """An affine mistake is put right, and the errors that are left are the variance."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=3000)
    p = ((y + 0.1 * rng.normal(size=3000)) * 2 + 5)[:, None]
    found = fit("platt", p, y, "regression")
    assert isinstance(found, Affine)
    assert found.slope == pytest.approx([0.5], abs=0.01)
    assert found.shift == pytest.approx([-2.5], abs=0.05)
    assert found.noise == pytest.approx([0.01], rel=0.1)


def test_variances_are_scaled_and_widened() -> None:
    """Stated variances that are four times too small are multiplied; others are replaced."""
    rng = np.random.default_rng(0)
    stated = rng.uniform(0.1, 4.0, 4000)
    y = np.sqrt(4 * stated) * rng.normal(size=4000)
    found = fit("temperature", np.stack([np.zeros(4000), stated], axis=1), y, "regression")
    assert found.factor == pytest.approx([4.0], rel=0.1)
    useless = fit("temperature", np.stack([np.zeros(4000), rng.permutation(stated)], axis=1), y, "regression")
    assert useless.noise > 10 * useless.factor


@pytest.mark.parametrize("k", [1, 2])
def test_odd_numbers_are_survived(k: int) -> None:
    """Constant predictions, constant targets, one row, no errors: variances are positive and finite."""
    p, y = numbers(1, 30, k)
    exact = np.stack([y, np.ones(30)], axis=1)[:, :k]
    for given, truth in ((np.ones((30, k)), y), (p[0], np.full(30, 3.0)), (p[0][:1], y[:1]), (exact, y)):
        out = fit("platt", given, truth, "regression")(p[0])
        assert np.isfinite(out).all()
        assert (out[:, 1] > 0).all()
