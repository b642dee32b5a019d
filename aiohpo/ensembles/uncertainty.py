"""How sure an ensemble is, and why: total = aleatoric + epistemic.

*Aleatoric* is what every member agrees cannot be known (noise in the data), *epistemic* is what they disagree about
(more data would help). With weights w_i that sum to one:

    classification   H[Σ w_i p_i]  =  Σ w_i H[p_i]  +  mutual information             (entropies, in nats)
    regression       Var           =  Σ w_i σ_i²    +  Σ w_i (μ_i - Σ w_j μ_j)²       (law of total variance)

after Egele et al., AutoDEUQ, ICPR 2022 (arXiv 2110.13511), eq. 4 to 7. Whether it is of use is told by how well it
finds the errors (:func:`error_auroc`), and by how accuracy grows as the least certain are left out
(:func:`rejection_curve`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .metrics import Task, auc

if TYPE_CHECKING:
    from ..plugin import FloatArray
    from .calibrators import Calibrator


@dataclass(frozen=True, slots=True, eq=False)
class Uncertainty:
    """Per example (n,): nats for classification, the target's unit squared for regression."""

    total: FloatArray
    aleatoric: FloatArray
    epistemic: FloatArray

    def __repr__(self) -> str:
        means = ", ".join(f"{name} {getattr(self, name).mean():.3g}" for name in self.__slots__)
        return f"<Uncertainty of {len(self.total)} rows, on average: {means}>"


def decompose(predictions: FloatArray, weights: FloatArray, task: Task, final: Calibrator | None = None) -> Uncertainty:
    """Decompose the uncertainty of a weighted mixture.

    Args:
        predictions: (m, n, k) probabilities; for regression (m, n, 1 or 2) means and variances. Without variances
            nothing is aleatoric.
        weights: (m,), not negative, with sum one.
        task: "classification" or "regression".
        final: a calibrator of class probabilities that is applied after averaging. The total is then the entropy of
            what it makes of the mixture, and each part keeps its share of it.
    """
    mixture: FloatArray = np.zeros(predictions.shape[1:])
    aleatoric = np.zeros(predictions.shape[1])
    for w, p in zip(weights, predictions, strict=True):
        mixture += w * p
        if task == "classification":
            aleatoric += w * entropy(p)
    if task == "classification":
        # never negative but for rounding, where all agree
        epistemic = np.maximum(entropy(mixture) - aleatoric, 0.0)
        total = aleatoric + epistemic
        if final is None:
            return Uncertainty(total, aleatoric, epistemic)
        scale = entropy(final(mixture)) / np.where(total > 0, total, 1.0)
        return Uncertainty(total * scale, aleatoric * scale, epistemic * scale)
    epistemic = np.zeros_like(aleatoric)
    for w, mean in zip(weights, predictions[:, :, 0], strict=True):
        epistemic += w * np.square(mean - mixture[:, 0])
    if mixture.shape[1] == 2:
        aleatoric = mixture[:, 1]
    return Uncertainty(aleatoric + epistemic, aleatoric, epistemic)


def entropy(p: FloatArray) -> FloatArray:
    """Return the entropies (n,) of the rows of ``p`` (n, k), in nats."""
    p = np.asarray(p, dtype=np.float64)
    return np.asarray(-(p * np.log(np.where(p > 0, p, 1.0))).sum(axis=1))


def errors(y: Any, predictions: Any, task: Task) -> Any:
    """Return (n,) what counts as wrong: the wrong class; in regression the half with the larger errors."""
    if task == "classification":
        return predictions.argmax(axis=1) != y
    distance = np.abs(predictions[:, 0] - y)
    return distance > np.median(distance)


def error_auroc(uncertainty: Any, wrong: Any) -> float:
    """Return the probability that a row that is wrong is less certain than one that is right; NaN where all are the
    same."""
    return auc(wrong, uncertainty)


def rejection_curve(uncertainty: Any, quality: Any) -> tuple[FloatArray, FloatArray]:
    """Leave the least certain rows out, one after the other.

    Args:
        uncertainty: (n,)
        quality: (n,) what is averaged over the rows kept: 1 for right and 0 for wrong; or the squared error.

    Returns the share of rows left out, 0 to (n-1)/n, and the mean quality of those that are kept, both (n,).
    """
    kept = np.asarray(quality, dtype=np.float64)[np.argsort(np.asarray(uncertainty), kind="stable")]
    n = len(kept)
    means = np.cumsum(kept) / np.arange(1, n + 1)
    return np.arange(n) / n, means[::-1]
