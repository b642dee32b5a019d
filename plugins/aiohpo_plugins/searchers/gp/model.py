"""The slow part of the ``gp`` searcher: from observations to a pool of promising configurations.

1. Reports become rows (:mod:`.data`), losses targets (:mod:`.surrogate.targets`).
2. Hyperparameters are learnt (:mod:`.surrogate.learn`), from what succeeded. Without steps lengthscales are taken to be
   alike and the correlation has two scales; every other fit is of targets that tell the best apart
   (:mod:`.surrogate.targets`), at the expense of what is known of the others.
3. Rows of failed trials are added at the goal, with the worst target: they repel.
4. Running evaluations are added at the step they are running to (below).
5. log EI at the goal is maximised (:mod:`.maximise`). What is to be improved upon is the lowest
   posterior mean of a configuration tried there: with noise the lowest loss is the luckiest, not the best. Once
   nothing has improved for a while, one fit in five asks for a large improvement, which can only be had elsewhere.

What running evaluations ("pending") count as:

    fantasies  joint draws from the posterior; the improvement is the mean over them
    believer   their posterior mean, so that variances shrink and means stay
    none       nothing: they are only never proposed again

With one outstanding they are the same. Otherwise, medians after 100 evaluations with 8 outstanding (6 seeds) and after
200 with 64 (4 seeds), of shifted functions:

                        fantasies   believer     none
    8   Ackley-5          2.06       1.63        3.04
        Hartmann-6       -3.322     -3.322      -3.322
        Levy-8            4.25       3.59        5.00
    64  Ackley-5          3.42       3.15        4.05
        Hartmann-6       -3.267     -3.298      -3.310
        Levy-8           11.2        5.81        5.79

As found elsewhere (arXiv 2603.13501), fantasies gain nothing over the plain update of the posterior. A constant lie,
the average target, was worse (with 8 outstanding 7.65, -3.052 and 4.15) and is not offered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..common.candidates import Candidates
from ..common.stagnation import since_improvement
from .data import Data, gather
from .maximise import Maximiser
from .surrogate.features import Features
from .surrogate.kernel import two_scales
from .surrogate.learn import MOST, Memory, learn
from .surrogate.likelihood import Likelihood, TrainingRows
from .surrogate.posterior import Posterior
from .surrogate.resource import DecayModel, ExpDecayModel, MaternModel
from .surrogate.targets import FEW, standardise

if TYPE_CHECKING:
    from aiohpo.plugin import FloatArray, Observations
    from aiohpo.space.space import Space

    from .pool import GPPool

RESOURCES = {"matern": MaternModel, "expdecay": ExpDecayModel, "decay": DecayModel}
PENDING = ("fantasies", "believer", "none")
INCUMBENTS = 64  # best rows whose posterior mean is computed
ELITES = 10
MOST_PENDING = 200
MOST_FAILED = 200
MORE = 1.0  # in standard deviations of the targets
STANDSTILL = 8  # results without an improvement, beside those that were begun before the last one


@dataclass(frozen=True, slots=True)
class GPModel:
    """What a fit leaves.

    pool     promising configurations
    memory   hyperparameters, for the next fit
    pending  (p, d) the running evaluations that the pool knows of
    """

    pool: GPPool
    memory: Memory
    pending: FloatArray


class GPLearner:
    """Fits models of one space; immutable once built, so a thread may use it."""

    def __init__(self, space: Space, resource: str, pending: str, fantasies: int, eta: float, enough: int, budget: int):
        self.space, self.pending, self.fantasies = space, pending, fantasies
        self.eta, self.enough, self.budget = eta, enough, budget
        joint = Features(space, resource=resource == "matern")
        self._joint = joint, Likelihood(RESOURCES[resource](), joint.group, joint.groups)
        plain = Features(space)
        self._plain = plain, Likelihood(MaternModel(), plain.group, plain.groups, alike=True, correlation=two_scales)
        self._candidates = Candidates(space)

    def gather(self, o: Observations) -> Data:
        return gather(o, self.eta, self.enough)

    def fit(self, o: Observations, data: Data, rng: np.random.Generator, memory: Memory) -> GPModel:
        """Return the model of ``data``, which has at least two trials."""
        has_steps, n = o.max_steps is not None, len(data.X)
        features, likelihood = self._joint if has_steps else self._plain
        focused = not has_steps and n > FEW and n % 2 == 1
        # the goal does not matter for hyperparameters
        theta, memory = learn(likelihood, lambda k: self._prefix(features, data, k, focused), n, memory, focused)
        z = standardise(data.q, focused)
        chosen = data.subset(self.budget)
        rows = self._rows(features, data, chosen, z)
        posterior = Posterior.of(likelihood, theta, self._failures(features, data, rows, o.failed))
        posterior, pending = self._run_on(posterior, features, data, o, rng)

        at_goal = np.flatnonzero(data.level >= data.goal)
        order = at_goal[np.argsort(z[at_goal], kind="stable")[:INCUMBENTS]]
        tried = data.X[np.unique(data.trial[order])]
        resource = _feature(data)[data.goal]
        means = posterior.predict(features.embed(np.concatenate([tried, pending]), resource), data.goal).mean
        elites = tried[np.argsort(means[: len(tried)].mean(axis=1), kind="stable")[:ELITES]]
        pool = Maximiser(self.space, features, self._candidates).pool(
            posterior,
            data.goal,
            float(resource),
            means.min(axis=0) - self._more(o, data, rng),
            elites,
            np.concatenate([data.X, o.X, o.failed, o.pending]),
            0.0 if has_steps else 0.5 / n,
            rng,
        )
        return GPModel(pool, memory, o.pending)

    def _more(self, o: Observations, data: Data, rng: np.random.Generator) -> float:
        """Return by how much the best is to be improved upon."""
        if o.max_steps is not None or since_improvement(data.q) < STANDSTILL + len(o.pending):
            return 0.0
        return MORE if rng.random() > 0.8 else 0.0

    def _rows(self, features: Features, data: Data, chosen: FloatArray, z: FloatArray) -> TrainingRows:
        resource = _feature(data)[data.level[chosen]]
        F = features.embed(data.X[data.trial[chosen]], resource)
        return TrainingRows(F, data.level[chosen], z[chosen], data.steps / data.steps[-1])

    def _prefix(self, features: Features, data: Data, k: int, focused: bool = False) -> TrainingRows:
        part = data.first(k)
        return self._rows(features, part, part.subset(MOST), standardise(part.q, focused))

    def _failures(self, features: Features, data: Data, rows: TrainingRows, failed: FloatArray) -> TrainingRows:
        failed = failed[-MOST_FAILED:]
        F = features.embed(failed, _feature(data)[data.goal])
        return TrainingRows(
            np.concatenate([rows.features, F]),
            np.concatenate([rows.level, np.full(len(failed), data.goal)]),
            np.concatenate([rows.target, np.full(len(failed), rows.target.max())]),
            rows.resources,
        )

    def _run_on(
        self,
        posterior: Posterior,
        features: Features,
        data: Data,
        o: Observations,
        rng: np.random.Generator,
    ) -> tuple[Posterior, FloatArray]:
        """Return the posterior with running evaluations, and their rows."""
        rows = o.pending[-MOST_PENDING:]
        if self.pending == "none" or not len(rows):
            return posterior, rows[:0]
        level = np.searchsorted(data.steps, o.pending_to[-MOST_PENDING:])
        level = np.where(o.pending_to[-MOST_PENDING:] == 0, data.goal, np.minimum(level, len(data.steps) - 1))
        F = features.embed(rows, _feature(data)[level])
        draws = rng.normal(size=(len(rows), self.fantasies)) if self.pending == "fantasies" else None
        return posterior.extended(F, level, draws), rows


def _feature(data: Data) -> FloatArray:
    """Return (R,): resources as a feature, 0 for one step and 1 for the most."""
    return np.log(data.steps) / max(np.log(data.steps[-1]), 1.0)
