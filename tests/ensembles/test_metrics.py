"""Tests of the metrics of predictions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics as sk

from aiohpo.ensembles.metrics import METRICS, Metric, auc, get_metric, reliability
from aiohpo.errors import UsageError

RNG = np.random.default_rng(0)


def classes(k: int, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(k)
    y = rng.integers(0, k, n)
    z = rng.normal(size=(n, k)) + np.eye(k)[y]
    p = np.exp(z)
    return y, p / p.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("k", [2, 5])
def test_agrees_with_scikit_learn_on_classes(k: int) -> None:
    """The usual metrics are what scikit-learn says they are."""
    y, p = classes(k)
    theirs = {
        "log_loss": sk.log_loss(y, p),
        "accuracy": sk.accuracy_score(y, p.argmax(axis=1)),
        "balanced_accuracy": sk.balanced_accuracy_score(y, p.argmax(axis=1)),
        "roc_auc": sk.roc_auc_score(y, p[:, 1] if k == 2 else p, multi_class="ovr"),
        "brier": sk.brier_score_loss(y, p[:, 1]) if k == 2 else sk.brier_score_loss(y, p, labels=range(k)),
    }
    for name, value in theirs.items():
        assert METRICS[name](y, p) == pytest.approx(value), name


def test_agrees_with_scikit_learn_on_numbers() -> None:
    """So do those of regression."""
    y, p = RNG.normal(size=50), RNG.normal(size=(50, 1))
    assert METRICS["rmse"](y, p) == pytest.approx(sk.root_mean_squared_error(y, p[:, 0]))
    assert METRICS["mae"](y, p) == pytest.approx(sk.mean_absolute_error(y, p[:, 0]))
    assert METRICS["r2"](y, p) == pytest.approx(sk.r2_score(y, p[:, 0]))


def test_nll_is_that_of_a_normal_density() -> None:
    """With mean 0 and variance 4, a target of 2 has density exp(-1/2)/√(8π)."""
    assert METRICS["nll"]([2.0], [[0.0, 4.0]]) == pytest.approx(0.5 + 0.5 * math.log(8 * math.pi))


def test_nll_without_variances_says_what_it_needs() -> None:
    """A mean alone has no likelihood."""
    with pytest.raises(UsageError, match="needs variances"):
        METRICS["nll"]([2.0], [[0.0]])


def test_balanced_metrics_weigh_classes_equally() -> None:
    """Repeating the rows of one class changes nothing; for the plain ones it does."""
    y, p = classes(3)
    more = np.concatenate([np.arange(len(y)), *[np.flatnonzero(y == y[p.argmin(axis=0)[0]])] * 2])
    for name in ("balanced_accuracy", "balanced_cross_entropy"):
        assert METRICS[name](y[more], p[more]) == pytest.approx(METRICS[name](y, p)), name
    for name in ("accuracy", "log_loss"):
        assert METRICS[name](y[more], p[more]) != pytest.approx(METRICS[name](y, p)), name


def test_a_class_that_does_not_occur_is_left_out_of_averages() -> None:
    """Metrics that average over classes average over those that are there."""
    y, p = classes(3)
    there = y != 2
    for name in ("balanced_accuracy", "balanced_cross_entropy", "roc_auc", "log_loss", "brier", "ece"):
        assert math.isfinite(METRICS[name](y[there], p[there])), name


def test_auc_of_one_class_is_not_defined_and_never_better() -> None:
    """With a single class nothing can be ranked: NaN, the worst loss, and no improvement on anything."""
    metric = METRICS["roc_auc"]
    value = metric([1, 1], [[0.5, 0.5], [0.2, 0.8]])
    assert math.isnan(value)
    assert metric.loss([1, 1], [[0.5, 0.5], [0.2, 0.8]]) == math.inf
    assert metric.better(0.1, value)
    assert not metric.better(value, 0.1)


def test_auc_counts_ties_as_half() -> None:
    """A constant score is worth nothing."""
    assert auc([True, False, True], [1.0, 1.0, 1.0]) == 0.5
    assert auc([True, False], [2.0, 1.0]) == 1.0


def test_ece_is_zero_for_honest_and_large_for_boastful_predictions() -> None:
    """Confidence 0.75 with three hits of four is calibrated; confidence one is off by a quarter."""
    y = np.array([0, 0, 0, 1])
    assert METRICS["ece"](y, np.tile([0.75, 0.25], (4, 1))) == pytest.approx(0.0)
    assert METRICS["ece"](y, np.tile([1.0, 0.0], (4, 1))) == pytest.approx(0.25)


def test_reliability_leaves_empty_bins_out() -> None:
    """Each bin that has rows gives confidence, share and hits; the shares add up."""
    confidence, share, hits = reliability(*classes(4))
    assert len(confidence) == len(share) == len(hits) <= 15
    assert share.sum() == pytest.approx(1.0)
    assert (np.diff(confidence) > 0).all()


def test_zero_for_what_happened_costs_much_but_not_infinitely() -> None:
    """A certain model that is wrong once can still be compared."""
    assert 15 < METRICS["log_loss"]([1], [[1.0, 0.0]]) < 17


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS.keys())
def test_knows_its_direction(metric: Metric) -> None:
    """The truth has a lower loss than a guess, whatever the metric."""
    if metric.task == "classification":
        y, guess = classes(3)
        truth = np.eye(3)[y]
    else:
        y = RNG.normal(size=80)
        truth, guess = np.stack([y, 0.01 + 0 * y], axis=1), np.stack([0 * y, 1 + 0 * y], axis=1)
    assert metric.loss(y, truth) < metric.loss(y, guess)
    assert metric.better(metric(y, truth), metric(y, guess))
    assert not metric.better(metric(y, guess), metric(y, truth))


@pytest.mark.parametrize("name", ["neg_log_loss", "f1_macro", "top_k_accuracy", "matthews_corrcoef", "roc_auc_ovo"])
def test_scorers_of_scikit_learn_for_classes(name: str) -> None:
    """A scorer is a metric by its name or itself, and is maximised."""
    y, p = classes(3)
    metric = get_metric(name)
    assert metric.task == "classification"
    assert metric.maximise
    assert metric(y, p.astype(np.float32)) == pytest.approx(get_metric(sk.get_scorer(name))(y, p), rel=1e-5)
    assert metric.loss(y, 0.5 * np.eye(3)[y] + 0.5 * p) < metric.loss(y, p)


def test_scorers_of_scikit_learn_for_numbers() -> None:
    """The negated error of a scorer is its value, to be maximised."""
    y = RNG.normal(size=40)
    metric = get_metric("neg_median_absolute_error")
    assert metric.task == "regression"
    assert metric(y, y[:, None] + 1.0) == pytest.approx(-1.0)


def test_a_scorer_of_ones_own_has_the_name_of_its_function() -> None:
    """make_scorer is understood, its options included."""
    metric = get_metric(sk.make_scorer(sk.fbeta_score, beta=2.0))
    y, p = classes(2)
    assert metric.name == "fbeta_score"
    assert metric(y, p) == pytest.approx(sk.fbeta_score(y, p.argmax(axis=1), beta=2.0))


@pytest.mark.parametrize("spec", ["logloss", 3, None])
def test_unknown_metrics_are_refused_with_a_list(spec: object) -> None:
    """The message lists what there is."""
    with pytest.raises(UsageError, match="log_loss"):
        get_metric(spec)
