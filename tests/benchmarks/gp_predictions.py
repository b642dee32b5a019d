"""Which Gaussian process predicts losses best? Correlations and priors, on data sets instead of on searches.

    python tests/benchmarks/gp_predictions.py [--quick]

Each data set is the beginning of an evolutionary search: the centre, four Sobol points, then steps around the five best
and, one time in six, a random point. The targets of 150 points anywhere and of 100 close to the best (about 0.08 away)
are predicted. Printed are the mean negative logarithm of the predictive density and the rank correlation of
predicted mean and loss, of both; and the share of the space whose expected improvement is above that at the optimum. A
model takes seconds for all data sets; searching with it takes as long for each, and tells but one best loss.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING
from unittest.mock import patch

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from scipy.stats import norm, qmc, spearmanr
from support import functions

from aiohpo.space.space import Float, Space
from aiohpo_plugins.searchers.common.candidates import Candidates
from aiohpo_plugins.searchers.gp.acquisition import log_ei
from aiohpo_plugins.searchers.gp.surrogate import likelihood as priors
from aiohpo_plugins.searchers.gp.surrogate.features import Features
from aiohpo_plugins.searchers.gp.surrogate.kernel import matern, two_scales
from aiohpo_plugins.searchers.gp.surrogate.learn import Memory, learn
from aiohpo_plugins.searchers.gp.surrogate.likelihood import Likelihood, TrainingRows
from aiohpo_plugins.searchers.gp.surrogate.posterior import Posterior
from aiohpo_plugins.searchers.gp.surrogate.resource import MaternModel
from aiohpo_plugins.searchers.gp.surrogate.targets import standardise

if TYPE_CHECKING:
    from aiohpo_plugins.searchers.gp.surrogate.kernel import Correlation

NAMES = ["ackley5", "rot-ackley8", "levy8", "rot-levy6", "rastrigin6", "rot-rastrigin5", "rosenbrock10"]
NAMES += ["rot-rosenbrock6", "rot-ellipsoid6"]
MODELS: dict[str, tuple[Correlation, bool, float, float]] = {  # correlation, whether alike, ALIKE and COMMON
    "one scale, independent": (matern, False, 0.3, 0.7),
    "one scale, 0.3": (matern, True, 0.3, 0.7),
    "two scales, independent": (two_scales, False, 0.3, 0.7),
    "two scales, 0.15": (two_scales, True, 0.15, 0.7),
    "two scales, 0.3": (two_scales, True, 0.3, 0.7),
    "two scales, 0.4": (two_scales, True, 0.4, 0.7),
    "two scales, 0.3, c 1": (two_scales, True, 0.3, 1.0),
}
DataSet = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # X and losses; points to predict and their losses


def data_sets(names: list[str], seeds: int, n: int) -> Iterator[DataSet]:
    """Yield the data sets; the last of the points to predict is the optimum."""
    for name in names:
        for seed in range(seeds):
            loss, d = functions.unit(name, seed)
            rng = np.random.default_rng([seed, d, 2])
            candidates = Candidates(space(d))
            X = np.concatenate([np.full((1, d), 0.5), qmc.Sobol(d, rng=rng).random(4)])
            y = np.array([loss(x) for x in X])
            while len(y) < n:
                anywhere = rng.random() < 1 / 6
                x = candidates.uniform(rng, 1) if anywhere else candidates.around(rng, X[np.argsort(y)[:5]], 1)
                X, y = np.concatenate([X, x]), np.append(y, loss(x[0]))
            near = np.clip(X[y.argmin()] + 0.08 * rng.normal(size=(100, d)), 0, 1)
            points = np.concatenate([rng.random((150, d)), near, functions.optimum(name, seed)[None]])
            yield X, y, points, np.array([loss(x) for x in points])


def space(d: int) -> Space:
    return Space({f"x{i}": Float(0.0, 1.0) for i in range(d)})


def scores(data: DataSet, correlation: Correlation, alike: bool) -> list[float]:
    """Return densities anywhere and close to the best, rank correlations there, and the share that promises more."""
    X, y, points, truth = data
    features = Features(space(X.shape[1]))
    likelihood = Likelihood(MaternModel(), features.group, features.groups, alike, correlation)
    z = standardise(y)
    rows = TrainingRows(features.embed(X), np.zeros(len(y), dtype=np.intp), z, np.ones(1))
    theta, _ = learn(likelihood, lambda k: rows.select(slice(0, k)), len(y), Memory())
    posterior = Posterior.of(likelihood, theta, rows)
    at = posterior.predict(features.embed(points), 0)
    best = np.array([posterior.predict(rows.features, 0).mean.min()])
    order = np.argsort(y)
    target = np.interp(truth, y[order], z[order])
    density = -norm.logpdf(target, at.mean[:, 0], np.sqrt(at.variance + posterior.noise))
    promise = log_ei(at.mean, at.variance, best, posterior.noise)
    parts = slice(0, 150), slice(150, 250)
    return [
        *(float(np.clip(density[part].mean(), -9, 9)) for part in parts),
        *(float(spearmanr(at.mean[part, 0], truth[part])[0]) for part in parts),
        float((promise[:150] > promise[-1]).mean()),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one seed and 25 observations only: a few seconds")
    args = parser.parse_args()
    seeds, sizes = (1, [25]) if args.quick else (3, [12, 25, 50])
    for n in sizes:
        sets = list(data_sets(NAMES, seeds, n))
        print(f"{n} observations, {len(sets)} data sets{'density':>14}{'correlation':>18}{'promise':>14}")
        for name, (correlation, alike, apart, common) in MODELS.items():
            with patch.object(priors, "ALIKE", apart), patch.object(priors, "COMMON", common):
                mean = np.mean([scores(data, correlation, alike) for data in sets], axis=0)
            print(f"{name:28}" + "".join(f"{value:>9.3f}" for value in mean), flush=True)


if __name__ == "__main__":
    main()
