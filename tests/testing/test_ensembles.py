"""The ensemble builders' conformance check accepts a good builder and names what a bad one violates."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aiohpo.ensembles.calibrators import Scaling, number
from aiohpo.ensembles.ensemble import Ensemble, Member
from aiohpo.testing import check_ensemble, example_libraries


class Good:
    """Take the best three."""

    def fit(self, predictions: Any, y: Any, metric: Any) -> Ensemble:
        losses = [metric.loss(y, p) for p in predictions]
        rows = np.argsort(losses, kind="stable")[:3].tolist()
        return Ensemble(
            metric.task,
            tuple(Member(row) for row in rows),
            np.full(len(rows), 1 / len(rows)),
            (None,) * len(rows),
            metric.name,
            metric(y, predictions[rows[0]]),
            predictions.shape[2],
        )


class GoodLive(Good):
    """Keep everything and fit."""

    def live(self, y: Any, metric: Any) -> Any:
        builder = self

        class Live:
            def __init__(self) -> None:
                self.models: dict[Any, Any] = {}

            def add(self, key: Any, predictions: Any) -> None:
                self.models[key] = predictions

            def discard(self, key: Any) -> None:
                self.models.pop(key, None)

            def fit(self) -> Any:
                keys = self.order()
                return builder.fit(np.stack([self.models[key] for key in keys]), y, metric), keys

            def order(self) -> list[Any]:
                return sorted(self.models)

        return Live()


class Changed(Good):
    """A good ensemble with something done to it."""

    def __init__(self, **changes: Any) -> None:
        self.changes = changes

    def fit(self, predictions: Any, y: Any, metric: Any) -> Ensemble:
        return replace(super().fit(predictions, y, metric), **self.changes)


class Worst(Good):
    def fit(self, predictions: Any, y: Any, metric: Any) -> Ensemble:
        worst = int(np.argmax([metric.loss(y, p) for p in predictions]))
        return replace(
            super().fit(predictions, y, metric), members=(Member(worst),), weights=np.ones(1), calibrators=(None,)
        )


class Twice(Good):
    def fit(self, predictions: Any, y: Any, metric: Any) -> Ensemble:
        return replace(super().fit(predictions, y, metric), members=(Member(0),) * min(len(predictions), 3))


class Outside(Good):
    def fit(self, predictions: Any, y: Any, metric: Any) -> Ensemble:
        made = super().fit(predictions, y, metric)
        return replace(made, members=tuple(Member(m.row + 1) for m in made.members))


class Moody(Good):
    def fit(self, predictions: Any, y: Any, metric: Any) -> Ensemble:
        made = super().fit(predictions, y, metric)
        weights = np.random.default_rng().random(len(made.members))
        return replace(made, weights=weights / weights.sum())


class Meddles(Good):
    def fit(self, predictions: Any, y: Any, metric: Any) -> Ensemble:
        made = super().fit(predictions, y, metric)
        if predictions.flags.writeable:
            predictions[0, 0] = 0.5
        return made


class GlobalRandom(Good):
    def fit(self, predictions: Any, y: Any, metric: Any) -> Ensemble:
        random.random()
        return super().fit(predictions, y, metric)


class NeedsMany(Good):
    def fit(self, predictions: Any, y: Any, metric: Any) -> Ensemble:
        if len(predictions) == 1:
            raise RuntimeError("too few")
        return super().fit(predictions, y, metric)


class Explodes(Good):
    def fit(self, predictions: Any, y: Any, metric: Any) -> Ensemble:
        made = super().fit(predictions, y, metric)
        broken = Scaling(number(np.nan), np.zeros(predictions.shape[2]))
        return replace(made, calibrators=(broken,) * len(made.members))


class ByArrival(GoodLive):
    def live(self, y: Any, metric: Any) -> Any:
        made = super().live(y, metric)
        made.order = lambda: list(made.models)
        return made


class Remembers(GoodLive):
    def live(self, y: Any, metric: Any) -> Any:
        made = super().live(y, metric)
        made.discard = lambda key: None
        return made


class Refuses(Good):
    def __init__(self, message: str) -> None:
        self.message = message

    def fit(self, predictions: Any, y: Any, metric: Any) -> Ensemble:
        raise ValueError(self.message)


METRICS = ("log_loss",)


@pytest.mark.parametrize("factory", [Good, GoodLive])
def test_accepts_a_good_builder(factory: Any) -> None:
    """With and without a live ensemble."""
    check_ensemble(factory, metrics=("log_loss", "accuracy", "rmse"))


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (Worst, "the median model has"),
        (Twice, "has a member twice"),
        (Outside, "members that were not given"),
        (Moody, "another ensemble the second time"),
        (Meddles, "changed its arguments"),
        (GlobalRandom, "used the global random state"),
        (NeedsMany, "a single model raised"),
        (Explodes, "not finite"),
        (ByArrival, "live\\(\\) of two classes by log_loss: keys"),
        (Remembers, "live\\(\\) of two classes by log_loss: keys"),
        (lambda: Changed(score=float("nan")), "has score nan"),
        (lambda: Changed(metric="other"), "says that its metric is 'other'"),
        (lambda: Changed(task="regression"), "an ensemble for regression"),
        (lambda: Refuses("I only do auctions"), "serves none of the metrics"),
        (lambda: Refuses(""), "without saying why"),
        (object, "lacks fit"),
    ],
)
def test_names_what_a_bad_builder_violates(factory: Any, message: str) -> None:
    """Each violation is found, and the message tells which it is."""
    with pytest.raises(AssertionError, match=message):
        check_ensemble(factory, metrics=METRICS)


def test_a_metric_that_is_refused_is_skipped() -> None:
    """A builder for classification only is fine."""

    class ClassesOnly(Good):
        def fit(self, predictions: Any, y: Any, metric: Any) -> Ensemble:
            if metric.task == "regression":
                raise ValueError("give class probabilities")
            return super().fit(predictions, y, metric)

    check_ensemble(ClassesOnly, metrics=("log_loss", "rmse"))


def test_example_libraries_have_good_and_bad_models() -> None:
    """They are the same every time, and the best model is much better than the worst."""
    for problem, again in zip(example_libraries(), example_libraries(), strict=True):
        assert np.array_equal(problem.valid, again.valid)
        losses = [problem.metric.loss(problem.y_test, p) for p in problem.test]
        assert max(losses) - min(losses) > 0.1
