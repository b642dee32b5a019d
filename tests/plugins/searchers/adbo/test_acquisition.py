"""Tests of the acquisition functions and of how workers differ in them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aiohpo.plugin import Identity
from aiohpo_plugins.searchers.adbo.acquisition import KappaDecay, boltzmann_order, draw_kappa, lcb, negative_ei


def test_lone_worker_gets_the_mean_kappa() -> None:
    """A worker that knows it is alone explores exactly as much as the option says."""
    assert draw_kappa(1.96, 1.0, 0, Identity("w", 0, 1)) == pytest.approx(1.96)


def test_ranks_share_the_distribution_out() -> None:
    """Ranks launched together have increasing kappas whose mean is the mean of the distribution."""
    kappas = [draw_kappa(1.96, 1.0, 0, Identity(f"w{r}", r, 16)) for r in range(16)]
    assert np.mean(kappas) == pytest.approx(1.96)
    assert kappas == sorted(kappas)
    assert kappas[0] < 0.1 < 5 < kappas[-1]


def test_unranked_workers_draw_from_the_exponential_distribution() -> None:
    """Workers without a rank draw from Exp(mean), depending on their name and the study's seed only."""
    kappas = np.array([draw_kappa(2.0, 1.0, 3, Identity(f"worker-{i}")) for i in range(2000)])
    assert kappas.mean() == pytest.approx(2.0, rel=0.1)
    assert np.median(kappas) == pytest.approx(2.0 * math.log(2), rel=0.1)
    assert draw_kappa(2.0, 1.0, 3, Identity("worker-7")) == kappas[7]
    assert draw_kappa(2.0, 1.0, 4, Identity("worker-7")) != kappas[7]


def test_spread_says_how_much_workers_differ() -> None:
    """A smaller spread brings all workers nearer to the mean, which stays; 0 makes them equal."""
    kappas = {s: [draw_kappa(2.0, s, 0, Identity("w", r, 8)) for r in range(8)] for s in (0.0, 0.5, 1.0)}
    assert np.std(kappas[0.0]) == pytest.approx(0.0)
    assert np.std(kappas[0.5]) == pytest.approx(0.5 * np.std(kappas[1.0]))
    assert [np.mean(k) for k in kappas.values()] == pytest.approx([2.0, 2.0, 2.0])


def test_decay_is_periodic_after_the_delay() -> None:
    """Kappa stays through the delay, then decays exponentially and returns each period."""
    decay = KappaDecay(rate=0.5, period=4, delay=2)
    assert [decay(2.0, i) for i in (1, 2, 3)] == [2.0, 2.0, 2.0]
    assert decay(2.0, 5) == pytest.approx(2.0 * math.exp(-1.0))
    assert decay(2.0, 7) == 2.0
    assert KappaDecay(rate=0.5, period=0, delay=0)(2.0, 9) == 2.0


def test_lcb_trades_mean_for_uncertainty() -> None:
    """The lower confidence bound is the mean less kappa standard deviations."""
    assert lcb(np.array([1.0, 0.0]), np.array([2.0, 0.5]), 1.0).tolist() == [-1.0, -0.5]


def test_expected_improvement_of_a_certain_loss_is_the_gain() -> None:
    """Without uncertainty the expected improvement is what the prediction gains on the best, or zero."""
    score = negative_ei(np.array([0.0, 2.0]), np.zeros(2), best=1.0)
    assert score == pytest.approx([-1.0, 0.0])


def test_expected_improvement_matches_its_definition() -> None:
    """The closed form agrees with a simulation of E[max(best - loss, 0)]."""
    draws = 0.3 + 0.7 * np.random.default_rng(0).normal(size=200_000)
    score = negative_ei(np.array([0.3]), np.array([0.7]), best=0.1)
    assert -score[0] == pytest.approx(np.maximum(0.1 - draws, 0).mean(), rel=0.02)


def test_boltzmann_prefers_good_scores_and_more_so_later() -> None:
    """The best score is drawn first more often than others, and more often late than early in a search."""
    rng, score = np.random.default_rng(0), np.linspace(0.0, 1.0, 5)
    first = {t: [int(boltzmann_order(score, t, 1.0, rng).argmin()) for _ in range(2000)] for t in (3, 1000)}
    early, late = (first[t].count(0) / 2000 for t in (3, 1000))
    assert 1 / 5 < early < late
