"""An ensemble builder for aiohpo: weights of greatest likelihood.

The likelihood of a mixture Σ_i w_i p_i(y | x) over validation rows is a concave function of the weights. Expectation
maximisation climbs it without a step size: each weight becomes its model's mean share in what was predicted,

    w_i <- mean over rows of  w_i p_i(y | x) / Σ_j w_j p_j(y | x)

(Dempster, Laird and Rubin, 1977). Stopping early leaves some weight to every model, which is a kind of prior.
"""

from __future__ import annotations

import numpy as np

from aiohpo.ensembles.ensemble import Ensemble, Member
from aiohpo.ensembles.metrics import true_class
from aiohpo.plugin import Options


class MixtureBuilder:
    """Weigh models by expectation maximisation.

    Args:
        size: at most so many members: those with the largest weights.
        iterations: how often weights are updated.

    Raises ValueError for values that are out of range.
    """

    def __init__(self, *, size: int = 25, iterations: int = 100) -> None:
        options = Options("mixture")
        self.size = options.whole("size", size, least=1)
        self.iterations = options.whole("iterations", iterations, least=1)

    def fit(self, predictions, y, metric) -> Ensemble:
        """Return the ensemble. Raises ValueError for regression."""
        if metric.task != "classification":
            raise ValueError("mixture weighs class probabilities; for regression use greedy or gradient")
        likelihood = np.stack([true_class(y, model) for model in predictions])
        weights = np.full(len(likelihood), 1 / len(likelihood))
        for _ in range(self.iterations):
            shares = weights[:, None] * likelihood
            weights = (shares / shares.sum(axis=0)).mean(axis=1)
        rows = np.argsort(-weights, kind="stable")[: self.size]
        rows = np.sort(rows[weights[rows] > 1e-6])
        weights = weights[rows] / weights[rows].sum()
        mixture = sum(w * np.asarray(predictions[row], dtype=np.float64) for w, row in zip(weights, rows, strict=True))
        return Ensemble(
            task="classification",
            members=tuple(Member(int(row)) for row in rows),
            weights=weights,
            calibrators=(None,) * len(rows),
            metric=metric.name,
            score=metric(y, mixture),
            columns=predictions.shape[2],
            builder="mixture",
        )

    def __repr__(self) -> str:
        return f"<MixtureBuilder size {self.size}, iterations {self.iterations}>"
