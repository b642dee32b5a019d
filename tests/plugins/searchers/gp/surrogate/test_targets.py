"""Tests of the targets of a Gaussian process."""

from __future__ import annotations

import numpy as np
import pytest

from aiohpo_plugins.searchers.gp.surrogate.targets import quantise, standardise

RNG = np.random.default_rng(0)
LOSSES = {
    "normal": RNG.normal(size=200),
    "heavy": RNG.standard_cauchy(size=200),
    "accuracies": RNG.integers(100, size=200) / 100,
    "few": RNG.random(3),
    "two values": np.repeat([0.5, 0.7], 20),
    "mostly equal": np.r_[np.ones(50), 0.3, 2.0],
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("scale", [1e-3, 1 / 3, 1e3])
@pytest.mark.parametrize("offset", [0.0, 7.1, -100.0])
def test_scale_and_offset_make_no_difference_at_all(name: str, scale: float, offset: float) -> None:
    """Losses times a constant plus a constant are the same integers, for every beginning of a study."""
    y = LOSSES[name]
    for n in {2, 7, 8, 9, 17, len(y)}:
        assert np.array_equal(quantise(y[:n] * scale + offset), quantise(y[:n]))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("focused", [False, True])
def test_the_order_is_kept(name: str, focused: bool) -> None:
    """A lower loss never has a higher target."""
    y = LOSSES[name]
    z = standardise(quantise(y), focused)
    assert (np.diff(z[np.argsort(y)]) >= 0).all()
    assert np.isfinite(z).all()
    assert abs(z.mean()) < 1e-9
    assert z.std() == pytest.approx(1)


@pytest.mark.parametrize("y", [[], [3.0], [2.0, 2.0, 2.0]])
def test_nothing_to_tell_apart_is_zero(y: list[float]) -> None:
    """No loss, one loss, and equal losses have targets of zero."""
    assert (standardise(quantise(np.array(y))) == 0).all()


def test_a_diverged_trial_does_not_hide_the_others() -> None:
    """With a loss of 1e300 among them, the others still differ by most of what they differ by without it."""
    y = np.linspace(0, 1, 50)
    without = np.ptp(standardise(quantise(y)))
    assert np.ptp(standardise(quantise(np.r_[y, 1e300]))[:-1]) > 0.2 * without


def test_focused_targets_tell_the_best_apart() -> None:
    """Where most are bad, the best ones differ by more than in targets that are made for all; of a few all count."""
    y = np.r_[np.linspace(0, 1, 30), np.linspace(10, 100, 30)]
    wide, focused = (standardise(quantise(y), f) for f in (False, True))
    assert np.ptp(focused[:10]) > 2 * np.ptp(wide[:10])
    assert np.array_equal(standardise(quantise(y[::3]), True), standardise(quantise(y[::3])))


@pytest.mark.parametrize("first", [1e-320, 1e-200, 1.0, 1e140])
@pytest.mark.parametrize("then", [1e-300, 1.0, 1e140, 1.7e308])
def test_a_scale_that_jumps_does_not_overflow(first: float, then: float) -> None:
    """Whatever the first losses and the later ones are, targets are finite and in order, and the later ones differ."""
    y = np.r_[first * np.linspace(-1, 1, 9), then * RNG.permutation(np.linspace(-1, 1, 21))]
    z = standardise(quantise(y))
    assert np.isfinite(z).all()
    assert (np.diff(z[np.argsort(y, kind="stable")]) >= 0).all()
    if then >= first:
        assert len(np.unique(z[9:])) == 21
