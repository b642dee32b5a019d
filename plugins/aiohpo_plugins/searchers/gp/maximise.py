"""Maximising the acquisition over a space of any kind.

1. Candidates anywhere (Sobol) and around the incumbents (:mod:`aiohpo_plugins.searchers.common.candidates`) are
predicted. 2. From the most promising of both, all numbers climb by gradient, many starts in one L-BFGS run (they do not
   interact, so their sum has the gradient of each), categories and inactive parameters fixed.
3. The ends are snapped to the space, and then the best of them hill-climb over the discrete parameters: each other
   category, each neighbouring level.

Ranking a few hundred candidates without climbing costs quality: the acquisition's peaks are narrow once the model
is good.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize
from scipy.stats import qmc

from aiohpo.space.space import CATEGORICAL, CONTINUOUS

from ..common.candidates import Candidates
from ..common.fresh import every_configuration, rows_without
from .acquisition import log_belief, log_belief_gradient, log_ei, log_ei_gradient
from .pool import GPPool

if TYPE_CHECKING:
    from aiohpo.plugin import FloatArray
    from aiohpo.space.space import Space

    from .surrogate.features import Features
    from .surrogate.posterior import Posterior, PosteriorPrediction

ENUMERATE = 1000  # a finite space up to this size is its own set of candidates
UNIFORM, LOCAL = 256, 256
STARTS_ANYWHERE, STARTS_LOCAL = 3, 3
STEPS = 30  # iterations of L-BFGS
CLIMBERS, ROUNDS, NEIGHBOURS = 3, 3, 200  # of the discrete search: rows, rounds, most neighbours of a row
KEPT = 128  # most promising candidates that are kept for asking; as many others, for when many are taken


@dataclass(frozen=True, slots=True)
class Maximiser:
    """Finds the promising configurations of one space."""

    space: Space
    features: Features
    candidates: Candidates

    def pool(
        self,
        posterior: Posterior,
        goal: int,
        resource: float,
        best: FloatArray,
        elites: FloatArray,
        taken: FloatArray,
        trust: float,
        rng: np.random.Generator,
    ) -> GPPool:
        """Return the most promising rows that are not among ``taken``.

        ``goal`` and ``resource`` say at which resource to predict, as index and as feature; ``best`` (S,) what is
        to be improved upon; ``elites`` (k, d) the best observed rows, best first; ``trust`` what the
        belief counts (:mod:`.acquisition`).
        """
        at = _At(self, posterior, goal, resource, best, trust)
        if self.space.size <= ENUMERATE:
            units = np.concatenate(list(every_configuration(self.space)))
            return at.pool(rows_without(units, taken), rng)
        anywhere = self._anywhere(rng, UNIFORM)
        local = self.candidates.around(rng, elites, LOCAL) if len(elites) else anywhere[:0]
        units = np.concatenate([anywhere, local])
        score = at.score(units)
        starts = [
            np.argsort(-score[:UNIFORM], kind="stable")[:STARTS_ANYWHERE],
            UNIFORM + np.argsort(-score[UNIFORM:], kind="stable")[:STARTS_LOCAL],
        ]
        ends = self._climb(at, units[np.concatenate(starts)])
        ends = self._hop(at, ends, rng)
        return at.pool(rows_without(np.concatenate([ends, units]), taken), rng)

    def _anywhere(self, rng: np.random.Generator, n: int) -> FloatArray:
        if not self.space.dim:
            return self.space.sample(rng, 1)
        return self.space.snap(qmc.Sobol(self.space.dim, scramble=True, rng=rng).random(n))

    def _climb(self, at: _At, units: FloatArray) -> FloatArray:
        """Return snapped rows that L-BFGS reaches from ``units`` (k, d) by moving numbers."""
        numbers = self.features.numbers
        if not len(numbers) or not len(units):
            return units
        F = self.features.embed(units, at.resource)
        shape = (len(units), len(numbers))
        fixed = np.isnan(units[:, numbers])
        bounds = [(v, v) if f else (0.0, 1.0) for v, f in zip(F[:, : shape[1]].flat, fixed.flat, strict=True)]

        def negative(x: FloatArray) -> tuple[float, FloatArray]:
            F[:, : shape[1]] = x.reshape(shape)
            value, gradient = at.gradient(F)
            return -float(value.sum()), -gradient[:, : shape[1]].ravel()

        result = minimize(
            negative,
            F[:, : shape[1]].ravel().copy(),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": STEPS, "maxfun": STEPS + 10, "ftol": 1e-5},
        )
        moved = units.copy()
        moved[:, numbers] = np.where(fixed, np.nan, result.x.reshape(shape))
        return self.space.snap(moved)

    def _hop(self, at: _At, units: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return ``units`` and what hill-climbing over their discrete columns finds."""
        discrete = np.flatnonzero(self.space.kinds != CONTINUOUS)
        if not len(discrete):
            return units
        found = [units]
        score = at.score(units)
        order = np.argsort(-score, kind="stable")[:CLIMBERS]
        rows, score = units[order], score[order]
        for _ in range(ROUNDS):
            near = [self._neighbours(row, discrete, rng) for row in rows]
            counts = np.cumsum([len(n) for n in near])[:-1]
            values = np.split(at.score(np.concatenate(near)), counts)
            better = False
            for i, (n, value) in enumerate(zip(near, values, strict=True)):
                if len(n) and value.max() > score[i]:
                    better, score[i], rows[i] = True, value.max(), n[value.argmax()]
            found.extend(near)
            if not better:
                break
        return np.concatenate(found)

    def _neighbours(self, row: FloatArray, discrete: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return the rows that differ from ``row`` in one discrete column, and in what that makes active."""
        changed = []
        for column in discrete:
            if np.isnan(row[column]):
                continue
            k = self.space.cardinality[column]
            level = np.floor(row[column] * k)
            levels = np.arange(k) if self.space.kinds[column] == CATEGORICAL else level + np.array([-1.0, 1.0])
            for other in levels[(levels != level) & (levels >= 0) & (levels < k)]:
                changed.append((column, (other + 0.5) / k))
        if len(changed) > NEIGHBOURS:
            changed = [changed[i] for i in rng.choice(len(changed), NEIGHBOURS, replace=False)]
        rows = np.repeat(row[None], len(changed), axis=0)
        rows = np.where(np.isnan(rows), rng.random(rows.shape), rows)
        for i, (column, value) in enumerate(changed):
            rows[i, column] = value
        return self.space.snap(rows)


@dataclass(frozen=True, slots=True)
class _At:
    """The acquisition of one posterior at one resource."""

    maximiser: Maximiser
    posterior: Posterior
    goal: int
    resource: float
    best: FloatArray
    trust: float

    def score(self, units: FloatArray) -> FloatArray:
        """Return the acquisition of unit rows."""
        F = self.maximiser.features.embed(units, self.resource)
        prediction = self.posterior.predict(F, self.goal)
        return self._promise(prediction) + self._belief(F)

    def gradient(self, F: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the acquisition of features (k, e), and its gradient (k, e)."""
        prediction = self.posterior.predict(F, self.goal, gradients=True)
        value, by_mean, by_variance = log_ei_gradient(
            prediction.mean, prediction.variance, self.best, self.posterior.noise
        )
        slope = self.posterior.backward(F, prediction, by_mean, by_variance)
        inside = self.maximiser.features.continuous
        slope[:, inside] += self.trust * log_belief_gradient(F[:, inside])
        return value + self._belief(F), slope

    def pool(self, units: FloatArray, rng: np.random.Generator) -> GPPool:
        """Return the most promising rows, and some of the others."""
        F = self.maximiser.features.embed(units, self.resource)
        prediction = self.posterior.predict(F, self.goal)
        belief = self._belief(F)
        order = np.argsort(-self._promise(prediction) - belief, kind="stable")
        order = np.concatenate([order[:KEPT], rng.permutation(order[KEPT:])[:KEPT]])
        return GPPool(
            units[order],
            F[order],
            prediction.mean[order],
            prediction.variance[order],
            prediction.solved[:, order],
            belief[order],
            self.best,
            self.goal,
            self.resource,
            self.posterior,
            self.maximiser.features,
        )

    def _promise(self, prediction: PosteriorPrediction) -> FloatArray:
        return log_ei(prediction.mean, prediction.variance, self.best, self.posterior.noise)

    def _belief(self, F: FloatArray) -> FloatArray:
        return self.trust * log_belief(F[:, self.maximiser.features.continuous])
