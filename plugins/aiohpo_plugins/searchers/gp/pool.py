"""Prepared suggestions: what a fit leaves behind, so that asking takes no time.

A fit ends with candidates, their predictions and the posterior. When others take candidates before the next fit,
conditioning on the mean of what they will find changes no mean, only variances (by one rank per row taken, with k
the posterior covariance of the candidates with it):

    sigma^2(x) <- sigma^2(x) - k(x, x')^2 / (sigma^2(x') + noise^2)

so that the neighbourhood of what was taken loses its promise, by as much as is learnt there (Desautels et al., 2014).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .acquisition import log_ei
from .surrogate.posterior import LEAST_VARIANCE

if TYPE_CHECKING:
    from aiohpo.plugin import FloatArray

    from .surrogate.features import Features
    from .surrogate.posterior import Posterior


@dataclass(frozen=True, slots=True)
class GPPool:
    """Candidates and their predictions at the goal.

    units     (c, d) snapped rows, distinct
    features  (c, e)
    mean      (c, S), variance (c,), solved (N, c): see :class:`.surrogate.posterior.PosteriorPrediction`
    belief    (c,) the logarithm of the belief in them (:mod:`.acquisition`)
    best      (S,) what is to be improved upon
    goal      index of the resource at which all this is predicted
    resource  the same, as a feature
    """

    units: FloatArray
    features: FloatArray
    mean: FloatArray
    variance: FloatArray
    solved: FloatArray
    belief: FloatArray
    best: FloatArray
    goal: int
    resource: float
    posterior: Posterior
    of: Features

    def __len__(self) -> int:
        return len(self.units)

    def embed(self, units: FloatArray) -> FloatArray:
        """Return the features (k, e) of unit rows at the goal."""
        return self.of.embed(units, self.resource)

    def taking(self) -> Taking:
        """Begin to take candidates; the pool itself never changes."""
        return Taking(self, self.variance.copy(), [])


@dataclass(slots=True)
class Taking:
    """A pool of which some have been taken: ``known`` are, for each, the covariances (c,) of the candidates with it,
    given those before it, and the variance of what is found there."""

    pool: GPPool
    variance: FloatArray
    known: list[tuple[FloatArray, float]]

    def score(self) -> FloatArray:
        """Return (c,): the acquisition."""
        return log_ei(self.pool.mean, self.variance, self.pool.best, self.pool.posterior.noise) + self.pool.belief

    def note_taken(self, features: FloatArray) -> None:
        """Condition on an evaluation at each of ``features`` (k, e), before any candidate is taken."""
        if not len(features) or not len(self.pool):
            return
        pool = self.pool
        posterior = pool.posterior
        both = np.concatenate([pool.features, features])
        at = posterior.predict(features, pool.goal)
        solved = np.concatenate([pool.solved, at.solved], axis=1)
        k = posterior.covariance(both, solved, features, pool.goal)  # (c + k, k)
        c = len(pool)
        for j in range(len(features)):
            column = k[:, j].copy()
            scale = self._learn(column[:c], column[c + j])
            k -= np.outer(column, column[c:]) / scale

    def take(self, at: int) -> None:
        """Condition on an evaluation of the candidate at index ``at``."""
        pool = self.pool
        column = pool.posterior.covariance(pool.features, pool.solved, pool.features[at : at + 1], pool.goal)[:, 0]
        for other, scale in self.known:
            column -= other * (other[at] / scale)
        self._learn(column, column[at])

    def _learn(self, column: FloatArray, own: float) -> float:
        """Condition on an evaluation with these covariances and variance ``own``; return the latter with noise."""
        scale = max(float(own), LEAST_VARIANCE) + self.pool.posterior.noise
        self.variance = np.maximum(self.variance - column**2 / scale, LEAST_VARIANCE)
        self.known.append((column, scale))
        return scale
