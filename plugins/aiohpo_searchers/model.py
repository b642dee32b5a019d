"""The slow part of ADBO: from observations to a pool of predicted candidates.

1. Losses become targets (:mod:`aiohpo_surrogates.targets`), failures are imputed, running evaluations get a
   stand-in for their result (below).
2. A forest learns them.
3. Candidates are generated anywhere and around the best observations, predicted, and once more around the most
   promising of them (:mod:`aiohpo_searchers.candidates`).

What running evaluations ("pending") stand for in the training set:

    none      nothing: they are only never proposed again, and no distance is kept from them
    space     nothing, but distances count from them, too (:mod:`aiohpo_searchers.pool`)
    liar      the average loss, a constant lie
    believer  the loss of the nearest observation
    random    the loss of a random observation
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aiohpo_surrogates.forest import Forest
from aiohpo_surrogates.targets import impute, rescale

from .candidates import Candidates
from .fresh import distinct, every
from .geometry import Geometry
from .pool import Pool

if TYPE_CHECKING:
    from aiohpo.interfaces import FloatArray, Observations
    from aiohpo.space import Space

PENDING = ("none", "space", "liar", "believer", "random")

UNIFORM, LOCAL, REFINED = 200, 1000, 400  # candidates anywhere, around elites, around the most promising
ENUMERATE = 2000  # a finite space up to this size is its own set of candidates
REFERENCE = 400  # rows that distances are measured to, so that a fit costs the same with 10,000 observations


@dataclass(frozen=True, slots=True)
class Model:
    """A pool of candidates and ``best``, the target of the best observation."""

    pool: Pool
    best: float


Score = Callable[[Pool, float], "FloatArray"]


@dataclass(frozen=True, slots=True)
class Learner:
    """Fits models of one space. Immutable, so a thread may use it."""

    space: Space
    candidates: Candidates
    geometry: Geometry
    failures: str
    pending: str
    elites: int
    forest: dict[str, float]

    def fit(self, o: Observations, rng: np.random.Generator, scores: list[Score]) -> Model:
        """Return the model of at least one observation; ``scores`` say what is promising (less is more)."""
        z = rescale(o.y)
        X, targets = self._training_set(o, z, rng)
        forest = Forest(self.space, X, targets, rng, **self.forest)  # type: ignore[arg-type]  # checked by adbo
        noted = o.pending if self.pending != "none" else o.pending[:0]
        near = self.geometry.embed(np.concatenate([_sample(o, z, rng), o.failed[-REFERENCE:], noted]))
        taken = np.concatenate([o.X, o.failed, o.pending])

        def predict(units: FloatArray, taken: FloatArray) -> Pool:
            units = _without(units, taken)
            embedded = self.geometry.embed(units)
            if not len(units):
                return Pool(units, *np.empty((3, 0)), embedded)
            prediction = forest.predict(units)
            return Pool(units, prediction.mean, prediction.std, Geometry.nearest(embedded, near), embedded)

        best = float(z.min())
        if self.space.size <= ENUMERATE:
            return Model(predict(np.concatenate(list(every(self.space))), taken), best)
        elites = o.X[np.argsort(z, kind="stable")[: self.elites]]
        units = [self.candidates.uniform(rng, UNIFORM), self.candidates.around(rng, elites, LOCAL)]
        pool = predict(np.concatenate(units), taken)
        promising = [np.argsort(score(pool, best), kind="stable")[:10] for score in scores]
        parents = pool.units[np.unique(np.concatenate(promising))]
        if len(parents):
            more = self.candidates.around(rng, parents, REFINED)
            pool += predict(more, np.concatenate([taken, pool.units]))
        return Model(pool, best)

    def _training_set(self, o: Observations, z: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        imputed = impute(z, len(o.failed), self.failures)
        stand_ins = self._stand_ins(o, z, rng)
        X = np.concatenate([o.X, o.failed[: len(imputed)], o.pending[: len(stand_ins)]])
        return X, np.concatenate([z, imputed, stand_ins])

    def _stand_ins(self, o: Observations, z: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return the targets of the pending rows, or none."""
        p = len(o.pending)
        if self.pending in ("none", "space") or not p:
            return np.empty(0)
        if self.pending == "liar":
            return np.full(p, z.mean())
        if self.pending == "random":
            return rng.choice(z, p)
        return z[self.geometry.which_nearest(self.geometry.embed(o.pending), self.geometry.embed(o.X))]


def _sample(o: Observations, z: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return at most REFERENCE observed rows: the better half of them the best, the others random."""
    if len(z) <= REFERENCE:
        return o.X
    order, half = np.argsort(z, kind="stable"), REFERENCE // 2
    return o.X[np.concatenate([order[:half], rng.choice(order[half:], half, replace=False)])]


def _without(units: FloatArray, taken: FloatArray) -> FloatArray:
    """Return the rows of ``units`` that are not among ``taken``, each once."""
    first = distinct(np.concatenate([taken, units]))
    return units[first[first >= len(taken)] - len(taken)]
