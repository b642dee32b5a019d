"""The surrogates of the baselines, as the literature has them: a forest of 100 trees, and an exact Gaussian process.

Both learn from all observations. ``rows`` bounds what is really computed where thousands of workers would make that
unaffordable here: the best quarter and a random sample of the others. Costs are charged for all of them nevertheless
(:mod:`.manager_costs`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.spatial.distance import cdist

from aiohpo import Float, Space
from aiohpo_plugins.searchers.adbo.forest import Forest

Array = NDArray[np.float64]

CANDIDATES = 10_000  # the paper's, uniform
_TREES = 100
_LENGTHS = (0.1, 0.2, 0.4, 0.8)  # of which the likeliest is taken, in parts of the space
_NOISE = 1e-4
_LIKELIHOOD_ROWS = 300


class Surrogate(Protocol):
    """A model that was fitted to points of the unit cube."""

    def predict(self, X: Array) -> tuple[Array, Array]:
        """Return mean and standard deviation, (n,) each, at ``X`` (n, d)."""
        ...


class PaperForest:
    """100 randomised trees; the variance is that between the trees and that within the leaves."""

    def __init__(self, X: Array, y: Array, rng: np.random.Generator, rows: int) -> None:
        space = Space(**{f"x{i}": Float(0.0, 1.0) for i in range(X.shape[1])})
        self._forest = Forest(space, X, y, rng, trees=_TREES, max_features=X.shape[1], rotate=False, rows=rows)

    def predict(self, X: Array) -> tuple[Array, Array]:
        prediction = self._forest.predict(X)
        return np.asarray(prediction.mean), np.asarray(prediction.std)


class ExactProcess:
    """A Gaussian process with a Matérn-5/2 kernel of one length scale, the likeliest of four."""

    def __init__(self, X: Array, y: Array, rng: np.random.Generator, rows: int) -> None:
        if len(X) > rows:
            order, best = np.argsort(y), rows // 4
            chosen = np.concatenate([order[:best], rng.choice(order[best:], rows - best, replace=False)])
            X, y = X[chosen], y[chosen]
        self._mean, self._scale = float(y.mean()), float(y.std()) or 1.0
        z = (y - self._mean) / self._scale
        some = rng.permutation(len(X))[:_LIKELIHOOD_ROWS]
        self._length = max(_LENGTHS, key=lambda length: _log_likelihood(X[some], z[some], length))
        self._X = X
        self._factor = cholesky(_matern(X, X, self._length) + _NOISE * np.eye(len(X)), lower=True)
        self._weights = cho_solve((self._factor, True), z)

    def predict(self, X: Array) -> tuple[Array, Array]:
        cross = _matern(self._X, X, self._length)
        half = solve_triangular(self._factor, cross, lower=True)
        variance = np.maximum(1.0 - np.einsum("ij,ij->j", half, half), 1e-12)
        return self._mean + self._scale * (cross.T @ self._weights), self._scale * np.sqrt(variance)


MODELS: dict[str, Callable[[Array, Array, np.random.Generator, int], Surrogate]] = {
    "forest": PaperForest,
    "gp": ExactProcess,
}


def _matern(A: Array, B: Array, length: float) -> Array:
    r = np.sqrt(5.0) * cdist(A, B) / length
    return np.asarray((1.0 + r + r * r / 3.0) * np.exp(-r))


def _log_likelihood(X: Array, z: Array, length: float) -> float:
    factor = cholesky(_matern(X, X, length) + _NOISE * np.eye(len(X)), lower=True)
    return float(-0.5 * z @ cho_solve((factor, True), z) - np.log(np.diag(factor)).sum())
