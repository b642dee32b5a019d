"""What does a suggestion cost? CPU time of ``ask`` and ``fit``, beside Optuna's TPE, in one run.

    python tests/benchmarks/speed_ask.py [--quick]

Medians over repetitions, in milliseconds of CPU time. ``ask`` is what a free worker waits for; ``fit`` runs in a
thread while evaluations run. Optuna has no such division: its ``ask`` is the whole step.
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
from support import harness

from aiohpo.plugin import FittingSearcher, Identity, Searcher
from aiohpo.space.space import Categorical, Float, Int, Space
from aiohpo.testing import StaticView
from aiohpo_plugins.searchers.adbo.searcher import ADBOSearcher
from aiohpo_plugins.searchers.density.kde import KDESearcher
from aiohpo_plugins.searchers.density.tpe import TPESearcher
from aiohpo_plugins.searchers.quasirandom import QuasiRandomSearcher
from aiohpo_plugins.searchers.random import RandomSearcher

SPACES = {
    "6 floats": Space({f"x{i}": Float(0, 1) for i in range(6)}),
    "14 mixed": Space(
        {f"f{i}": Float(1e-4, 1e2, log=True) for i in range(5)}
        | {f"i{i}": Int(1, 200) for i in range(3)}
        | {f"c{i}": Categorical(["a", "b", "c"]) for i in range(3)}
        | {f"s{i}": Float(0, 1, when={"c0": ["a", "b"]}) for i in range(3)}
    ),
}
LIMITS = {"ask": 5.0, "step up to 1000": 25.0, "step at 10000": 60.0}


def cpu(function: Callable[[], Any], repetitions: int) -> float:
    """Return the median CPU milliseconds of a call."""
    seconds = []
    for _ in range(repetitions):
        start = time.process_time()
        function()
        seconds.append(time.process_time() - start)
    return 1e3 * float(np.median(seconds))


def observed(space: Space, n: int) -> StaticView:
    """Return a view of ``n`` random observations of a smooth function."""
    X = space.sample(np.random.default_rng(0), n)
    return StaticView(space, X, np.nansum((X - 0.3) ** 2, axis=1))


def ours(searcher: Searcher, view: StaticView, repetitions: int) -> tuple[float, float]:
    """Return the cost of ask and of fit."""
    searcher.setup(view.space, 0, Identity("w", 0, 1))
    rng, fit = np.random.default_rng(0), 0.0
    if isinstance(searcher, FittingSearcher):
        searcher.adopt(searcher.fit(view.observations()))
        fit = cpu(lambda: searcher.fit(view.observations()), repetitions)
    searcher.ask(view, rng, (0,))
    return cpu(lambda: searcher.ask(view, rng, (0,)), repetitions), fit


def tpe(view: StaticView, repetitions: int) -> float:
    """Return the cost of Optuna's ask with as many observations."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    o = view.observations()
    template = study.ask()
    harness.suggest(template, view.space)
    known: dict[str, Any] = {}
    sampler = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    while len(known) < view.space.dim:  # distributions of all parameters, conditional ones too
        trial = sampler.ask()
        harness.suggest(trial, view.space)
        known.update(trial.distributions)
    study.tell(template, 1.0)
    for config, loss in zip(view.space.decode(o.X), o.y.tolist(), strict=True):
        distributions = {name: known[name] for name in config}
        study.add_trial(optuna.trial.create_trial(params=config, distributions=distributions, value=loss))
    return cpu(lambda: harness.suggest(study.ask(), view.space), repetitions)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 repetitions, up to 1,000 observations")
    args = parser.parse_args()
    sizes, repetitions = ([50, 1000], 3) if args.quick else ([50, 200, 1000, 5000, 10000], 9)
    optuna = importlib.util.find_spec("optuna") is not None
    if not optuna:
        print("skipped: Optuna's TPE, as optuna is not installed (pip install optuna)")
    print("CPU ms; limits for adbo: " + ", ".join(f"{name} {limit:g}" for name, limit in LIMITS.items()))
    for name, space in SPACES.items():
        print(f"\n{name:12}{'adbo ask':>10}{'fit':>8}{'step':>8}", end="")
        print(f"{'tpe ask':>10}{'fit':>8}{'kde ask':>10}{'fit':>8}{'random':>10}{'sobol':>8}{'Optuna TPE':>12}")
        for n in sizes:
            view = observed(space, n)
            ask, fit = ours(ADBOSearcher(), view, repetitions)
            densities = ours(TPESearcher(), view, repetitions) + ours(KDESearcher(random=0.0), view, repetitions)
            random, _ = ours(RandomSearcher(), view, repetitions)
            sobol, _ = ours(QuasiRandomSearcher(), view, repetitions)
            peer = f"{tpe(view, min(repetitions, 5)):>12.1f}" if optuna else f"{'-':>12}"
            print(f"{n:>12}{ask:>10.2f}{fit:>8.1f}{ask + fit:>8.1f}", end="")
            print("{:>10.2f}{:>8.1f}{:>10.2f}{:>8.1f}".format(*densities), end="")
            print(f"{random:>10.2f}{sobol:>8.2f}{peer}", flush=True)


if __name__ == "__main__":
    main()
