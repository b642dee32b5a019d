"""Tests of the greedy builder, also as it grows."""

from __future__ import annotations

import time

import numpy as np
import pytest

from aiohpo.ensembles.metrics import METRICS
from aiohpo.errors import UsageError
from aiohpo.testing import check_ensemble
from aiohpo_plugins.ensembles.greedy import GreedyBuilder
from tests.support.ensemble_problems import models, numbers

OPTIONS: list[dict] = [
    {},
    {"start": 5},
    {"variant": "algorithm1", "size": 4},
    {"calibration": "platt", "folds": 3},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_keeps_what_a_builder_promises(options: dict) -> None:
    """With each of its ways to select."""
    check_ensemble(lambda: GreedyBuilder(**options), metrics=("log_loss", "rmse"))


@pytest.mark.parametrize("metric", ["log_loss", "balanced_cross_entropy", "brier", "accuracy", "roc_auc"])
def test_reports_the_metric_of_its_prediction(metric: str) -> None:
    """The score is what the metric says of the ensemble on the validation rows, in the metric's own sign."""
    p, y = models()
    ensemble = GreedyBuilder().fit(p, y, metric)
    assert ensemble.score == pytest.approx(METRICS[metric](y, ensemble.predict_proba(p[ensemble.rows])), abs=1e-6)


@pytest.mark.parametrize("metric", ["rmse", "mae", "r2", "nll"])
def test_serves_regression(metric: str) -> None:
    """An ensemble of means is better than any single one."""
    p, y = numbers(k=2)
    ensemble = GreedyBuilder(calibration="none").fit(p, y, metric)
    assert ensemble.score == pytest.approx(METRICS[metric](y, ensemble.combine(p[ensemble.rows])), abs=1e-6)
    assert all(METRICS[metric].better(ensemble.score, METRICS[metric](y, model)) for model in p)


def test_is_never_worse_on_validation_than_the_best_model() -> None:
    """It begins with it, and may stop there."""
    for seed in range(10):
        p, y = models(6, 50, seed=seed)
        ensemble = GreedyBuilder().fit(p, y, "log_loss")
        assert ensemble.score <= min(METRICS["log_loss"](y, model) for model in p) + 1e-6


def test_weights_are_how_often_a_model_was_selected() -> None:
    """They are multiples of one over the size of the best selection."""
    p, y = models()
    ensemble = GreedyBuilder(size=12).fit(p, y, "log_loss")
    size = min(range(len(ensemble.path)), key=lambda i: ensemble.path[i][1]) + 1
    assert ensemble.weights * size == pytest.approx(np.round(ensemble.weights * size))
    assert len(ensemble.path) == 12


def test_leaves_out_what_is_no_good() -> None:
    """The ensemble is the one of the others, and says so."""
    p, y = models()
    broken = p.copy()
    broken[4] = np.nan
    ensemble = GreedyBuilder().fit(broken, y, "log_loss")
    others = GreedyBuilder().fit(np.delete(p, 4, axis=0), y, "log_loss")
    assert ensemble.problems[0].startswith("model 4: ")
    assert np.delete(np.arange(10), 4)[others.rows].tolist() == ensemble.rows.tolist()
    assert ensemble.score == others.score


def test_scorers_of_scikit_learn_can_be_selected_by() -> None:
    """Any metric will do."""
    p, y = models()
    assert GreedyBuilder(size=5).fit(p, y, "f1_macro").metric == "f1_macro"


@pytest.mark.parametrize(
    "options",
    [
        {"size": 0},
        {"size": 2.5},
        {"variant": "other"},
        {"start": 0},
        {"calibration": "magic"},
        {"folds": 1},
        {"seed": -1},
    ],
)
def test_refuses_options_that_make_no_sense(options: dict) -> None:
    """The message names the option."""
    with pytest.raises(UsageError, match=next(iter(options))):
        GreedyBuilder(**options)


# ------------------------------------------------------------------------------------------------- live
@pytest.mark.parametrize("options", [*OPTIONS, {"start": 4, "calibration": "temperature"}])
@pytest.mark.parametrize("metric", ["log_loss", "brier", "accuracy"])
def test_grows_into_what_is_built_at_once(options: dict, metric: str) -> None:
    """Bit for bit, whatever the order of arrival and whoever was there in between."""
    p, y = models(14, 90)
    wanted = GreedyBuilder(**options).fit(p[:11], y, metric)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        live = GreedyBuilder(**options).live(y, metric)
        for row in rng.permutation(14):
            live.add((0, f"trial {row:02}"), p[row])
            if rng.random() < 0.6:
                live.fit()
        for row in (12, 11, 13):
            live.discard((0, f"trial {row:02}"))
        ensemble, keys = live.fit()
        assert [keys[row][1] for row in ensemble.rows] == [f"trial {row:02}" for row in wanted.rows]
        assert np.array_equal(ensemble.weights, wanted.weights)
        assert (ensemble.score, ensemble.path) == (wanted.score, wanted.path)
        assert np.array_equal(ensemble.predict_proba(p[ensemble.rows]), wanted.predict_proba(p[wanted.rows]))


def test_a_model_can_be_replaced() -> None:
    """Adding under a known key is replacing."""
    p, y = models(5)
    live = GreedyBuilder().live(y, "log_loss")
    for row in (0, 1, 2):
        live.add(row, p[row])
    live.fit()
    live.add(1, p[4])
    assert live.fit()[0].score == GreedyBuilder().fit(p[[0, 4, 2]], y, "log_loss").score


def test_a_live_ensemble_names_what_is_wrong() -> None:
    """A model that is no good is refused, and nothing else changes."""
    p, y = models(3)
    live = GreedyBuilder().live(y, "log_loss")
    with pytest.raises(UsageError, match="there are no predictions"):
        live.fit()
    live.add("a", p[0])
    for wrong in (p[1][:5], p[1][:, :2], 2 * p[1], np.full_like(p[1], np.nan)):
        with pytest.raises(UsageError):
            live.add("b", wrong)
    live.discard("b")
    assert live.fit()[1] == ["a"]


def test_live_regression_takes_means_without_a_second_axis() -> None:
    """(n,) means are enough."""
    p, y = numbers(4)
    live = GreedyBuilder().live(y, "rmse")
    for row in range(4):
        live.add(row, p[row, :, 0])
    assert live.fit()[0].score == GreedyBuilder().fit(p, y, "rmse").score


def test_one_more_model_costs_little() -> None:
    """Much less than building anew, and under 20 ms of CPU time for 200 models, 4,000 rows and ten classes."""
    p, y = models(201, 4000, 10)
    live = GreedyBuilder().live(y, "log_loss")
    for row in range(200):
        live.add(row, p[row])
    live.fit()
    costs = []
    for _ in range(3):
        begin = time.process_time()
        live.add(200, p[200])
        live.fit()
        costs.append(time.process_time() - begin)
        live.discard(200)
    assert min(costs) < 0.02
