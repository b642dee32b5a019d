"""What ADBO is compared with, in virtual time: who waits for whom, and what decisions cost, is on the clock.

published    the paper's ADBO: each worker fits a forest to all that is known, predicts 10,000 uniform candidates, and
             only then evaluates; qUCB with kappa ~ Exp(1.96), which decays periodically
synchronous  SDBO+bUCB: all workers exchange their results after every so many evaluations, waiting for the slowest;
             each fits the forest, and draws from the candidates (Boltzmann)
central      one manager answers all workers: it fits, then answers one (``one``) or all who wait (``all``)
random       no model

News arrives at once: for the baselines the network costs nothing. A model is shared by all who want one within SHARED
seconds, as is its set of candidates, of which none is taken twice.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aiohpo.plugin import Identity
from aiohpo.simulation.evaluator import Evaluation
from aiohpo_plugins.searchers.adbo.acquisition import KappaDecay, boltzmann_order, draw_kappa

from .ackley import BOUND, TIMES, AckleyObjective
from .manager_costs import ManagerCosts
from .surrogates import CANDIDATES, MODELS, Array

SHARED = 10.0
INITIAL = 10  # results before there is a model; DeepHyper's default
KAPPA = 1.96
DECAY = KappaDecay(rate=0.1, period=25, delay=0)
EXACT_TO = 256  # workers up to which a forest learns from everything
ROWS = {"forest": 3_000, "gp": 500}  # that are computed with otherwise


@dataclass(slots=True)
class Baseline:
    """A swarm in virtual time; ``play_…`` fill its diary. ``model``: forest, gp, or none (random)."""

    workers: int
    objective: AckleyObjective
    seconds: float
    seed: int
    model: str | None = "forest"
    diary: list[Evaluation] = field(default_factory=list)
    _results: list[tuple[Array, float]] = field(default_factory=list)
    _captured: float = -math.inf
    _pool: tuple[Array, Array, Array] | None = None  # candidates, their means and standard deviations
    _taken: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng([self.seed, self.workers])
        self._times = random.Random(f"{self.seed}/{self.workers}")
        self._dimensions = len(self.objective.optimum)
        self._costs = None if self.model is None else ManagerCosts(self.model, self._dimensions)
        places = (Identity(f"{place:012x}", place, self.workers) for place in range(self.workers))
        self._kappas = [draw_kappa(KAPPA, 1.0, self.seed, place) for place in places]

    _rng: np.random.Generator = field(init=False)
    _times: random.Random = field(init=False)
    _dimensions: int = field(init=False)
    _costs: ManagerCosts | None = field(init=False)
    _kappas: list[float] = field(init=False)

    # ------------------------------------------------------------------------------------------ who waits for whom
    def play_published(self) -> None:
        """Every worker decides for itself as soon as it is free, and evaluates when it has decided."""
        running = [self._evaluate(place, 0.0) for place in range(self.workers)]
        heapq.heapify(running)
        while running and running[0][0] < self.seconds:
            now, place, x, note = heapq.heappop(running)
            self._end(note, x, now)
            known = len(self._results)
            heapq.heappush(running, self._evaluate(place, now + self._cost(known), self._best_bound(place, now)))

    def play_central(self, answers: str) -> None:
        """One manager decides for all; who ends an evaluation queues for it."""
        running = [self._evaluate(place, 0.0) for place in range(self.workers)]
        heapq.heapify(running)
        free = 0.0
        while running and max(running[0][0], free) < self.seconds:
            begins = max(running[0][0], free)
            waiting: list[int] = []
            while running and running[0][0] <= begins and (answers == "all" or not waiting):
                ended, place, x, note = heapq.heappop(running)
                self._end(note, x, ended)
                waiting.append(place)
            free = begins + self._cost(len(self._results))
            for place in waiting:
                heapq.heappush(running, self._evaluate(place, free, self._best_bound(place, begins)))
        for ended, _, x, note in running:
            if ended < self.seconds:  # what still queues for the manager
                self._end(note, x, ended)

    def play_synchronous(self, every: int) -> None:
        """All wait for the slowest after each ``every`` evaluations, then decide on as many."""
        now = 0.0
        while now < self.seconds:
            ends = []
            results: list[tuple[Evaluation, Array, float]] = []
            for place in range(self.workers):
                at = now
                for _ in range(every):
                    if at < self.seconds:
                        at, _, x, note = self._evaluate(place, at, self._boltzmann())
                        results.append((note, x, at))
                ends.append(at)
            for note, x, at in sorted(results, key=lambda result: result[2]):
                if at < self.seconds:
                    self._end(note, x, at)
            known = len(self._results)
            now = max(ends) + self._cost(known) + (every - 1) * self._predict_cost(known)
            self._renew(now)

    # -------------------------------------------------------------------------------------------------- evaluating
    def _evaluate(self, place: int, now: float, x: Array | None = None) -> tuple[float, int, Array, Evaluation]:
        if x is None:
            x = self._rng.random(self._dimensions)
        note = Evaluation(str(place), 0, str(len(self.diary)), 0, now)
        if now < self.seconds:
            self.diary.append(note)
        return now + TIMES.draw(self._times), place, x, note

    def _end(self, note: Evaluation, x: Array, now: float) -> None:
        note.ended, note.how, note.value = now, "finished", self.objective.at((2 * x - 1) * BOUND)
        self._results.append((x, note.value))

    # ---------------------------------------------------------------------------------------------------- deciding
    def _cost(self, known: int) -> float:
        if self._costs is None or known < INITIAL:
            return 0.0
        return self._costs.fit(known) + self._costs.predict(known)

    def _predict_cost(self, known: int) -> float:
        return 0.0 if self._costs is None or known < INITIAL else self._costs.predict(known)

    def _best_bound(self, place: int, now: float) -> Array | None:
        """qUCB: the candidate with the lowest confidence bound by this worker's kappa."""
        if now - self._captured > SHARED or self._pool is None:
            self._renew(now)
        decided = len(self.diary) - INITIAL
        return self._take(lambda mean, std: mean - DECAY(self._kappas[place], max(decided, 1)) * std)

    def _boltzmann(self) -> Array | None:
        return self._take(lambda mean, std: boltzmann_order(mean - KAPPA * std, len(self._results), 1.0, self._rng))

    def _renew(self, now: float) -> None:
        if self.model is None or len(self._results) < INITIAL:
            return
        X, y = np.array([x for x, _ in self._results]), np.array([value for _, value in self._results])
        rows = len(X) if self.model == "forest" and self.workers <= EXACT_TO else ROWS[self.model]
        fitted = MODELS[self.model](X, y, self._rng, rows)
        candidates = self._rng.random((CANDIDATES, self._dimensions))
        self._pool = (candidates, *fitted.predict(candidates))
        self._taken = np.zeros(CANDIDATES, np.bool_)
        self._captured = now

    def _take(self, score: Callable[[Array, Array], Array]) -> Array | None:
        """Return the best candidate by its mean and standard deviation that is untried; None: there is no model yet."""
        if self._pool is None or self._taken.all():
            return None
        candidates, mean, std = self._pool
        chosen = int(np.where(self._taken, np.inf, score(mean, std)).argmin())
        self._taken[chosen] = True
        return np.asarray(candidates[chosen])

    def __repr__(self) -> str:
        return f"<Baseline of {self.workers} workers, {self.model or 'random'}: {len(self.diary)} evaluations>"
