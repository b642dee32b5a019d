"""Pools of candidates: what would the loss be if this model were added to that selection?

A selection is a multiset S of models; its prediction is their mean. Greedy selection asks for the loss of S + {j} for
every j, dozens of times. What is kept of each model, and how that is answered, depends on the metric:

    log_loss, balanced_cross_entropy   only the probability of the true class matters: n numbers per model
    brier, rmse, r2                    with residuals r_j = p_j - target the squared error of S + {j}, N models, is
                                       (q + 2 g_j + G_jj) / (N+1)², where G = R Rᵀ/n, g_j = Σ_{i∈S} G_ij and
                                       q = Σ_{i∈S} g_i: a number per model, once the rows of G that S needs are known
    any other                          predictions are mixed and the metric is asked

Models live in *slots*, which are reused. A model's loss never depends, not even in its last bit, on what else is
asked or in the pool: sums run along a model's own row, and never through BLAS, whose order of summation depends on
the shape. That is what makes an ensemble that grew model by model the same as one built at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from aiohpo.ensembles.metrics import SMALLEST, Metric

if TYPE_CHECKING:
    from aiohpo.plugin import FloatArray, IntArray

Single = NDArray[np.float32]
_FOLD = 16  # so many probabilities are multiplied before a logarithm is taken
_CACHE = 1 << 17  # numbers worked on at a time: they should fit into the second-level cache


class SelectionPool(Protocol):
    """Candidates under one metric. A state is what is known of a selection; states are never changed."""

    def reserve(self, size: int) -> None:
        """Expect ``size`` models, so that memory is not taken twice on the way there."""
        ...

    def put(self, slot: int, predictions: FloatArray) -> None:
        """Keep what is needed of a model (n, k); ``slot`` is at most one beyond those in use."""
        ...

    def start(self) -> Any:
        """The state of the empty selection."""
        ...

    def extend(self, state: Any, slot: int) -> Any:
        """The state of a selection with one more model."""
        ...

    def losses(self, state: Any, slots: IntArray) -> FloatArray:
        """The losses (len(slots),) of the selection with each of those models added."""
        ...


def pool_for(y: Any, k: int, metric: Metric) -> SelectionPool:
    """Return the fastest pool for targets ``y`` (n,), predictions of ``k`` columns, and a metric."""
    if metric.name in ("log_loss", "balanced_cross_entropy") and metric.task == "classification":
        return TrueClassPool(y, balanced=metric.name != "log_loss")
    if metric.name in ("brier", "rmse", "r2"):
        return SquaresPool(y, k, metric)
    return AnyPool(y, metric)


class _Rows:
    """Rows that grow in number, of float32 unless numbers of any magnitude are kept."""

    def __init__(self, width: int, dtype: type[np.floating[Any]] = np.float32) -> None:
        self.array: NDArray[Any] = np.empty((0, width), dtype=dtype)

    def __setitem__(self, slot: int, row: FloatArray) -> None:
        if slot >= len(self.array):
            self.reserve(max(2 * slot, 16))
        self.array[slot] = row

    def reserve(self, size: int) -> None:
        if size > len(self.array):
            old = self.array
            self.array = np.empty((size, old.shape[1]), dtype=old.dtype)
            self.array[: len(old)] = old


# --------------------------------------------------------------------------------------------- log-loss
@dataclass(frozen=True, slots=True)
class _Sum:
    """A sum of rows."""

    total: Any
    count: int


class TrueClassPool:
    """Mean of -log of the mean probability of the true class; over rows, or over classes and within each over rows.

    A logarithm costs as much as dozens of multiplications, so 16 probabilities are multiplied before one is taken:
    four in single precision, where SMALLEST**4 is still well above zero, and four such products in double.
    Rows are sorted into blocks of equal weight, which are filled up with ones; a one stays one in every mean.
    """

    def __init__(self, y: IntArray, *, balanced: bool) -> None:
        order = np.argsort(y, kind="stable") if balanced else np.arange(len(y))
        sizes = np.unique(y, return_counts=True)[1] if balanced else np.array([len(y)])
        padded = -(-sizes // _FOLD) * _FOLD
        ends, padded_ends = np.cumsum(sizes), np.cumsum(padded)
        self._weights = 1.0 / (len(sizes) * sizes)
        self._mass = float((self._weights * padded).sum())
        self._blocks = [slice(e - p, e) for p, e in zip(padded, padded_ends, strict=True)]
        self._where = np.arange(len(y)) + np.repeat(padded_ends - padded - ends + sizes, sizes)
        self._order, self._labels = order, y[order]
        self._width = int(padded_ends[-1])
        self._rows = _Rows(self._width)

    def reserve(self, size: int) -> None:
        self._rows.reserve(size)

    def put(self, slot: int, predictions: FloatArray) -> None:
        row = np.ones(self._width, dtype=np.float32)
        row[self._where] = np.maximum(predictions[self._order, self._labels], SMALLEST)
        self._rows[slot] = row

    def start(self) -> _Sum:
        return _Sum(np.zeros(self._width, dtype=np.float32), 0)

    def extend(self, state: _Sum, slot: int) -> _Sum:
        return _Sum(state.total + self._rows.array[slot], state.count + 1)

    def losses(self, state: _Sum, slots: IntArray) -> FloatArray:
        found = np.empty(len(slots))
        step = max(_CACHE // self._width, 1)
        for first in range(0, len(slots), step):
            some = slots[first : first + step]
            found[first : first + step] = self._some(self._rows.array[some] + state.total)
        return found + self._mass * np.log(state.count + 1)  # the denominators of all means, filling included

    def _some(self, total: Single) -> FloatArray:
        loss = np.zeros(len(total))
        for block, weight in zip(self._blocks, self._weights, strict=True):
            product = _halve(_halve(total[:, block]))
            product = _halve(_halve(product.astype(np.float64)))
            loss -= weight * np.log(product).sum(axis=1)
        return loss


def _halve(x: Any) -> Any:
    """Multiply the first half of the columns with the second."""
    half = x.shape[1] // 2
    return x[:, :half] * x[:, half:]


# ---------------------------------------------------------------------------------------- squared errors
@dataclass(frozen=True, slots=True)
class _Gram:
    """Counts of a selection's models in the order in which they first came, and q."""

    counts: dict[int, int]
    square: float
    count: int


