"""Metrics of predictions: what ensembles are selected by, fitted to and reported with.

A prediction is an array with one row per example: for classification (n, k) class probabilities, for regression
(n, 1) means or (n, 2) means and variances. Targets are (n,) class indices 0 … k-1, or (n,) numbers.

    log_loss                mean of -log p(true class)                                        classification
    balanced_cross_entropy  the same with every class weighing equally                        classification
    accuracy                share of rows whose most probable class is the true one           classification
    balanced_accuracy       mean over classes of their share of hits (recall)                 classification
    roc_auc                 area under the ROC curve; of each class against the others        classification
                            and averaged where there are more than two
    brier                   mean squared distance to the indicator of the true class;         classification
                            halved for two classes, as is the custom
    ece                     expected calibration error of the most probable class:            classification
                            15 bins of equal width (Guo et al., ICML 2017)
    rmse, mae, r2           as usual, of the mean                                             regression
    nll                     -log of a normal density of that mean and variance                regression

Each knows its direction; any of scikit-learn's scorers can be used in their place.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import UsageError, listing

if TYPE_CHECKING:
    from ..plugin import FloatArray, IntArray

Task = Literal["classification", "regression"]

# A probability of zero for what happened would cost infinitely much. The resolution of float32, in which
# predictions are stored, is what can be told from zero; scikit-learn does the same.
SMALLEST = float(np.finfo(np.float32).eps)
BINS = 15


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that says how good predictions are.

    name      for people and for files
    task      what it is a metric of
    maximise  whether more is better
    function  ``function(y, predictions) -> float``
    """

    name: str
    task: Task
    maximise: bool
    function: Callable[[Any, Any], float]

    def __call__(self, y: Any, predictions: Any) -> float:
        """The metric, in its own sign; NaN where it is not defined (roc_auc of a single class)."""
        return float(self.function(np.asarray(y), np.asarray(predictions)))

    def loss(self, y: Any, predictions: Any) -> float:
        """The metric with the sign that makes lower better; infinite where it is not defined."""
        value = self(y, predictions)
        if not math.isfinite(value):
            return math.inf
        return -value if self.maximise else value

    def better(self, a: float, b: float) -> bool:
        """Whether value ``a`` is better than ``b``; anything is better than NaN."""
        return not math.isnan(a) and (math.isnan(b) or (a > b if self.maximise else a < b))

    def __repr__(self) -> str:
        return f"<Metric {self.name} of {self.task}, {'more' if self.maximise else 'less'} is better>"


def get_metric(spec: Any) -> Metric:
    """Return the metric named ``spec``, which may also be one of scikit-learn's scorers, or its name.

    Raises UsageError that lists what there is.
    """
    if isinstance(spec, Metric):
        return spec
    if isinstance(spec, str):
        return METRICS.get(spec) or _scorer(spec)
    if hasattr(spec, "_score_func") and callable(spec):
        return _of_scorer(spec, getattr(spec._score_func, "__name__", "scorer"))
    raise UsageError(
        f"{spec!r:.80} is not a metric: give a name ({listing(list(METRICS))}), a scikit-learn scorer or a Metric"
    )


# ---------------------------------------------------------------------------------------- classification
def true_class(y: IntArray, p: FloatArray) -> FloatArray:
    """Return (n,) the probability of the true class, not less than SMALLEST."""
    return np.asarray(np.clip(p[np.arange(len(y)), y], SMALLEST, None), dtype=np.float64)


def log_loss(y: IntArray, p: FloatArray) -> float:
    return float(-np.log(true_class(y, p)).mean())


def balanced_cross_entropy(y: IntArray, p: FloatArray) -> float:
    return _mean_over_classes(y, -np.log(true_class(y, p)))


def accuracy(y: IntArray, p: FloatArray) -> float:
    return float((p.argmax(axis=1) == y).mean())


def balanced_accuracy(y: IntArray, p: FloatArray) -> float:
    return _mean_over_classes(y, p.argmax(axis=1) == y)


def _mean_over_classes(y: IntArray, values: Any) -> float:
    """Average within each class that occurs, then over those classes."""
    count = np.bincount(y)
    return float((np.bincount(y, weights=values)[count > 0] / count[count > 0]).mean())


def roc_auc(y: IntArray, p: FloatArray) -> float:
    if p.shape[1] == 2:
        return auc(y == 1, p[:, 1])
    each = [auc(y == c, p[:, c]) for c in range(p.shape[1])]
    there = [a for a in each if not math.isnan(a)]  # a class that does not occur says nothing
    return float(np.mean(there)) if there else math.nan


