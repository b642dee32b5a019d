"""Partial trials as training data: a row per trial and rung, the resource as a feature.

The feature of a rung r is ln r / ln max_steps. Its targets cannot simply be losses, which fall from rung to rung by
more than configurations differ, and not a rung's own rescaled losses either: who got there had been selected, so
the average of a higher rung is worth more than that of a lower one. Hence

    z_1 = rescale(losses at the lowest rung)
    z_k = m + s rescale(losses at rung k)       m, s: mean and standard deviation, by z_{k-1}, of just these trials

Predictions are made at the *goal*, the highest rung that enough trials have reached: a forest does not extrapolate.

On nine LCBench tasks, ASHA with 8 workers and the time of 30 complete trials, 29 pairs of task and seed: mean rank and
mean normalised regret of the best accuracy after a half and after all of the time:

    partial trials ignored                                  3.62 / .58    3.52 / .45
    as here, but predictions at max_steps                   2.29 / .41    2.21 / .28
    as here                                                 2.02 / .37    2.10 / .23
    no feature, the losses of the goal only                 2.07 / .40    2.17 / .26

and, in the first 18 of the pairs, z = rescale(all losses) was worse than these, with one row per trial even more so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..common.evidence import Rungs
from .targets import rescale

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aiohpo.plugin import FloatArray, Observations

RUNGS = 8  # of more (with early stopping, any step may be one) evenly spaced ones are used
ROWS = 3000  # of more, the best and latest are used, and others at random, so that a fit's cost is bounded
LEAST_SPREAD = 0.2  # of a rung's targets: two survivors that were equals may be told apart later


@dataclass(frozen=True, slots=True)
class Joint:
    """Training rows of trials, ``X`` (k, d), with ``resource`` (k,) in [0, 1] and ``targets`` (k,); ``goal`` is the
    resource at which to predict."""

    X: FloatArray
    resource: FloatArray
    targets: FloatArray
    goal: float


def joint_rows(o: Observations, enough: int, rng: np.random.Generator) -> Joint | None:
    """Return the training rows of a study with steps, or None if fewer than two trials have reached a rung.

    ``enough`` trials make a rung the goal; with fewer everywhere it is the lowest.
    """
    rungs = Rungs(o)
    steps = rungs.steps
    if len(steps) > RUNGS:
        steps = steps[np.linspace(0, len(steps) - 1, RUNGS).round().astype(int)]
    trials: list[NDArray[np.int64]] = []
    targets: list[FloatArray] = []
    for step in steps.tolist():
        reached, losses = rungs.losses_at(step)
        z = rescale(losses)
        if trials:  # everybody here has been at the rung below, too
            before = targets[-1][np.searchsorted(trials[-1], reached)]
            z = before.mean() + max(before.std(), LEAST_SPREAD) * z
        trials.append(reached)
        targets.append(z)
    if not trials or len(trials[0]) < 2:
        return None
    counts = [len(reached) for reached in trials]
    resources = np.log(steps) / np.log(max(o.max_steps or 2, 2))
    goal = resources[max(sum(count >= enough for count in counts) - 1, 0)]
    which, z, resource = np.concatenate(trials), np.concatenate(targets), np.repeat(resources, counts)
    if len(z) > ROWS:
        order = np.lexsort((z, -resource))
        order = np.concatenate([order[: ROWS // 2], rng.choice(order[ROWS // 2 :], ROWS // 2, replace=False)])
        which, z, resource = which[order], z[order], resource[order]
    return Joint(o.curves.X[which], np.minimum(resource, 1.0), z, float(min(goal, 1.0)))
