"""Predictions of many models as ensemble builders want them, and what to do with those that are no good.

One model's mistake must not cost the ensemble: predictions that cannot be used are left out and named. What makes
sense of itself is put right silently: class probabilities of float16 that sum to 0.9996 are scaled, one column of
two-class probabilities gets its other, and whole numbers are taken for predicted classes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .metrics import Metric, Task

Predictions: TypeAlias = NDArray[np.floating[Any]]

# Rows of float16 softmax over a thousand classes were off by up to this; a row that is further off means something
# else. Deviations within it are scaled away.
TOLERANCE = 1e-2
_TOLD = 3  # problems, if all models have one: they mostly have the same


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """Predictions of those models that can be used.

    names        of the models, (m,)
    predictions  (m, n, k): float32 probabilities, or float64 numbers, whose spread may be small beside their size
    y            (n,) class indices, or numbers
    labels       the targets' own names of the classes 0 … k-1, where they are not just that
    problems     one line for each model that was left out: what is wrong with it
    """

    names: tuple[str, ...]
    predictions: Predictions
    y: Any
    labels: tuple[Any, ...] | None
    problems: tuple[str, ...]

    def __repr__(self) -> str:
        m, n, k = self.predictions.shape
        return f"<Library of {m} models, {n} rows, {k} columns; {len(self.problems)} left out>"


def gather(raw: Mapping[str, Any], y: Any, metric: Metric, like: Library | None = None) -> Library:
    """Make a library of arrays by model name; None stands for predictions that are lost.

    Args:
        raw: (n, k) or (n,) arrays by name.
        y: (n,) targets: numbers for regression; class indices or labels (in sorted order) for classification.
        metric: says which of the two it is.
        like: a library of other rows; classes and columns mean the same as there.

    Raises UsageError for targets that cannot be used, or if no predictions can be.
    """
    y = check_targets(y, metric.task)
    problems: list[str] = []
    shaped: dict[str, Any] = {}
    for name, values in raw.items():
        try:
            shaped[name] = _shaped(values, y, metric.task)
        except UsageError as error:
            problems.append(f"{name}: {error}")
    k = _columns(shaped, y, metric.task) if like is None else like.predictions.shape[2]
    arrays: dict[str, Predictions] = {}
    for name, values in shaped.items():
        try:
            arrays[name] = usable(_one_hot(values, k) if values.ndim == 1 else values, len(y), k, metric.task)
        except UsageError as error:
            problems.append(f"{name}: {error}")
    if not arrays:
        raise UsageError(unusable(problems))
    if metric.task == "regression":
        indices, labels = y, None
    elif like is None or like.labels is None:
        indices, labels = encode_targets(y, k)
    else:
        indices, labels = _look_up(y, like.labels), like.labels
    return Library(tuple(arrays), np.stack(list(arrays.values())), indices, labels, tuple(sorted(problems)))


def task_of(y: Any, predictions: Iterable[Any] = ()) -> Task:
    """Say what targets and predictions look like: classes, or numbers.

    Text and truth values are classes. For numbers most predictions decide, so that one bad model does not do it for
    all. Where they do not, targets that are not whole are numbers.
    """
    y = np.asarray(y)
    if y.dtype.kind not in "iuf":
        return "classification"
    few = len(np.unique(y)) <= 2
    votes = Counter(_suggests(np.asarray(p), len(y), few) for p in predictions)
    if votes["classification"] != votes["regression"]:
        return "classification" if votes["classification"] > votes["regression"] else "regression"
    return "classification" if bool((y == np.round(y)).all()) else "regression"


def _suggests(p: Any, n: int, few: bool) -> Task | None:
    """Say what one model's predictions of ``n`` rows look like, None if they are no good or could be either.

    Rows of several columns that sum to one are probabilities, two others are a mean and a variance. A column of
    fractions is one of probabilities only if there are a ``few`` values to predict, no more than two.
    """
    if p.ndim not in (1, 2) or p.dtype.kind not in "iuf" or len(p) != n or not p.size or not np.isfinite(p).all():
        return None
    if p.ndim == 2 and p.shape[1] > 1:
        if np.median(np.abs(p.sum(axis=1, dtype=np.float64) - 1.0)) <= TOLERANCE:
            return "classification"
        return "regression" if p.shape[1] == 2 else None
    if p.dtype.kind != "f":
        return None
    return "classification" if few and p.min() >= 0 and p.max() <= 1 else "regression"


def unusable(problems: Sequence[str]) -> str:
    """What to say if all predictions have problems: the first few of them."""
    more = f"\n  and {len(problems) - _TOLD} more" if len(problems) > _TOLD else ""
    return "no predictions can be used:" + "".join(f"\n  {problem}" for problem in problems[:_TOLD]) + more


def check_targets(y: Any, task: Task) -> Any:
    """Return the targets as an array (n,). Raises UsageError if they are missing or of no use."""
    if y is None:
        raise UsageError("targets are missing: an ensemble needs the true values of the rows that were predicted")
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or not len(y):
        raise UsageError(f"targets have shape {y.shape}; expected one value per row, (n,)")
    if task == "regression":
        try:
            y = y.astype(np.float64)
        except (TypeError, ValueError):
            raise UsageError(f"targets of type {y.dtype} are not numbers, which regression needs") from None
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise UsageError(f"targets have {int((~np.isfinite(y)).sum())} values that are not finite")
    if y.dtype.kind not in "biufUS":
        raise UsageError(f"targets are of type {y.dtype}; give numbers or text")
    return y


def encode_targets(y: Any, k: int) -> tuple[Any, tuple[Any, ...] | None]:
    """Return class indices (n,) and the classes' labels, None if the targets are such indices already.

    Classes may be absent. Labels are taken in sorted order, as scikit-learn does. Raises UsageError if there are
    more of them than ``k``, the columns of the predictions, or fewer, so that they cannot be matched.
    """
    if y.dtype.kind == "b":
        y = y.astype(np.int64)
    whole = y.dtype.kind in "iu" or (y.dtype.kind == "f" and bool((y == np.round(y)).all()))
    if whole and y.min() >= 0 and y.max() < k:
        return y.astype(np.int64), None
    labels, indices = np.unique(y, return_inverse=True)
    if len(labels) != k:
        raise UsageError(
            f"targets have {len(labels)} classes and predictions {k} columns, so it is unclear which column is which "
            f"class: give targets as column numbers, 0 to {k - 1}"
        )
    return indices.astype(np.int64), tuple(labels.tolist())


def _look_up(y: Any, labels: tuple[Any, ...]) -> Any:
    places = {label: i for i, label in enumerate(labels)}
    unknown = sorted({str(label) for label in y.tolist() if label not in places})
    if unknown:
        raise UsageError(f"targets have classes that the validation rows do not have: {', '.join(unknown[:5])}")
    return np.array([places[label] for label in y.tolist()], dtype=np.int64)


def usable(values: Any, n: int, k: int, task: Task) -> Predictions:
    """Return one model's predictions as (n, k), float32 probabilities or float64 numbers, put right where that is
    safe. Raises UsageError that says what is wrong."""
    p: Predictions = np.asarray(values, dtype=np.float64 if task == "regression" else np.float32)
    if p.ndim != 2 or len(p) != n:
        raise UsageError(f"predictions have shape {p.shape}; expected {n} rows, as there are targets")
    if p.shape[1] != k:
        raise UsageError(f"{p.shape[1]} columns where the others have {k}")
    good = np.isfinite(p).all(axis=1)
    if not good.all():
        raise UsageError(
            f"{int((~good).sum())} of {n} rows have NaN or infinite values, the first is row {good.argmin()}"
        )
    if task == "regression":
        if k == 2 and (p[:, 1] < 0).any():
            raise UsageError(f"variances are negative in {int((p[:, 1] < 0).sum())} of {n} rows")
        return p
    if (p < 0).any():
        raise UsageError(f"probabilities are negative in {int((p < 0).any(axis=1).sum())} of {n} rows")
    total = p.sum(axis=1, dtype=np.float64)
    off = np.abs(total - 1.0)
    if off.max() > TOLERANCE:
        worst = int(off.argmax())
        raise UsageError(
            f"rows do not sum to one ({int((off > TOLERANCE).sum())} of {n}; row {worst} sums to {total[worst]:.4g}): "
            "give probabilities"
        )
    return np.asarray(p / total[:, None], dtype=np.float32) if off.max() > 1e-6 else p


def _shaped(values: Any, y: Any, task: Task) -> Any:
    """Return (n, k), or (n,) of predicted classes."""
    if values is None:
        raise UsageError("its predictions are lost")
    values = np.asarray(values)
    if values.dtype.kind not in "biuf":
        raise UsageError(f"predictions of type {values.dtype} are not numbers")
    if values.ndim not in (1, 2) or not values.size:
        raise UsageError(f"predictions have shape {values.shape}; expected one row per example")
    if len(values) != len(y):
        raise UsageError(f"{len(values)} rows of predictions for {len(y)} targets")
    if task == "regression":
        values = values[:, None] if values.ndim == 1 else values
        if values.shape[1] > 2:
            raise UsageError(f"{values.shape[1]} columns; regression has means, and variances if there are any")
        return values
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 1 and values.dtype.kind == "f":
        return np.stack([1.0 - values, values], axis=1)
    return values


def _columns(shaped: Mapping[str, Any], y: Any, task: Task) -> int:
    """Return the number of columns that most models have (the most, where as many have one as another)."""
    counts = Counter(values.shape[1] for values in shaped.values() if values.ndim == 2)
    if counts:
        return int(max(counts, key=lambda k: (counts[k], k)))
    if task == "regression":
        return 1
    highest = max((int(values.max()) for values in shaped.values()), default=0)  # all are predicted classes
    if y.dtype.kind in "biu":
        highest = max(highest, int(y.max()))
    return max(highest + 1, 2)


def _one_hot(values: Any, k: int) -> NDArray[np.float32]:
    classes = values.astype(np.int64)
    if classes.min() < 0 or classes.max() >= k:
        raise UsageError(f"predicted classes range from {classes.min()} to {classes.max()}, but there are {k}")
    return np.asarray(np.eye(k, dtype=np.float32)[classes])
