"""ADBO: asynchronous decentralised Bayesian optimisation (Egele et al., arXiv 2207.00479).

Each worker has a model of its own, of everything that it has heard of, and proposes whenever it is free; nobody
waits for anybody. What keeps a swarm of such workers from proposing the same thing is that each explores to a
different degree (qUCB, see :mod:`aiohpo_searchers.acquisition`), that running evaluations are shared, and that
nothing is proposed twice.

``fit`` does all the work, off the event loop: it trains the forest, generates candidates and predicts them. What
it returns is a :class:`Pool` of predicted candidates. ``ask`` only ranks the pool with this moment's kappa,
discounts what has been taken since, and drops what has been seen; so it costs the same at 50 and at 10,000
observations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aiohpo.interfaces import Config, Identity, Observations, UsageError, View, listing
from aiohpo_surrogates.forest import Forest
from aiohpo_surrogates.targets import FAILURES, impute, rescale

from .acquisition import ACQUISITIONS, Decay, boltzmann_order, draw_kappa, lcb, negative_ei
from .candidates import Candidates
from .design import SharedSobol, stable_hash
from .fresh import anything, distinct, every
from .geometry import Geometry
from .pool import PENDING, Pool

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aiohpo.interfaces import FloatArray
    from aiohpo.space import Space

_TRAIN = ""
_GAP = 1
_DISC = 0
_ENUMERATE = 2000  # a finite space up to this size is its own pool
_REFERENCE = 400  # rows that distances are measured to


@dataclass(frozen=True, slots=True)
class Model:
    """What :meth:`ADBOSearcher.fit` returns."""

    forest: Forest
    pool: Pool


class ADBOSearcher:
    def __init__(
        self,
        *,
        initial: int | None = None,
        acquisition: str = "qucb",
        kappa: float = 1.96,
        decay: float = 0.1,
        period: int = 10,
        delay: int = 0,
        distance: float = 2.0,
        gamma: float = 1.0,
        failures: str = "worst",
        pending: str = "believer",
        trees: int = 30,
        min_leaf: int = 2,
        max_features: float = 1.0,
        rotate: bool = True,
        uniform: int = 200,
        local: int = 1000,
        refined: int = 400,
        elites: int = 10,
        rows: int = 400,
    ) -> None:
        for name, value, known in (
            ("acquisition", acquisition, ACQUISITIONS),
            ("failures", failures, FAILURES),
            ("pending", pending, PENDING),
        ):
            if value not in known:
                raise UsageError(f"adbo: {name} {value!r} is unknown; choose one of {listing(known)}")
        self.initial, self.acquisition, self.kappa = initial, acquisition, kappa
        self.decay, self.distance, self.gamma = Decay(decay, period, delay), distance, gamma
        self.failures, self.pending = failures, pending
        self.uniform, self.local, self.refined, self.elites = uniform, local, refined, elites
        self.forest = dict(trees=trees, min_leaf=min_leaf, max_features=max_features, rotate=rotate, rows=rows)

    def setup(self, space: Space, seed: int, identity: Identity) -> None:
        self._space = space
        self._key = [seed, stable_hash(identity.worker)]
        if identity.rank is not None:
            self._key = [seed, identity.rank]
        self._kappa = self.kappa
        if self.acquisition == "qucb":
            self._kappa = draw_kappa(self.kappa, seed, identity)
        self._initial = self.initial if self.initial is not None else 20
        self._sobol = SharedSobol(space, seed, identity)
        self._candidates, self._geometry = Candidates(space), Geometry(space)
        self._model: Model | None = None

    # ------------------------------------------------------------------------------------------ learning
    def fit(self, observations: Observations) -> Model | None:
        o = observations
        count = len(o.y) + len(o.failed)
        if len(o.y) < 2 or count < self._initial:
            return None
        rng = np.random.default_rng([*self._key, count, len(o.pending)])
        z = rescale(o.y)
        imputed = impute(z, len(o.failed), self.failures)
        X, targets = o.X, z
        if len(imputed):
            X, targets = np.concatenate([o.X, o.failed]), np.concatenate([z, imputed])
        if len(o.pending) and _TRAIN:
            if _TRAIN == "max":
                lies = np.full(len(o.pending), z.max())
            elif _TRAIN == "mean":
                lies = np.full(len(o.pending), z.mean())
            elif _TRAIN == "min":
                lies = np.full(len(o.pending), z.min())
            elif _TRAIN == "q75":
                lies = np.full(len(o.pending), np.quantile(z, 0.75))
            elif _TRAIN == "random":
                lies = rng.choice(z, len(o.pending))
            elif _TRAIN == "nn":
                a, b = self._geometry.embed(o.pending), self._geometry.embed(X)
                d2 = (b * b).sum(1)[None] - 2 * a @ b.T
                lies = targets[d2.argmin(1)]
            elif _TRAIN == "forest":
                lies = Forest(self._space, X, targets, rng, **{**self.forest, "trees": 12}).predict(o.pending).mean
            forest = Forest(
                self._space, np.concatenate([X, o.pending]), np.concatenate([targets, lies]), rng, **self.forest
            )
        else:
            forest = Forest(self._space, X, targets, rng, **self.forest)
        order = np.argsort(z, kind="stable")
        i = count + len(o.pending) - self._initial + 1
        reference = X
        if len(X) > _REFERENCE:
            by = np.argsort(targets, kind="stable")
            half = _REFERENCE // 2
            reference = X[np.concatenate([by[:half], rng.choice(by[half:], half, replace=False)])]
        near = self._geometry.embed(np.concatenate([reference, o.pending]) if _GAP else reference)
        taken = np.concatenate([o.X, o.failed, o.pending])

        targets_sorted = np.sort(z)
        if self._space.size <= _ENUMERATE:
            units = np.concatenate(list(every(self._space)))
            pool = self._predict(forest, near, _new(units, taken), targets_sorted)
        else:
            elites = o.X[order[: self.elites]]
            units = np.concatenate(
                [self._candidates.uniform(rng, self.uniform), self._candidates.around(rng, elites, self.local)]
            )
            pool = self._predict(forest, near, _new(units, taken), targets_sorted)
            if self.refined:
                parents = np.concatenate([np.argsort(self._score(pool, i + k), kind="stable")[:10] for k in (0, 1)])
                more = self._candidates.around(rng, pool.units[np.unique(parents)], self.refined)
                more = _new(more, np.concatenate([taken, pool.units]))
                pool = pool.extended(self._predict(forest, near, more, targets_sorted))
        return Model(forest, pool)

    def _predict(self, forest: Forest, near: NDArray[np.float32], units: FloatArray, targets: FloatArray) -> Pool:
        leaves = forest.leaves(units)
        prediction = forest.at(leaves)
        embedded = self._geometry.embed(units)
        gap = self._geometry.nearest(embedded, near) if len(units) else np.empty(0)
        return Pool(units, prediction.mean, prediction.std, gap, leaves, embedded, targets)

    def adopt(self, state: Model | None) -> None:
        self._model = state

    # ------------------------------------------------------------------------------------------- asking
    def ask(self, view: View, rng: np.random.Generator, n: int = 1) -> list[Config]:
        rows = np.empty((0, self._space.dim))
        if view.n_observed >= self._initial and self._model is not None:
            rows = self._suggest(self._model, view, rng, n)
        else:
            rows = self._sobol.take(view, n)
        if len(rows) < n:
            rows = np.concatenate([rows, anything(view, rng, n - len(rows), rows)])
        return self._space.decode(rows)

    def _suggest(self, model: Model, view: View, rng: np.random.Generator, n: int) -> FloatArray:
        pool = model.pool.copy()
        free = ~view.seen(pool.units)
        pending = view.observations().pending
        if self.pending != "none" and len(pending) and _DISC:
            leaves, embedded = model.forest.leaves(pending), self._geometry.embed(pending)
            for leaf, e in zip(leaves.T, embedded, strict=True):
                pool.take(leaf, e, self.pending, rng)
        i = view.n_trials - self._initial + 1
        chosen: list[int] = []
        for j in range(n):
            if not free.any():
                break
            score = self._score(pool, i + j)
            if self.acquisition == "bucb":
                score = boltzmann_order(score, i + j, self.gamma, rng)
            score[~free] = np.inf
            best = int(score.argmin())
            chosen.append(best)
            free[best] = False
            if j + 1 < n:
                pool.take(
                    pool.leaves[:, best],
                    pool.embedded[best],
                    self.pending if self.pending != "none" else "believer",
                    rng,
                )
        return pool.units[chosen]

    def _score(self, pool: Pool, i: int) -> FloatArray:
        std = pool.std + self.distance * pool.gap
        if self.acquisition == "ei":
            return negative_ei(pool.mean, std, pool.targets[0])
        return lcb(pool.mean, std, self.decay(self._kappa, i))


def _new(units: FloatArray, taken: FloatArray) -> FloatArray:
    """Return the rows of ``units`` that are not among ``taken``, each once."""
    first = distinct(np.concatenate([taken, units]))
    return units[first[first >= len(taken)] - len(taken)]
