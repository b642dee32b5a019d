"""Tests of rescaling losses and of imputing failures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiohpo_plugins.searchers.adbo.targets import impute, rescale


def test_outliers_do_not_flatten_the_rest() -> None:
    """One diverged trial hardly changes how the others compare."""
    y = np.random.default_rng(0).random(50)
    with_outlier = rescale(np.append(y, 1e12))
    assert np.ptp(with_outlier[:-1]) > 0.5 * np.ptp(rescale(y))


def test_the_best_stands_out_by_how_much_better_it_is() -> None:
    """Unlike ranks alone, the target tells a breakthrough from a tiny improvement."""
    y = np.linspace(1.0, 2.0, 40)
    tiny, big = rescale(np.append(y, 0.99)), rescale(np.append(y, -5.0))
    assert big[0] - big[-1] > 1.3 * (tiny[0] - tiny[-1])


def test_affine_changes_of_the_loss_do_not_matter() -> None:
    """A loss in other units gives the same target."""
    y = np.random.default_rng(1).normal(size=30)
    assert rescale(1e6 * y - 5.0) == pytest.approx(rescale(y))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=30))
def test_any_finite_losses_give_finite_ordered_targets(losses: list[float]) -> None:
    """Whatever the losses, targets are finite and in the same order."""
    y = np.array(losses)
    z = rescale(y)
    assert z.shape == y.shape
    assert np.isfinite(z).all()
    assert (np.diff(z[np.argsort(y, kind="stable")]) >= -1e-9).all()


@pytest.mark.parametrize("scale", [1e-316, 1e-200, 1e200, 1.7e308])
def test_losses_of_any_magnitude_are_told_apart(scale: float) -> None:
    """Losses in another unit have the targets that they have in this one, though a double hardly holds them."""
    y = np.random.default_rng(1).uniform(-1, 1, 30)
    assert rescale(scale * y) == pytest.approx(rescale(y), abs=1e-6)


def test_failures_are_imputed_as_told() -> None:
    """Failures count as the worst, as the average, or not at all; with nothing to compare with, not at all."""
    z = np.array([-1.0, 0.0, 4.0])
    assert impute(z, 2, "worst").tolist() == [4.0, 4.0]
    assert impute(z, 2, "mean").tolist() == [1.0, 1.0]
    assert impute(z, 2, "ignore").tolist() == []
    assert impute(np.empty(0), 2, "worst").tolist() == []
