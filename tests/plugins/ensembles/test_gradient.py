"""Tests of the gradient builder."""

from __future__ import annotations

import numpy as np
import pytest

from aiohpo.ensembles.metrics import METRICS
from aiohpo.errors import UsageError
from aiohpo.testing import check_ensemble
from aiohpo_plugins.ensembles.calibration import fit
from aiohpo_plugins.ensembles.gradient import GradientBuilder
from aiohpo_plugins.ensembles.greedy import GreedyBuilder
from tests.support.ensemble_problems import models, numbers, softmax


@pytest.mark.parametrize("options", [{}, {"start": "uniform", "size": 5}, {"start": "greedy", "scaling": "vector"}])
def test_keeps_what_a_builder_promises(options: dict) -> None:
    """With each of its starts."""
    check_ensemble(lambda: GradientBuilder(**options), metrics=("log_loss", "rmse"))


def boastful(m: int, n: int, k: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Models that see part of the truth and say it four times too loudly."""
    rng = np.random.default_rng([seed, m, n, k])
    logits = 1.5 * rng.normal(size=(n, k))
    y = np.array([rng.choice(k, p=row) for row in softmax(logits)])
    return softmax(4.0 * (logits + rng.normal(size=(m, n, k)))).astype(np.float32), y


@pytest.mark.parametrize("k", [2, 4])
def test_makes_the_ensemble_honest(k: int) -> None:
    """Of boastful models it makes an ensemble with half the calibration error, and less loss, than greedy selection
    does; on fresh rows."""
    p, y = boastful(12, 6000, k)
    valid, test = slice(0, 1000), slice(1000, 6000)
    ours, plain = (b.fit(p[:, valid], y[valid], "log_loss") for b in (GradientBuilder(), GreedyBuilder()))
    mixtures = [e.predict_proba(p[e.rows][:, test]) for e in (ours, plain)]
    ece = [METRICS["ece"](y[test], m) for m in mixtures]
    loss = [METRICS["log_loss"](y[test], m) for m in mixtures]
    assert ece[0] < 0.5 * ece[1]
    assert loss[0] < loss[1]


@pytest.mark.parametrize("k", [2, 4])
def test_the_mean_of_honest_models_is_made_surer(k: int) -> None:
    """Models that each are calibrated but see different things are too shy together; a temperature after averaging
    leaves a third of that error, on fresh rows."""
    rng = np.random.default_rng(k)
    signal, n = rng.normal(size=(8, 6000, k)), 1500
    y = np.array([rng.choice(k, p=row) for row in softmax(signal.sum(axis=0))])
    alone = np.array([_honest(view, y, n) for view in signal])
    ensemble, plain = (b.fit(alone[:, :n], y[:n], "log_loss") for b in (GradientBuilder(), GreedyBuilder()))
    mixtures = [e.predict_proba(alone[e.rows][:, n:]) for e in (ensemble, plain)]
    ece = [METRICS["ece"](y[n:], m) for m in mixtures]
    assert ensemble.final is not None
    assert ece[0] < ece[1] / 3


def _honest(view: np.ndarray, y: np.ndarray, n: int) -> np.ndarray:
    """One model's predictions from what it sees, with the temperature that suits its first ``n`` rows."""
    scaling = fit("temperature", softmax(view[:n]), y[:n], "classification")
    assert scaling is not None
    return scaling(softmax(view)).astype(np.float32)


@pytest.mark.parametrize("k", [2, 5])
def test_does_not_overfit_with_eighty_models_and_few_rows(k: int) -> None:
    """With nothing to be learned (all models are equally good) it hardly does worse than their plain mean."""
    rng = np.random.default_rng(k)
    n = 2500
    y = rng.integers(0, k, n)
    p = softmax(rng.normal(size=(80, n, k)) * 0.5 + 1.0 * np.eye(k)[y] + rng.normal(size=(n, k))).astype(np.float32)
    ensemble = GradientBuilder().fit(p[:, :500], y[:500], "log_loss")
    ours = METRICS["log_loss"](y[500:], ensemble.predict_proba(p[ensemble.rows][:, 500:]))
    mean = METRICS["log_loss"](y[500:], p[:, 500:].astype(float).mean(axis=0))
    assert ours < 1.05 * mean
    assert ensemble.score == pytest.approx(ours, rel=0.15)


def test_reports_an_honest_score() -> None:
    """What it says of itself is what fresh rows say, on average over draws; greedy selection flatters itself."""
    gaps = []
    for seed in range(5):
        p, y = boastful(40, 2200, 3, seed)
        for builder in (GradientBuilder(), GreedyBuilder()):
            e = builder.fit(p[:, :200], y[:200], "log_loss")
            gaps.append(METRICS["log_loss"](y[200:], e.predict_proba(p[e.rows][:, 200:])) / e.score - 1)
    ours, greedy = np.mean(gaps[0::2]), np.mean(gaps[1::2])
    assert abs(ours) < 0.05
    assert greedy > 2 * abs(ours)


def test_returns_the_selection_where_nothing_is_to_be_learned() -> None:
    """If no iteration helps held-out rows, weights are those of greedy selection, and there are no calibrators."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 30)
    p = np.repeat(softmax(rng.normal(size=(1, 30, 2))).astype(np.float32), 3, axis=0)
    ensemble = GradientBuilder(prior=1e6, start="greedy").fit(p, y, "log_loss")
    assert ensemble.rows.tolist() == [0]
    assert ensemble.weights.tolist() == [1.0]
    if ensemble.path[0][1] <= min(loss for _, loss in ensemble.path):
        assert ensemble.calibrators == (None,)
        assert ensemble.final is None


@pytest.mark.parametrize("start", ["auto", "greedy", "uniform"])
def test_has_no_more_members_than_asked_for(start: str) -> None:
    """The others are dropped, and the weights of the rest sum to one."""
    p, y = models(30, 200)
    ensemble = GradientBuilder(start=start, size=4).fit(p, y, "log_loss")
    assert len(ensemble.members) <= 4
    assert ensemble.weights.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("k", [1, 2])
def test_regression_learns_maps_and_variances(k: int) -> None:
    """Models that are off by a factor and a shift are put right, and the variance is that of the errors."""
    p, y = numbers(8, 2400, k)
    p[:, :, 0] = 1.2 * p[:, :, 0] - 6
    ensemble, plain = (
        b.fit(p[:, :400], y[:400], "rmse") for b in (GradientBuilder(), GreedyBuilder(calibration="none"))
    )
    mixture = ensemble.combine(p[ensemble.rows][:, 400:])
    without = METRICS["rmse"](y[400:], plain.combine(p[plain.rows][:, 400:]))
    z = (y[400:] - mixture[:, 0]) / np.sqrt(mixture[:, 1])
    assert METRICS["rmse"](y[400:], mixture) < 0.7 * without
    assert 0.6 < z.std() < 1.2  # errors that have nothing in common average out, disagreement does not
    assert ensemble.score == pytest.approx(METRICS["rmse"](y[400:], mixture), rel=0.15)


def test_reports_the_metric_that_was_asked_for() -> None:
    """Whatever is minimised."""
    p, y = models()
    ensemble = GradientBuilder().fit(p, y, "accuracy")
    assert ensemble.metric == "accuracy"
    assert 0.5 < ensemble.score <= 1.0


def test_the_path_is_the_loss_of_held_out_rows_by_iteration() -> None:
    """Its lowest point is where the descent was stopped."""
    p, y = boastful(10, 400, 3)
    ensemble = GradientBuilder().fit(p, y, "log_loss")
    losses = [loss for _, loss in ensemble.path]
    assert min(losses) == pytest.approx(ensemble.score, rel=0.05)
    assert min(losses) < losses[0]


def test_auto_begins_with_all_models_if_they_state_no_probabilities() -> None:
    """Otherwise with a greedy selection."""
    p, y = models(20, 200, 3)
    hard = np.eye(3, dtype=np.float32)[p.argmax(axis=2)]
    for given, start in ((p, "greedy"), (hard, "uniform")):
        auto, wanted = (GradientBuilder(start=s).fit(given, y, "log_loss") for s in ("auto", start))
        assert auto.path == wanted.path


def test_predicted_classes_become_probabilities() -> None:
    """Models that state no probabilities are given some: fewer rows cost a fortune than with greedy selection."""
    losses = []
    for seed in range(5):
        p, y = models(20, 1000, 4, seed)
        hard = np.eye(4, dtype=np.float32)[p.argmax(axis=2)]
        for builder in (GradientBuilder(), GreedyBuilder()):
            e = builder.fit(hard[:, :60], y[:60], "log_loss")
            losses.append(METRICS["log_loss"](y[60:], e.predict_proba(hard[e.rows][:, 60:])))
    assert sum(losses[0::2]) < sum(losses[1::2])


def test_one_row_is_refused() -> None:
    """There is nothing to hold out."""
    p, y = models(3, 1)
    with pytest.raises(UsageError, match="one validation row"):
        GradientBuilder().fit(p, y, "log_loss")


def test_leaves_out_what_is_no_good() -> None:
    """Rows keep their numbers, and the problem is named."""
    p, y = models()
    broken = p.copy()
    broken[0] = np.nan
    ensemble = GradientBuilder().fit(broken, y, "log_loss")
    assert 0 not in ensemble.rows
    assert ensemble.problems[0].startswith("model 0: ")


@pytest.mark.parametrize(
    "options",
    [
        {"size": 0},
        {"start": "warm"},
        {"scaling": "isotonic"},
        {"prior": -1.0},
        {"prior": float("nan")},
        {"iterations": 0},
        {"folds": 1},
        {"seed": -1},
    ],
)
def test_refuses_options_that_make_no_sense(options: dict) -> None:
    """The message names the option."""
    with pytest.raises(UsageError, match=next(iter(options))):
        GradientBuilder(**options)