class SquaresPool:
    """Squared errors: of numbers, or of probabilities (of the second class only, where there are two)."""

    def __init__(self, y: Any, k: int, metric: Metric) -> None:
        self._y, self._k, self._metric = y, k, metric
        self._probabilities = metric.task == "classification"
        width = len(y) * (k if self._probabilities and k > 2 else 1)
        self._rows = _Rows(width, np.float32 if self._probabilities else np.float64)
        self._gram: dict[int, FloatArray] = {}  # rows of G; NaN where not asked for yet
        self._diagonal: dict[int, float] = {}
        self._variance = 0.0 if self._probabilities else float(np.square(y - y.mean()).mean())

    def reserve(self, size: int) -> None:
        self._rows.reserve(size)

    def put(self, slot: int, predictions: FloatArray) -> None:
        if not self._probabilities:
            residual = predictions[:, 0] - self._y
        elif self._k == 2:
            residual = predictions[:, 1] - self._y
        else:
            residual = np.array(predictions, dtype=np.float32)
            residual[np.arange(len(self._y)), self._y] -= 1.0
        self._rows[slot] = residual.ravel()
        self._diagonal[slot] = float(np.square(self._rows.array[slot]).sum()) / len(self._y)
        self._gram.pop(slot, None)
        for row in self._gram.values():
            if slot < len(row):
                row[slot] = np.nan

    def start(self) -> _Gram:
        return _Gram({}, 0.0, 0)

    def extend(self, state: _Gram, slot: int) -> _Gram:
        square = state.square + 2 * float(self._products(state, np.array([slot]))[0]) + self._diagonal[slot]
        counts = {**state.counts, slot: state.counts.get(slot, 0) + 1}
        return _Gram(counts, square, state.count + 1)

    def losses(self, state: _Gram, slots: IntArray) -> FloatArray:
        own = np.array([self._diagonal[int(slot)] for slot in slots])
        mean = (state.square + 2 * self._products(state, slots) + own) / (state.count + 1) ** 2
        mean = np.maximum(mean, 0.0)  # rounding
        if self._probabilities:
            return mean
        if self._metric.name == "rmse":
            return np.sqrt(mean)
        return mean / self._variance - 1.0 if self._variance else np.full(len(mean), np.inf)

    def _products(self, state: _Gram, slots: IntArray) -> FloatArray:
        """g_j of the selection for some j."""
        g = np.zeros(len(slots))
        for slot, count in state.counts.items():
            g += count * self._row(slot, slots)
        return g

    def _row(self, slot: int, slots: IntArray) -> FloatArray:
        """Some elements of a row of G."""
        rows = self._rows.array
        known = self._gram.get(slot)
        if known is None or len(known) < len(rows):
            old, known = known, np.full(len(rows), np.nan)
            if old is not None:
                known[: len(old)] = old
            self._gram[slot] = known
        missing = slots[np.isnan(known[slots])]
        step = max(_CACHE // rows.shape[1], 1)
        for first in range(0, len(missing), step):
            some = missing[first : first + step]
            known[some] = (rows[some] * rows[slot]).sum(axis=1) / len(self._y)
        return known[slots]


# -------------------------------------------------------------------------------------------- any metric
class AnyPool:
    """A metric that is only known as a function."""

    def __init__(self, y: Any, metric: Metric) -> None:
        self._y, self._metric = y, metric
        self._models: dict[int, Any] = {}
        # second moments are taken about this: about zero, numbers around 1e9 would leave nothing of a variance of 1
        self._centre = float(y.mean()) if metric.task == "regression" else 0.0

    def reserve(self, size: int) -> None:
        pass

    def put(self, slot: int, predictions: FloatArray) -> None:
        if self._metric.task == "regression":
            predictions = _moments(predictions, self._centre)
        self._models[slot] = predictions

    def start(self) -> _Sum:
        return _Sum(0.0, 0)

    def extend(self, state: _Sum, slot: int) -> _Sum:
        return _Sum(state.total + np.asarray(self._models[slot], dtype=np.float64), state.count + 1)

    def losses(self, state: _Sum, slots: IntArray) -> FloatArray:
        return np.array([self._loss(self.extend(state, int(slot))) for slot in slots])

    def _loss(self, state: _Sum) -> float:
        mean = state.total / state.count
        if self._metric.task == "regression":
            if mean.shape[1] == 2:
                mean[:, 1] -= np.square(mean[:, 0])
            mean[:, 0] += self._centre
        return self._metric.loss(self._y, mean)


def _moments(predictions: FloatArray, centre: float) -> FloatArray:
    """Return means and second moments about ``centre``, which a mixture averages, of means and variances, or of means
    alone."""
    p = np.array(predictions, dtype=np.float64)
    p[:, 0] -= centre
    if p.shape[1] == 2:
        p[:, 1] += np.square(p[:, 0])
    return p
