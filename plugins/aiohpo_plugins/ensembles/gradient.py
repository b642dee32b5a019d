"""Weights and calibrators of an ensemble, learned together by gradient descent on the ensemble's own cross-entropy.

Calibrating each model by itself makes each honest, but their mean less sure than it could be (Ranjan and Gneiting,
JRSS B 2010); learned together with a temperature of the mean, calibrators make the *ensemble* honest. The objective is
in :mod:`.mixture`, the descent is L-BFGS. With eighty models and some hundred rows that overfits, if
nothing is done against it:

1. It begins with a greedy selection, whose weights are where the descent of γ starts. So only models that add
   something take part, and what is returned is sparse.
   (Beginning with all of them was worse on real libraries, by 4 %, but for models that predict classes without
   probabilities: of these a selection can be without any mistake on the rows that it sees, and test log-losses were
   0.37 and 0.40 instead of 0.32 and 0.21.)
2. A prior holds each model's calibrator near what all models have in common.
3. The descent stops early: after as many iterations as were best, on average, for rows that had been held out, of
   everything, the selection included. If that is none at all, the greedy selection is returned as it is.

The held-out predictions of that iteration also give the score that is reported: an honest one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from aiohpo.ensembles.ensemble import Ensemble, Member, mix_predictions
from aiohpo.ensembles.metrics import METRICS, SMALLEST, Metric, get_metric
from aiohpo.errors import UsageError
from aiohpo.plugin import Options

from .folds import assign
from .lbfgs import lbfgs
from .mixture import Mixture, NormalMixture, mixture_for
from .models import Models
from .pools import pool_for
from .selection import LossMemory, caruana

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aiohpo.ensembles.calibrators import Calibrator
    from aiohpo.plugin import FloatArray, IntArray

    BoolArray = NDArray[np.bool_]

STARTS = ("greedy", "uniform")
SCALINGS = ("temperature", "platt", "vector")
_MOST = 100  # models of a uniform start, so that thousands do not have to be held in memory together
_PATIENCE = 10  # iterations without a better held-out loss before a fold gives up
_LEAST_WEIGHT = 1e-3  # members of less are dropped


class _Crossed:
    """A descent on every fold, with the rows of that fold held out.

    curve       cross-entropy of held-out rows after 0, 1, … iterations, averaged over folds
    iterations  after how many it was least
    honest      the held-out predictions (n, k) after as many
    """

    def __init__(self, builder: GradientBuilder, models: Models, start: str, fold: IntArray) -> None:
        parts = [
            builder.descend(models, start, fold != held, fold == held, builder.iterations)
            for held in range(int(fold.max()) + 1)
        ]
        longest = max(len(part.losses) for part in parts)
        self.curve = np.array([d.losses + d.losses[-1:] * (longest - len(d.losses)) for d in parts]).mean(axis=0)
        self.iterations = int(self.curve.argmin())
        self.honest = np.empty((len(fold), parts[0].predictions[0].shape[1]))
        for held, part in enumerate(parts):
            self.honest[fold == held] = part.predictions[min(self.iterations, len(part.predictions) - 1)]


def _all_certain(models: Models) -> bool:
    """Whether models predict classes without stating probabilities."""
    return all(bool((models[row].max(axis=1) >= 1.0 - SMALLEST).all()) for row in models.rows)


@dataclass(frozen=True, slots=True)
class _Descent:
    """One descent from one start.

    rows         of the models that took part
    mixture      of the rows that were learned from
    found        parameters after 0, 1, … iterations
    predictions  for the rows held out, after as many
    losses       the cross-entropy of those (or their root mean squared error)
    """

    rows: list[int]
    mixture: Mixture
    found: list[FloatArray]
    predictions: list[FloatArray]
    losses: list[float]


class GradientBuilder:
    """Learn weights and calibrators together.

    Args:
        size: at most so many members.
        start: ``greedy``: begin with what a greedy selection of ``size`` steps chose; ``uniform``: with the best
            100, equal weights, and keep those ``size`` with the largest; ``auto``: the latter if models predict
            classes without probabilities.
        scaling: of log-probabilities: ``temperature``; ``platt``, with a shift per class; ``vector``, with a scale
            per class as well.
        prior: how strongly calibrators are held near what they share: squared deviations cost so many nats, for
            regression a quarter of it.
        iterations: of the descent, at most.
        folds: for stopping early and for an honest score.
        seed: of the folds.

    Raises UsageError for values that are out of range.
    """

    name = "gradient"

    def __init__(
        self,
        *,
        size: int = 25,
        start: str = "auto",
        scaling: str = "platt",
        prior: float = 20.0,
        iterations: int = 100,
        folds: int = 5,
        seed: int = 0,
    ) -> None:
        options = Options(self.name)
        self.size = options.whole("size", size, least=1)
        self.start = options.choice("start", start, ("auto", *STARTS))
        self.scaling = options.choice("scaling", scaling, SCALINGS)
        self.prior = options.number("prior", prior, least=0)
        self.iterations = options.whole("iterations", iterations, least=1)
        self.folds = options.whole("folds", folds, least=2)
        self.seed = options.whole("seed", seed, least=0)

    def fit(self, predictions: Any, y: Any, metric: Any) -> Ensemble:
        """See :class:`aiohpo.plugin.EnsembleBuilder`. What is minimised, and what stops the descent, is the
        cross-entropy; for regression the squared error, unless the metric is ``nll``. The metric itself is only
        reported. Models that cannot be used are left out, and named in the ensemble's ``problems``; raises UsageError
        if there is none left."""
        metric = get_metric(metric)
        models = Models(predictions, y, metric)
        if len(models.y) < 2:
            raise UsageError("gradient: one validation row is not enough: some are learned from, others held out")
        fold = assign(models.y, min(self.folds, len(models.y)), self.seed)
        start = self.start
        if start == "auto":
            start = "uniform" if models.task == "classification" and _all_certain(models) else "greedy"
        best = _Crossed(self, models, start, fold)
        final = self.descend(models, start, np.ones(len(fold), dtype=bool), None, best.iterations)
        weights, calibrators, after = self._result(models, final, best.honest)
        kept = np.flatnonzero(weights)
        return Ensemble(
            task=metric.task,
            members=tuple(Member(final.rows[i]) for i in kept),
            weights=weights[kept],
            calibrators=tuple(calibrators[i] for i in kept),
            metric=metric.name,
            score=metric(models.y, best.honest),
            columns=models.k,
            path=tuple(enumerate(best.curve.tolist())),
            builder=self.name,
            problems=models.problems,
            final=after,
        )

    def _result(
        self, models: Models, final: _Descent, honest: FloatArray
    ) -> tuple[FloatArray, list[Calibrator | None], Calibrator | None]:
        """Weights, zero for members that are dropped; the models' calibrators; and that of their mixture."""
        mixture = final.mixture
        x = self._sparse(mixture, final.found[-1])
        weights = mixture.weights(x)
        if len(final.found) == 1 and models.task == "classification":  # not one iteration: nothing is to be changed
            return weights, [None] * len(weights), None
        if isinstance(mixture, NormalMixture) and models.metric.name != "nll":
            # the descent was stopped by what means are worth: held-out rows say what the variance is
            x = mixture.with_error(x, float(np.square(honest[:, 0] - models.y).mean()))
        return weights, list(mixture.calibrators(x)), mixture.final(x)

    def descend(
        self, models: Models, start: str, learned: BoolArray, held: BoolArray | None, iterations: int
    ) -> _Descent:
        """Start and descend with some rows; measure on others, if there are any, and give up in time."""
        rows, weights = self._begin(models, start, learned)
        chosen = [models[row] for row in rows]
        mixture = mixture_for([p[learned] for p in chosen], models.y[learned], models.metric, self.scaling, self.prior)
        x = mixture.begin(weights)
        descent = _Descent(rows, mixture, [x], [], [])
        other = None
        if held is not None:
            out = [p[held] for p in chosen]
            other = mixture_for(out, models.y[held], models.metric, self.scaling, self.prior, like=mixture)
            first = other.predict(x)
            if models.task == "classification":
                first = mix_predictions(np.stack(out), mixture.weights(self._sparse(mixture, x)), models.task)
            self._measure(descent, first, models.y[held], models.metric)

        for found in islice(lbfgs(mixture, x), iterations):
            descent.found.append(found)
            if other is not None:
                self._measure(descent, other.predict(self._sparse(other, found)), models.y[held], models.metric)
                if len(descent.losses) > _PATIENCE + int(np.argmin(descent.losses)):
                    break
        return descent

    def _begin(self, models: Models, start: str, learned: BoolArray) -> tuple[list[int], FloatArray]:
        """Return the rows of the models that the descent begins with, and their weights."""
        m = len(models.rows)
        metric = METRICS["rmse" if models.task == "regression" else "log_loss"]
        memory = LossMemory(pool_for(models.y[learned], models.k, metric))
        memory.pool.reserve(m)
        for slot, row in enumerate(models.rows):
            memory.put(slot, models[row][learned])
        if start == "uniform":
            alone = memory.losses((), memory.pool.start(), np.arange(m))
            best = np.argsort(alone, kind="stable")[:_MOST]
            return [models.rows[slot] for slot in best], np.full(len(best), 1.0 / len(best))
        counts = caruana(memory, range(m), self.size, 1).counts
        total = sum(counts.values())
        return [models.rows[slot] for slot in counts], np.array([count / total for count in counts.values()])

    def _measure(self, descent: _Descent, predictions: FloatArray, y: Any, metric: Metric) -> None:
        if metric.task == "classification":
            metric = METRICS["log_loss"]
        elif metric.name != "nll":
            metric = METRICS["rmse"]
        descent.predictions.append(predictions)
        descent.losses.append(metric(y, predictions))

    def _sparse(self, mixture: Mixture, x: FloatArray) -> FloatArray:
        """Return parameters under which at most ``size`` models have a weight, and none a negligible one."""
        weights = mixture.weights(x)
        kept = np.argsort(-weights, kind="stable")[: self.size]
        sparse = x.copy()
        sparse[: mixture.m] = -np.inf
        kept = kept[weights[kept] >= _LEAST_WEIGHT / mixture.m]
        sparse[kept] = x[kept]
        return sparse

    def __repr__(self) -> str:
        return f"<GradientBuilder size {self.size}, {self.start} start, {self.scaling}, prior {self.prior:g}>"
