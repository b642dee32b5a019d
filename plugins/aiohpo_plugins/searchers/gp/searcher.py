"""Bayesian optimisation with a Gaussian process; with a multi-fidelity scheduler it is A-BOHB.

A joint Gaussian process over configuration and resource (Tiao, Klein et al., arXiv 2003.10865) learns from every
report of every trial, finished or not, and suggests what promises most at the highest resource that enough trials
have reached. Without steps it is a plain Gaussian process over configurations.

``fit`` does the work, off the event loop (:mod:`.model`). ``ask`` picks from what it prepared,
allowing for what was taken since (:mod:`.pool`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from aiohpo.plugin import Config, Identity, Observations, Options, StudyView

from ..common.design import stable_hash
from ..common.fresh import random_fresh_rows, rows_without
from ..common.start import InitialDesign
from .model import PENDING, RESOURCES, GPLearner, GPModel
from .surrogate.learn import Memory
from .surrogate.threads import one_thread

if TYPE_CHECKING:
    from aiohpo.plugin import FloatArray
    from aiohpo.space.space import Space

FIRST = 5  # trials before the model is used
MOST_TAKEN = 32  # evaluations begun since the fit that ask allows for: what fits into its time


class GPSearcher:
    """Suggest what maximises the expected improvement under a Gaussian process.

    Args:
        initial: trials with a report or result, of all workers together, before the model is used; until then the
            space's defaults and a Sobol sequence. None: 5; where trials have steps three per parameter, at least 5
            and at most 20.
        resource: model of partial training: ``matern``, ``expdecay`` or ``decay``
            (:mod:`.surrogate.resource`); without steps it makes no difference.
        pending: what a running evaluation counts as: its mean (``believer``), joint ``fantasies``, or
            ``none`` (:mod:`.model`).
        fantasies: how many joint fantasies.
        eta: ratio of the levels at which reports are used.
        enough: trials that must have reached a level before the best is looked for there. None: the number of
            parameters.
        budget: most rows of the exact Gaussian process.

    Raises UsageError for values that are out of range.
    """

    def __init__(
        self,
        *,
        initial: int | None = None,
        resource: str = "decay",
        pending: str = "believer",
        fantasies: int = 8,
        eta: float = 3.0,
        enough: int | None = None,
        budget: int = 1000,
    ) -> None:
        options = Options("gp")
        self.initial = options.whole_or_none("initial", initial, least=2)
        self.resource = options.choice("resource", resource, RESOURCES)
        self.pending = options.choice("pending", pending, PENDING)
        self.fantasies = options.whole("fantasies", fantasies, least=1)
        self.eta = options.number("eta", eta, least=1.1)
        self.enough = options.whole_or_none("enough", enough, least=1)
        self.budget = options.whole("budget", budget, least=10)
        self._model: GPModel | None = None

    def setup(self, space: Space, seed: int, identity: Identity) -> None:
        """Bind to a space; any will do."""
        self._key = [seed, stable_hash(identity.worker) if identity.rank is None else identity.rank]
        enough = max(space.dim, 2) if self.enough is None else self.enough
        self._start = InitialDesign(space, seed, identity)
        self._learner = GPLearner(space, self.resource, self.pending, self.fantasies, self.eta, enough, self.budget)
        self._space = space
        self._model = None

    def fit(self, observations: Observations) -> GPModel | None:
        """Return a model, or None while there are too few observations."""
        with one_thread():
            return self._fit(observations)

    def _fit(self, o: Observations) -> GPModel | None:
        data = self._learner.gather(o)
        if len(data.X) + len(o.failed) < self._enough(o) or len(data.X) < 2:
            return None
        rng = np.random.default_rng([*self._key, len(data.q), len(o.failed), len(o.pending)])
        memory = Memory() if self._model is None else self._model.memory
        return self._learner.fit(o, data, rng, memory)

    def _enough(self, o: Observations) -> int:
        """Return how many trials are observed before the model is used."""
        if self.initial is not None:
            return self.initial
        return FIRST if o.max_steps is None else min(max(FIRST, 3 * self._space.dim), 20)

    def adopt(self, state: GPModel | None) -> None:
        """Use a model that :meth:`fit` returned."""
        self._model = state

    def ask(self, view: StudyView, rng: np.random.Generator, slots: Sequence[int]) -> list[Config]:
        """Return a configuration for each slot, fewer only when the space is exhausted."""
        if self._model is None:
            return self._start.next_configs(view, rng, slots)
        n = len(slots)
        rows = self._suggest(self._model, view, n)
        if len(rows) < n:
            rows = np.concatenate([rows, random_fresh_rows(view, rng, n - len(rows), rows)])
        return self._space.decode(rows)

    def _suggest(self, model: GPModel, view: StudyView, n: int) -> FloatArray:
        """Return up to ``n`` rows of the pool, taken one after the other."""
        pool = model.pool
        taking = pool.taking()
        if self.pending != "none":
            taking.note_taken(pool.embed(rows_without(view.pending(), model.pending)[-MOST_TAKEN:]))
        free = ~view.seen(pool.units)
        chosen: list[int] = []
        for _ in range(min(n, int(free.sum()))):
            at = int(np.where(free, taking.score(), -np.inf).argmax())
            free[at] = False
            chosen.append(at)
            if len(chosen) < n:
                taking.take(at)
        return pool.units[chosen]

    def __repr__(self) -> str:
        state = "no model yet" if self._model is None else f"{len(self._model.pool)} candidates"
        return f"<GPSearcher {self.resource}, {self.pending}, {state}>"
