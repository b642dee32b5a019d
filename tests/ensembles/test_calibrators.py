"""Tests of calibrators as data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiohpo.ensembles.calibrators import KINDS, Affine, Isotonic, Scaling, arrays_of, kind_of, number


def proba(k: int, n: int = 20) -> np.ndarray:
    return np.random.default_rng(k).dirichlet([0.5] * k, size=n)


@pytest.mark.parametrize("k", [2, 4])
def test_scale_one_and_no_shift_change_nothing(k: int) -> None:
    """The neutral scaling is the identity, but for probabilities below the floor."""
    p = np.maximum(proba(k), 1e-3)
    p /= p.sum(axis=1, keepdims=True)
    assert Scaling(number(1.0), np.zeros(k))(p) == pytest.approx(p)


def test_temperature_makes_bolder_or_shyer_but_keeps_the_order() -> None:
    """A scale above one sharpens, one below flattens; no row's favourite changes."""
    p = proba(3)
    bold, shy = (Scaling(number(a), np.zeros(3))(p) for a in (2.0, 0.5))
    assert (bold.max(axis=1) >= p.max(axis=1) - 1e-6).all()
    assert (shy.max(axis=1) <= p.max(axis=1) + 1e-6).all()
    assert (bold.argmax(axis=1) == p.argmax(axis=1)).all()


def test_two_classes_are_platts_sigmoid() -> None:
    """With a scale a and a shift b of the second class the result is σ(a·logit p + b)."""
    p = np.array([[0.8, 0.2], [0.4, 0.6]])
    logit = np.log(p[:, 1] / p[:, 0])
    assert Scaling(number(1.5), np.array([0.0, 0.3]))(p)[:, 1] == pytest.approx(1 / (1 + np.exp(-1.5 * logit - 0.3)))


@given(st.integers(2, 5), st.integers(0, 99))
def test_certain_predictions_stay_probabilities(k: int, seed: int) -> None:
    """Zeros and ones come out finite, with rows that sum to one."""
    rng = np.random.default_rng(seed)
    hard = np.eye(k)[rng.integers(0, k, 10)]
    out = Scaling(rng.uniform(0.1, 3, k), rng.normal(size=k))(hard)
    assert np.isfinite(out).all()
    assert out.sum(axis=1) == pytest.approx(np.ones(10))


def test_isotonic_interpolates_between_its_knots() -> None:
    """Two classes have a single curve, of the second; beyond its ends it is flat."""
    curve = Isotonic(np.array([0.2, 0.6]), np.array([0.0, 1.0]), number(2))
    p = np.array([[0.9, 0.1], [0.6, 0.4], [0.1, 0.9]])
    assert curve(p)[:, 1] == pytest.approx([0.0, 0.5, 1.0])
    assert curve(p).sum(axis=1) == pytest.approx(np.ones(3))


def test_isotonic_of_many_classes_sums_to_one_even_where_all_curves_are_zero() -> None:
    """A row that every class declines is uniform."""
    curve = Isotonic(np.tile([0.0, 1.0], 3), np.tile([0.0, 0.5], 3), np.full(3, 2.0))
    assert curve(np.array([[0.5, 0.3, 0.2], [0.0, 0.0, 0.0]])) == pytest.approx(
        np.array([[0.5, 0.3, 0.2], [1 / 3, 1 / 3, 1 / 3]])
    )


def test_affine_maps_means_and_adds_variance() -> None:
    """Means may come without variances; they leave with them."""
    affine = Affine(number(2.0), number(1.0), number(3.0), number(0.5))
    assert affine([[1.0]]).tolist() == [[3.0, 0.5]]
    assert affine([[1.0, 2.0]]).tolist() == [[3.0, 6.5]]


def test_every_kind_can_be_taken_apart_and_put_together() -> None:
    """Names and arrays are all that is needed to save a calibrator."""
    for made in (
        Scaling(number(1.0), np.zeros(2)),
        Isotonic(np.array([0.0]), np.array([1.0]), number(1)),
        Affine(*[number(1.0)] * 4),
    ):
        again = KINDS[kind_of(made)](**arrays_of(made))
        assert type(again) is type(made)
        assert all(
            np.array_equal(a, b) for a, b in zip(arrays_of(again).values(), arrays_of(made).values(), strict=True)
        )
