"""Tests of the top-k builder."""

from __future__ import annotations

import numpy as np
import pytest

from aiohpo.ensembles.metrics import METRICS
from aiohpo.errors import UsageError
from aiohpo.testing import check_ensemble
from aiohpo_plugins.ensembles.topk import TopKBuilder
from tests.support.ensemble_problems import models, numbers


@pytest.mark.parametrize("options", [{}, {"size": 4}, {"calibration": "temperature", "folds": 3}])
def test_keeps_what_a_builder_promises(options: dict) -> None:
    """With k given and chosen."""
    check_ensemble(lambda: TopKBuilder(**options), metrics=("log_loss", "rmse"))


def test_takes_the_best_with_equal_weights() -> None:
    """By the metric, in its direction."""
    p, y = models()
    for name in ("log_loss", "accuracy"):
        ensemble = TopKBuilder(size=3).fit(p, y, name)
        losses = [METRICS[name].loss(y, model) for model in p]
        assert sorted(ensemble.rows) == sorted(np.argsort(losses, kind="stable")[:3])
        assert ensemble.weights.tolist() == [1 / 3] * 3


def test_chooses_how_many_by_validation() -> None:
    """Of all k, the one whose ensemble has the least loss."""
    p, y = models(12, 200)
    ensemble = TopKBuilder().fit(p, y, "log_loss")
    scores = [TopKBuilder(size=k).fit(p, y, "log_loss").score for k in range(1, 13)]
    assert ensemble.score == min(scores)
    assert len(ensemble.members) == int(np.argmin(scores)) + 1
    assert [score for _, score in ensemble.path] == scores


def test_asking_for_more_than_there_are_takes_all() -> None:
    """It is no error."""
    p, y = models(3)
    assert len(TopKBuilder(size=9).fit(p, y, "log_loss").members) == 3


def test_calibrated_regression_knows_its_noise() -> None:
    """Means alone have no variance; calibrated they have the one that was seen, and nll can be asked for."""
    p, y = numbers(6, 400)
    plain = TopKBuilder(calibration="none").fit(p, y, "rmse")
    assert (plain.uncertainty(p[plain.rows]).aleatoric == 0).all()
    calibrated = TopKBuilder().fit(p, y, "nll")
    variance = calibrated.combine(p[calibrated.rows])[:, 1].mean()
    error = np.square(calibrated.predict(p[calibrated.rows]) - y).mean()
    assert 0.7 * error < variance < 5 * error  # of models whose errors have nothing in common, each with its own


@pytest.mark.parametrize("options", [{"size": 0}, {"size": True}, {"calibration": "x"}])
def test_refuses_options_that_make_no_sense(options: dict) -> None:
    """The message names the option."""
    with pytest.raises(UsageError, match=next(iter(options))):
        TopKBuilder(**options)