def auc(positive: Any, score: Any) -> float:
    """Return the probability that a positive scores above a negative (Mann and Whitney's U; ties count a half); NaN
    if either does not occur."""
    positive = np.asarray(positive, dtype=bool)
    n, k = len(positive), int(positive.sum())
    if k in (0, n):
        return math.nan
    _, place, count = np.unique(np.asarray(score), return_inverse=True, return_counts=True)
    rank = np.cumsum(count) - (count - 1) / 2
    return float((rank[place][positive].sum() - k * (k + 1) / 2) / (k * (n - k)))


def brier(y: IntArray, p: FloatArray) -> float:
    p = np.asarray(p, dtype=np.float64)
    squares = np.square(p).sum(axis=1) - 2 * p[np.arange(len(y)), y] + 1
    return float(squares.mean() / (2 if p.shape[1] == 2 else 1))


def ece(y: IntArray, p: FloatArray) -> float:
    confidence, share, hits = reliability(y, p)
    return float((share * np.abs(confidence - hits)).sum())


def reliability(y: IntArray, p: FloatArray, bins: int = BINS) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return for each bin of confidence that has rows: mean confidence, share of the rows, and share of hits."""
    confidence = p.max(axis=1).astype(np.float64)
    bin_ = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    count = np.bincount(bin_, minlength=bins)
    there = count > 0
    sums = [np.bincount(bin_, weights=w, minlength=bins)[there] for w in (confidence, p.argmax(axis=1) == y)]
    return sums[0] / count[there], count[there] / len(y), sums[1] / count[there]


# -------------------------------------------------------------------------------------------- regression
def rmse(y: FloatArray, p: FloatArray) -> float:
    return math.sqrt(np.square(p[:, 0] - y).mean())


def mae(y: FloatArray, p: FloatArray) -> float:
    return float(np.abs(p[:, 0] - y).mean())


def r2(y: FloatArray, p: FloatArray) -> float:
    spread = float(np.square(y - y.mean()).mean())
    return 1.0 - float(np.square(p[:, 0] - y).mean()) / spread if spread else math.nan


def nll(y: FloatArray, p: FloatArray) -> float:
    if p.shape[1] < 2:
        raise UsageError(
            "nll needs variances: give predictions of two columns, mean and variance, or have them calibrated"
        )
    variance = np.maximum(p[:, 1].astype(np.float64), np.finfo(np.float64).tiny)
    with np.errstate(over="ignore"):  # certain and wrong: infinite
        return float(0.5 * (np.log(2 * np.pi * variance) + np.square(p[:, 0] - y) / variance).mean())


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("log_loss", "classification", False, log_loss),
        Metric("balanced_cross_entropy", "classification", False, balanced_cross_entropy),
        Metric("accuracy", "classification", True, accuracy),
        Metric("balanced_accuracy", "classification", True, balanced_accuracy),
        Metric("roc_auc", "classification", True, roc_auc),
        Metric("brier", "classification", False, brier),
        Metric("ece", "classification", False, ece),
        Metric("rmse", "regression", False, rmse),
        Metric("mae", "regression", False, mae),
        Metric("nll", "regression", False, nll),
        Metric("r2", "regression", True, r2),
    )
}


# ------------------------------------------------------------------------------------------ scikit-learn
def _scorer(name: str) -> Metric:
    from sklearn.metrics import get_scorer, get_scorer_names

    if name not in get_scorer_names():
        raise UsageError(
            f"there is no metric {name!r}; there are {listing(list(METRICS))}, and the scorers of scikit-learn "
            "(sklearn.metrics.get_scorer_names())"
        )
    return _of_scorer(get_scorer(name), name)


def _of_scorer(scorer: Any, name: str) -> Metric:
    """A scorer says "greater is better" by its sign: its value is always one to be maximised."""
    module = getattr(scorer._score_func, "__module__", "")
    task: Task = "regression" if module.endswith("_regression") else "classification"
    return Metric(name, task, True, partial(_score, scorer, task))


def _score(scorer: Any, task: Task, y: Any, p: Any) -> float:
    """Score an estimator that has learned nothing but to repeat ``p``."""
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

    class Classifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # untyped bases
        classes_ = np.arange(p.shape[1])

        def predict_proba(self, X: Any) -> Any:
            total = X.sum(axis=1, keepdims=True, dtype=np.float64)  # float32 rows do not quite sum to one
            return X / total

        def predict(self, X: Any) -> Any:
            return X.argmax(axis=1)

    class Regressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # untyped bases
        def predict(self, X: Any) -> Any:
            return X[:, 0]

    return float(scorer(Classifier() if task == "classification" else Regressor(), p, y))
