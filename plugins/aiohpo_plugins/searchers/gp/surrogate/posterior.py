"""The posterior of a Gaussian process: predictions, their gradients, and conditioning on evaluations in progress.

Notation as in :mod:`.likelihood`; L is the Cholesky factor of C. Pending rows extend it by a
block, at the cost of those rows only (Rasmussen and Williams, 2006, A.12):

    [L       0  ]        L21 = (L^-1 C12)^T        L22 L22^T = C22 - L21 L21^T
    [L21     L22]

Their results are unknown. Joint fantasies are draws from their joint posterior, z2 = m2 + L21 L^-1 v + L22 u with
u ~ N(0, I), S of them at once (Snoek et al., 2012, section 3.2): S means, and one variance, as that does not depend
on targets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg.lapack import dtrtrs

from .kernel import pull, squared_distances
from .likelihood import Likelihood, Parameters, TrainingRows, combine, factorise, lookup

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aiohpo.plugin import FloatArray

    from .resource import Table

LEAST_VARIANCE = 1e-12


@dataclass(frozen=True, slots=True)
class PosteriorPrediction:
    """Of B rows at one resource: means (B, S), variances (B,) of the noise-free loss; and what gradients need."""

    mean: FloatArray
    variance: FloatArray
    solved: FloatArray  # (N, B) L^-1 k
    slopes: tuple[FloatArray, ...]  # per kernel (B, N): sum_t A_t dk/ds


@dataclass(frozen=True, slots=True)
class Posterior:
    """A Gaussian process given rows, targets of which S versions may differ in the pending ones.

    features (N, e), level (N,)  of all rows, pending ones last
    factor   (N, N) Cholesky factor
    whitened (N, S) L^-1 (z - m)
    """

    likelihood: Likelihood
    parameters: Parameters
    table: Table
    features: FloatArray
    level: NDArray[np.intp]
    factor: FloatArray
    whitened: FloatArray

    @classmethod
    def of(cls, likelihood: Likelihood, theta: FloatArray, rows: TrainingRows) -> Posterior:
        """Condition on ``rows`` with hyperparameters ``theta``; S is 1."""
        p = likelihood.unpack(theta)
        table = likelihood.model.table(p.resource, rows.resources)
        factor = factorise(likelihood.covariance(rows, p, table), p.noise**2)
        whitened = _forward(factor, (rows.target - table.mean[rows.level])[:, None])
        return cls(likelihood, p, table, rows.features, rows.level, factor, whitened)

    # ------------------------------------------------------------------------------------------ predicting
    def _cross(self, F: FloatArray, level: NDArray[np.intp]) -> tuple[FloatArray, list[FloatArray], list[FloatArray]]:
        kernels = [self.likelihood.correlation(squared_distances(F, self.features, w)) for w in self.parameters.weights]
        values, slopes = [k for k, _ in kernels], [s for _, s in kernels]
        return combine(self.likelihood.model, self.table, values, level, self.level), values, slopes

    @property
    def noise(self) -> float:
        """The variance of the noise."""
        return self.parameters.noise**2

    def prior_variance(self, level: int) -> float:
        return float(self.table.amplitudes[:, level, level].sum())

    def predict(self, F: FloatArray, level: int, gradients: bool = False) -> PosteriorPrediction:
        """Predict rows ``F`` (B, e) at resource index ``level``."""
        levels = np.full(len(F), level, dtype=np.intp)
        cross, _, slopes = self._cross(F, levels)
        solved = _forward(self.factor, cross.T)
        mean = self.table.mean[level] + solved.T @ self.whitened
        variance = self.prior_variance(level) - np.einsum("nb,nb->b", solved, solved)
        scaled: list[FloatArray] = []
        if gradients:
            scaled = [np.zeros_like(s) for s in slopes]
            for t, kernel in enumerate(self.likelihood.model.kernels):
                if kernel >= 0:
                    scaled[kernel] += lookup(self.table.amplitudes[t], levels, self.level) * slopes[kernel]
        return PosteriorPrediction(mean, np.maximum(variance, LEAST_VARIANCE), solved, tuple(scaled))

    def backward(
        self, F: FloatArray, at: PosteriorPrediction, by_mean: FloatArray, by_variance: FloatArray
    ) -> FloatArray:
        """Return the gradient (B, e), by the features of each row, of a function of its prediction whose
        derivatives by means (B, S) and variance (B,) are given."""
        # by k: mean = k^T L^-T whitened, variance = ... - |L^-1 k|^2
        by_cross = _backward(self.factor, self.whitened @ by_mean.T - 2.0 * at.solved * by_variance).T
        gradient = np.zeros_like(F)
        for weight, slope in zip(self.parameters.weights, at.slopes, strict=True):
            gradient += 2.0 * weight * pull(slope * by_cross, F, self.features)
        return gradient

    def covariance(self, F: FloatArray, solved: FloatArray, G: FloatArray, level: int) -> FloatArray:
        """Return the posterior covariance (B, M) of rows ``F``, whose ``solved`` (N, B) is known, and ``G``."""
        f, g = (np.full(len(rows), level, dtype=np.intp) for rows in (F, G))
        kernels = [self.likelihood.correlation(squared_distances(F, G, w))[0] for w in self.parameters.weights]
        prior = combine(self.likelihood.model, self.table, kernels, f, g)
        return np.asarray(prior - solved.T @ _forward(self.factor, self._cross(G, g)[0].T))

    # --------------------------------------------------------------------------------------------- pending
    def extended(self, F: FloatArray, level: NDArray[np.intp], draws: FloatArray | None) -> Posterior:
        """Return the posterior given pending rows ``F`` (p, e) as well.

        Their targets are joint fantasies made of standard normal ``draws`` (p, S); or, without draws, their
        means (which changes variances only: a believer).
        """
        p = len(F)
        if not p:
            return self
        n = len(self.level)
        kernels = [self.likelihood.correlation(squared_distances(F, F, w))[0] for w in self.parameters.weights]
        block = combine(self.likelihood.model, self.table, kernels, level, level)
        across = _forward(self.factor, self._cross(F, level)[0].T)  # L21^T
        corner = factorise(block - across.T @ across, self.parameters.noise**2)
        factor = np.zeros((n + p, n + p), order="F")
        factor[:n, :n], factor[n:, :n], factor[n:, n:] = self.factor, across.T, corner
        own = np.zeros((p, 1)) if draws is None else draws
        whitened = np.concatenate([np.repeat(self.whitened, own.shape[1], axis=1), own])
        return Posterior(
            self.likelihood,
            self.parameters,
            self.table,
            np.concatenate([self.features, F]),
            np.concatenate([self.level, level]),
            factor,
            whitened,
        )


def _forward(factor: FloatArray, b: FloatArray) -> FloatArray:
    """Return L^-1 b."""
    return np.asarray(dtrtrs(factor, b, lower=1)[0])


def _backward(factor: FloatArray, b: FloatArray) -> FloatArray:
    """Return L^-T b."""
    return np.asarray(dtrtrs(factor, b, lower=1, trans=1)[0])
