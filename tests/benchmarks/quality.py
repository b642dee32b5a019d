"""How good are the searchers? Best losses found, beside Optuna's, in one run.

    python tests/benchmarks/quality.py [--quick] [--seeds N] [--only sequential|parallel|real]

Three parts, each a table of medians over seeds (or mean ranks over tasks):

sequential  synthetic functions, one evaluation at a time, the model refitted before every one
parallel    the same with 16 and 64 evaluations outstanding, by as many workers
real        surrogates and tables of real experiments: mean rank at 50 and at 100 evaluations

Every searcher sees the same tasks, seeds and (virtual) durations. "ms" is CPU time per step, refit included.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from scipy.stats import rankdata
from support import harness, tasks

from aiohpo_plugins.searchers.adbo.searcher import ADBOSearcher
from aiohpo_plugins.searchers.density.kde import KDESearcher
from aiohpo_plugins.searchers.density.tpe import TPESearcher
from aiohpo_plugins.searchers.gp.searcher import GPSearcher
from aiohpo_plugins.searchers.random import RandomSearcher

Contender = Callable[..., harness.Run]

SEQUENTIAL = ["ackley5", "hartmann6", "plain-levy8", "levy8", "rosenbrock5", "rot-ellipsoid6", "rastrigin5"]
PARALLEL = ["ackley5", "hartmann6", "levy8", "rosenbrock5"]
TARGETS = {  # (task, evaluations, outstanding): the loss that is asked of adbo
    ("ackley5", 100, 1): 7.0,
    ("ackley5", 200, 1): 2.0,
    ("hartmann6", 100, 1): -3.2,
    ("plain-levy8", 200, 1): 3.0,
    ("levy8", 200, 1): 3.0,
    ("ackley5", 200, 16): 4.5,
}


def contenders(everything: bool) -> dict[str, Contender]:
    """Return what can be compared here, by name; say what is missing."""
    found: dict[str, Contender] = {
        "adbo": partial(harness.run, ADBOSearcher),
        "gp": partial(harness.run, GPSearcher),
        "tpe": partial(harness.run, TPESearcher),
    }
    if everything:
        found["kde"] = partial(harness.run, KDESearcher)
        found["random"] = partial(harness.run, RandomSearcher)
    if importlib.util.find_spec("optuna") is None:
        print("skipped: Optuna's samplers, as optuna is not installed (pip install optuna)")
        return found
    import optuna

    found["optuna tpe"] = partial(harness.run_optuna, lambda seed: optuna.samplers.TPESampler(seed=seed))
    if everything:
        for name, sampler, needs in (("cma-es", "CmaEsSampler", "cmaes"), ("optuna gp", "GPSampler", "torch")):
            if importlib.util.find_spec(needs) is None:
                print(f"skipped: Optuna's {name}, as {needs} is not installed (pip install {needs})")
            else:
                make = getattr(optuna.samplers, sampler)
                found[name] = partial(harness.run_optuna, lambda seed, make=make: make(seed=seed))
    return found


def medians(names: list[str], outstanding: int, trials: int, seeds: int, entered: dict[str, Contender]) -> None:
    """Print the median best loss after half and after all of the trials."""
    at = [trials // 2, trials]
    print(f"\n{outstanding} outstanding, median best loss of {seeds} seeds after " + " / ".join(map(str, at)))
    print(f"{'':14}" + "".join(f"{name:>20}" for name in entered) + "    targets for adbo")
    for name in names:
        line = f"{name:14}"
        for contender in entered.values():
            runs = [contender(tasks.make(name, seed), trials, seed, outstanding) for seed in range(seeds)]
            best = [float(np.median([run.best(n) for run in runs])) for n in at]
            cost = 1e3 * float(np.mean([np.mean(run.seconds) for run in runs]))
            line += f"{best[0]:>7.3g} /{best[1]:>6.3g}{cost:>3.0f}ms"
        asked = [f"{TARGETS[key]:g} after {key[1]}" for n in at if (key := (name, n, outstanding)) in TARGETS]
        print(line + "    " + ", ".join(asked), flush=True)


def real_tasks(each: int) -> Iterator[str]:
    """Yield tasks of real experiments; of the families with many, ``each``, evenly spaced."""
    for family in ("rbv2_xgboost", "rbv2_ranger"):
        yield from tasks.spread(tasks.instances(family), each)
    yield from ("fcnet_protein_structure", "fcnet_naval_propulsion")
    yield from tasks.spread(tasks.instances("lcbench"), each // 2)
    yield from (f"hpobench:{task}" for task in ("phoneme", "vehicle", "credit_g", "blood_transfusion"))
    yield from ("nb201", "nb301")


def ranks(names: list[str], seeds: int, entered: dict[str, Contender]) -> None:
    """Print mean ranks at 50 and 100 evaluations, per family and over all."""
    at = [50, 100]
    table: dict[str, list[Any]] = {}
    for name in names:
        for seed in range(seeds):
            task = tasks.make(name, seed)
            runs = [contender(task, at[-1], seed, 1) for contender in entered.values()]
            ranked = [rankdata(np.round([run.best(n) for run in runs], 12)) for n in at]
            family = name.partition(":")[0].partition("_protein")[0].partition("_naval")[0]
            table.setdefault(family, []).append(ranked)
            table.setdefault("all", []).append(ranked)
    print(f"\nmean rank over {len(names)} real tasks, {seeds} seeds, after " + " / ".join(map(str, at)))
    print(f"{'':14}" + "".join(f"{name:>16}" for name in entered))
    for family in sorted(table, key=lambda f: f == "all"):
        mean = np.mean(table[family], axis=0)
        print(f"{family:14}" + "".join(f"{a:>8.2f} /{b:>6.2f}" for a, b in mean.T), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="seeds per synthetic task (real: a third of it)")
    parser.add_argument("--quick", action="store_true", help="3 seeds and few tasks: about a minute")
    parser.add_argument("--only", choices=["sequential", "parallel", "real"])
    args = parser.parse_args()
    seeds = 3 if args.quick else args.seeds
    entered = contenders(everything=True)
    duel = contenders(everything=False)
    if args.only in (None, "sequential"):
        medians(SEQUENTIAL[:3] if args.quick else SEQUENTIAL, 1, 200, seeds, entered)
    if args.only in (None, "parallel"):
        for outstanding in [16] if args.quick else [16, 64]:
            medians(PARALLEL[:1] if args.quick else PARALLEL, outstanding, 200, seeds, duel)
    if args.only in (None, "real"):
        if reason := tasks.available():
            print(f"\nskipped: real tasks, as {reason}")
        else:
            names = list(real_tasks(2 if args.quick else 10))
            ranks(names, 1 if args.quick else max(1, seeds // 3), duel)


if __name__ == "__main__":
    main()
