"""ADBO: asynchronous decentralised Bayesian optimisation (Egele et al., arXiv 2207.00479).

Each worker has a model of its own, of everything that it has heard of, and proposes whenever it is free; no
worker waits for another. What keeps a swarm of such workers from proposing the same thing is that each explores to a
different degree (qUCB, see :mod:`.acquisition`), that running evaluations are shared, and that
nothing is proposed twice.

``fit`` does the work, off the event loop (:mod:`.model`): it trains a forest and leaves a pool of
predicted candidates. ``ask`` only drops what has been seen, ranks the rest with this moment's kappa, and keeps
its distance from what was taken since the fit; so it costs the same at 50 and at 10,000 observations.

Where trials have steps, partial ones are learned from too, with the resource as a feature
(:mod:`.joint`).

The published method samples 10,000 candidates uniformly. This one differs in the candidates, in the distance term
of the uncertainty (:mod:`.pool`) and in the target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from aiohpo.plugin import Config, Identity, Observations, Options, StudyView

from ..common.candidates import Candidates
from ..common.design import stable_hash
from ..common.fresh import random_fresh_rows
from ..common.start import InitialDesign
from .acquisition import ACQUISITIONS, KappaDecay, boltzmann_order, draw_kappa, lcb, negative_ei
from .geometry import Geometry
from .model import PENDING, ADBOLearner, ADBOModel
from .pool import RemainingPool
from .targets import FAILURES

if TYPE_CHECKING:
    from aiohpo.plugin import FloatArray
    from aiohpo.space.space import Space

    from .pool import ADBOPool


class ADBOSearcher:
    """Suggest what a forest finds promising: low predicted loss, or high uncertainty.

    Args:
        initial: observations, of all workers together and partial ones included, before the model is used; until
            then the space's defaults and a Sobol sequence.
        acquisition: ``qucb``, ``ucb`` (the same kappa for every worker, no decay), ``bucb`` or ``ei``.
        kappa: how much uncertainty is worth; for ``qucb`` the mean over workers.
        spread: how much kappa differs between workers: 0 not at all, 1 as in the paper.
        decay, period, delay: the periodic decay of kappa: rate, trials per period (0: no decay), trials before.
        distance: weight of the distance to the nearest known configuration in the uncertainty.
        gamma: speed at which ``bucb`` becomes greedy.
        failures: what a failed trial counts as: ``worst``, ``mean``, or ``ignore``.
        pending: what a running evaluation counts as: ``none``, ``space`` or ``believer`` (:mod:`.model`).
        elites: best observations around which candidates are generated.
        trees, min_leaf, max_features, rows: see :class:`.forest.Forest`.

    Raises UsageError for values that are out of range.
    """

    def __init__(
        self,
        *,
        initial: int = 20,
        acquisition: str = "qucb",
        kappa: float = 1.96,
        spread: float = 0.5,
        decay: float = 0.1,
        period: int = 10,
        delay: int = 0,
        distance: float = 2.0,
        gamma: float = 1.0,
        failures: str = "worst",
        pending: str = "space",
        elites: int = 10,
        trees: int = 30,
        min_leaf: int = 1,
        max_features: int = 10,
        rows: int = 300,
    ) -> None:
        options = Options("adbo")
        self.initial = options.whole("initial", initial, least=2)
        self.acquisition = options.choice("acquisition", acquisition, ACQUISITIONS)
        self.kappa = options.number("kappa", kappa, least=0)
        self.spread = options.number("spread", spread, least=0)
        self.decay = KappaDecay(
            options.number("decay", decay, least=0),
            options.whole("period", period, least=0),
            options.whole("delay", delay, least=0),
        )
        self.distance = options.number("distance", distance, least=0)
        self.gamma = options.number("gamma", gamma, least=0)
        self.failures = options.choice("failures", failures, FAILURES)
        self.pending = options.choice("pending", pending, PENDING)
        self.elites = options.whole("elites", elites, least=1)
        self.forest = {
            "trees": options.whole("trees", trees, least=2),
            "min_leaf": options.whole("min_leaf", min_leaf, least=1),
            "max_features": options.whole("max_features", max_features, least=1),
            "rows": options.whole("rows", rows, least=10),
        }
        self._kappas = [self.kappa]
        self._model: ADBOModel | None = None
        self._remaining: RemainingPool | None = None

    def setup(self, space: Space, seed: int, identity: Identity) -> None:
        """Bind to a space; any will do."""
        self._space, self._geometry = space, Geometry(space)
        self._key = [seed, stable_hash(identity.worker) if identity.rank is None else identity.rank]
        self._kappas = [self.kappa] * identity.slots
        if self.acquisition == "qucb":
            each = map(identity.of_slot, range(identity.slots))
            self._kappas = [draw_kappa(self.kappa, self.spread, seed, slot) for slot in each]
        self._start = InitialDesign(space, seed, identity)
        self._learner = ADBOLearner(
            space,
            Candidates(space),
            self._geometry,
            self.failures,
            self.pending,
            self.elites,
            self.initial,
            self.forest,
        )
        self._model = self._remaining = None

    def fit(self, observations: Observations) -> ADBOModel | None:
        """Return a model, or None while there are too few observations."""
        o = observations
        losses = len(o.y) if o.max_steps is None else len(o.curves.X)
        observed = losses + len(o.failed)
        if observed < self.initial or losses < 2:
            return None
        rng = np.random.default_rng([*self._key, observed, len(o.pending)])
        first = observed + len(o.pending) - self.initial + 1  # the number of the next proposal, were it made now
        # The pool is refined around what the most and the least curious slots would choose.
        kappas = sorted({min(self._kappas), max(self._kappas)})
        return self._learner.fit(
            o,
            rng,
            [
                lambda pool, best, i=i, kappa=kappa: self._score(pool, best, i, kappa)
                for i in (first, first + 1)
                for kappa in kappas
            ],
        )

    def adopt(self, state: ADBOModel | None) -> None:
        """Use a model that :meth:`fit` returned."""
        self._model, self._remaining = state, None

    def ask(self, view: StudyView, rng: np.random.Generator, slots: Sequence[int]) -> list[Config]:
        """Return a configuration for each slot, fewer only when the space is exhausted."""
        if self._model is None:
            return self._start.next_configs(view, rng, slots)
        rows = self._suggest(self._model, view, rng, slots)
        if len(rows) < len(slots):
            rows = np.concatenate([rows, random_fresh_rows(view, rng, len(slots) - len(rows), rows)])
        return self._space.decode(rows)

    def _suggest(self, model: ADBOModel, view: StudyView, rng: np.random.Generator, slots: Sequence[int]) -> FloatArray:
        """Return rows of the pool, taken by one slot after the other; fewer where the pool is empty."""
        remaining = self._remaining
        if remaining is None or remaining.view is not view:
            geometry = None if self.pending == "none" else self._geometry
            remaining = self._remaining = RemainingPool(model.pool, view, model.moment, geometry)
        remaining.catch_up()
        pool, taken = remaining.pool, remaining.taken
        first = view.n_trials - self.initial + 1
        chosen: list[int] = []
        for i, slot in enumerate(slots[: len(remaining)], first):
            if chosen:
                pool = replace(pool, gap=pool.gap_beside(pool.embedded[chosen[-1:]]))
            score = self._score(pool, model.best, i, self._kappas[slot])
            if self.acquisition == "bucb":
                score = boltzmann_order(score, i, self.gamma, rng)
            score[taken] = np.inf
            score[chosen] = np.inf
            choice = int(np.where(remaining.is_crowded(pool.gap), np.inf, score).argmin())
            chosen.append(choice if np.isfinite(score[choice]) else int(score.argmin()))
        return pool.units[chosen]

    def _score(self, pool: ADBOPool, best: float, i: int, kappa: float) -> FloatArray:
        """Return the acquisition of a pool for proposal ``i`` (from 1) of a slot with this kappa_0: less is more
        promising."""
        std = pool.std + self.distance * pool.gap
        if self.acquisition == "ei":
            return negative_ei(pool.mean, std, best)
        return lcb(pool.mean, std, self.decay(kappa, i) if self.acquisition == "qucb" else kappa)

    def __repr__(self) -> str:
        state = "no model yet" if self._model is None else f"{len(self._model.pool)} candidates"
        return f"<ADBOSearcher {self.acquisition}, kappa {self._kappas[0]:.3g}, {state}>"
