"""The models that a builder was given: checked one by one, so that a memory map is never read at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aiohpo.ensembles.predictions import check_targets, encode_targets, unusable, usable
from aiohpo.errors import UsageError

if TYPE_CHECKING:
    from aiohpo.ensembles.metrics import Metric


class Models:
    """Predictions (m, n, k), or (m, n) of two classes or of means, of which some may be no good.

    metric    what they will be judged by, and its task, "classification" or "regression"
    k         columns
    y         (n,) class indices or numbers
    rows      those that can be used
    problems  a line for each that cannot

    Raises UsageError if none can, or if the targets cannot.
    """

    def __init__(self, predictions: Any, y: Any, metric: Metric) -> None:
        shape = np.shape(predictions)
        if len(shape) not in (2, 3) or 0 in shape:
            raise UsageError(
                f"predictions have shape {shape}; expected (models, rows, classes), or for regression "
                "(models, rows, 1 or 2), with at least one of each"
            )
        self._predictions, self.metric, self.task = predictions, metric, metric.task
        columns = shape[2] if len(shape) == 3 else 1
        self._pairs = metric.task == "classification" and columns == 1  # the probability of the second class
        self.k = 2 if self._pairs else columns
        if metric.task == "regression" and self.k > 2:
            raise UsageError(f"regression has one column of means, or two with variances, not {self.k}")
        y = check_targets(y, metric.task)
        self.y = encode_targets(y, self.k)[0] if metric.task == "classification" else y
        self.rows: list[int] = []
        problems: list[str] = []
        self._right: set[int] = set()  # models that need not be checked, or put right, again
        for row in range(shape[0]):
            try:
                p = self[row]
            except UsageError as error:
                problems.append(f"model {row}: {error}")
            else:
                self.rows.append(row)
                if np.may_share_memory(p, self._predictions[row]):
                    self._right.add(row)
        self.problems = tuple(problems)
        if not self.rows:
            raise UsageError(unusable(problems))

    def __getitem__(self, row: int) -> NDArray[Any]:
        """One model's predictions (n, k): float32 probabilities, or float64 numbers."""
        p = np.asarray(self._predictions[row], dtype=np.float64 if self.task == "regression" else np.float32)
        if p.ndim == 1:
            p = p[:, None]
        if row in self._right:
            return p
        if self._pairs:
            p = np.concatenate([1.0 - p, p], axis=1)
        return usable(p, len(self.y), self.k, self.task)

    def __repr__(self) -> str:
        return f"<Models: {len(self.rows)} of {len(self.y)} rows, {self.k} columns; {len(self.problems)} left out>"
