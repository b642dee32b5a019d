"""What does a suggestion of the Gaussian process cost? CPU time of ``fit`` and ``ask``, beside Optuna's, in one run.

    python tests/benchmarks/speed_gp.py [--quick]

Medians over repetitions, in milliseconds of CPU time on one thread, in five dimensions. "first" is the fit of a
worker that has just joined, with hyperparameters learnt from nothing; "next" that of one which has fitted before.
Optuna's GP (it needs torch) has no such division. "partial" is a study with steps, of as many reports.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from aiohpo.plugin import Identity
from aiohpo.space.space import Float, Space
from aiohpo.testing import StaticView
from aiohpo_plugins.searchers.gp.model import RESOURCES
from aiohpo_plugins.searchers.gp.searcher import GPSearcher

SPACE = Space({f"x{i}": Float(0, 1) for i in range(5)})
LIMITS = {50: 30, 200: 60, 500: 150, 1000: 600}


def loss(X: np.ndarray) -> np.ndarray:
    return np.asarray(np.sin(5 * X[:, 0]) + ((X - 0.3) ** 2).sum(axis=1))


def complete(n: int) -> StaticView:
    """Return a view of ``n`` complete trials."""
    X = SPACE.sample(np.random.default_rng(0), n)
    return StaticView(SPACE, X, loss(X))


def partial(n: int) -> StaticView:
    """Return a view of trials under successive halving, with about ``n`` reports at levels."""
    X = SPACE.sample(np.random.default_rng(0), 2 * n // 3)
    reports, alive, r = [], np.argsort(loss(X)), 1
    while len(alive):
        reports += [(int(i), r, float(loss(X[i : i + 1])[0] + np.exp(-r / 9))) for i in alive]
        alive, r = (alive[: len(alive) // 3], 3 * r) if r < 81 else (alive[:0], r)
    return StaticView(SPACE, partial=X, reports=reports, max_steps=81)


def cpu(function: Callable[[], Any], repetitions: int) -> float:
    """Return the median CPU milliseconds of a call."""
    seconds = []
    for _ in range(repetitions):
        start = time.process_time()
        function()
        seconds.append(time.process_time() - start)
    return 1e3 * float(np.median(seconds))


def ours(before: StaticView, view: StaticView, repetitions: int, **options: Any) -> list[float]:
    """Return the cost of the first fit, of the next, and of asking."""
    searcher = GPSearcher(**options)
    searcher.setup(SPACE, 0, Identity("w", 0, 1))
    first = cpu(lambda: searcher.fit(view.observations()), repetitions)
    searcher.adopt(searcher.fit(before.observations()))
    after = cpu(lambda: searcher.fit(view.observations()), repetitions)
    searcher.adopt(searcher.fit(view.observations()))
    rng = np.random.default_rng(0)
    return [first, after, cpu(lambda: searcher.ask(view, rng, (0,)), repetitions)]


def optuna_gp(view: StaticView, repetitions: int) -> float:
    """Return the cost of a suggestion by Optuna's Gaussian process."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.GPSampler(seed=0))
    distributions = {name: optuna.distributions.FloatDistribution(0, 1) for name in SPACE.names}
    o = view.observations()
    for config, value in zip(SPACE.decode(o.X), o.y.tolist(), strict=True):
        study.add_trial(optuna.trial.create_trial(params=config, distributions=distributions, value=value))
    return cpu(lambda: study.ask(distributions), repetitions)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1 repetition, up to 1,000 observations")
    args = parser.parse_args()
    sizes, repetitions = ([50, 200, 1000], 1) if args.quick else ([50, 200, 500, 1000, 3000, 10_000], 5)
    peer = all(importlib.util.find_spec(name) for name in ("optuna", "torch"))
    if not peer:
        print("skipped: Optuna's GP, as optuna or torch is not installed (pip install optuna torch)")
    print(f"{'CPU ms':>12}{'first':>9}{'next':>9}{'ask':>9}{'limit':>9}{'Optuna':>9}")
    for n in sizes:
        view = complete(n)
        costs = ours(complete(n - 1), view, repetitions)
        theirs = f"{optuna_gp(view, repetitions):>9.0f}" if peer and n <= 1000 else f"{'-':>9}"
        print(f"{n:>12}" + "".join(f"{c:>9.1f}" for c in costs) + f"{LIMITS.get(n, '-'):>9}{theirs}", flush=True)
    for model in RESOURCES:
        for n in sizes[:3]:
            costs = ours(partial(n - 9), partial(n), repetitions, resource=model)
            print(f"partial {model} {n:>5}: " + "".join(f"{c:>9.1f}" for c in costs), flush=True)


if __name__ == "__main__":
    main()
