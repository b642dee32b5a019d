"""Is the default the best? ``auto`` beside gp, adbo and Optuna's samplers: mean ranks by evaluations.

    python tests/benchmarks/default_searcher.py FILE [--seeds N] [--outstanding Q] [--contenders C …] [--tasks T …]

Every search is appended to FILE as a line of JSON, by contender, task, seed and evaluations outstanding; what is there
is not done again, so that an interrupted run goes on, and parts of different interpreters are combined. The table
counts the pairs of task and seed that every contender has; without ``--seeds`` it is only printed. Optuna's samplers
need ``optuna``, ``cmaes`` (CMA-ES) and ``torch`` (its GP); what is missing is said.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from scipy.stats import rankdata
from support import harness, tasks

from aiohpo.plugin.registry import create

OURS = ["auto", "gp", "adbo", "random"]
PEERS = {"optuna-tpe": ("TPESampler", "optuna"), "optuna-cmaes": ("CmaEsSampler", "cmaes")}
PEERS["optuna-gp"] = ("GPSampler", "torch")
TASKS = ["ackley5", "hartmann6", "levy8", "rosenbrock10", "rastrigin6", "rot-ackley8", "rot-levy5", "rot-rosenbrock6"]
REAL = ["fcnet_naval_propulsion", "hpobench:credit_g", "lcbench:189906", "nb201", "rbv2_ranger:44", "rbv2_xgboost:50"]
AT = (10, 25, 50, 100)
Found = dict[tuple[str, str, int], dict[str, Any]]


def search(contender: str, task: tasks.Task, trials: int, seed: int, outstanding: int) -> harness.Run:
    """Run one search. Raises ModuleNotFoundError for a contender that cannot be had here."""
    if contender not in PEERS:
        return harness.run(lambda: create("searchers", contender), task, trials, seed, outstanding)
    sampler, needs = PEERS[contender]
    if importlib.util.find_spec(needs) is None:
        raise ModuleNotFoundError(f"{contender} needs {needs} (pip install {needs})")
    import optuna

    made = getattr(optuna.samplers, sampler)
    return harness.run_optuna(lambda seed: made(seed=seed), task, trials, seed, outstanding)


def load(file: Path, outstanding: int) -> Found:
    """Return the searches in a file."""
    lines = map(json.loads, file.read_text().splitlines() if file.exists() else ())
    return {(d["contender"], d["task"], d["seed"]): d for d in lines if d["outstanding"] == outstanding}


def print_table(found: Found, contenders: list[str]) -> None:
    """Print mean ranks with their standard errors, and CPU time per trial."""
    pairs = sorted({key[1:] for key in found if all((c, *key[1:]) in found for c in contenders)})
    if not pairs:
        print("no pair of task and seed that every contender has")
        return
    best = np.array([[[found[(c, *pair)]["best"][n - 1] for c in contenders] for n in AT] for pair in pairs])
    ranks = rankdata(np.round(best, 12), axis=-1)
    mean, error = ranks.mean(axis=0), ranks.std(axis=0) / np.sqrt(len(pairs))
    print(f"mean rank of {len(contenders)} on {len(pairs)} pairs of task and seed, and its standard error, after")
    print(f"{'':14}" + "".join(f"{n:>13}" for n in AT) + "   CPU ms per trial")
    for i, name in enumerate(contenders):
        cpu = float(np.mean([found[(name, *pair)]["ms"] for pair in pairs]))
        row = (f"{m:>7.2f} ±{e:.2f}" for m, e in zip(mean[:, i], error[:, i], strict=True))
        print(f"{name:14}" + " ".join(row) + f"{cpu:>12.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seeds", type=int, default=0)
    parser.add_argument("--outstanding", type=int, default=1)
    parser.add_argument("--contenders", nargs="+", choices=[*OURS, *PEERS], default=[*OURS, *PEERS])
    parser.add_argument("--tasks", nargs="+", default=TASKS + (REAL if tasks.available() is None else []))
    args = parser.parse_args()
    found = load(args.file, args.outstanding)
    for seed in range(args.seeds):
        for name in args.tasks:
            for contender in args.contenders:
                if (contender, name, seed) in found:
                    continue
                try:
                    run = search(contender, tasks.make(name, seed), AT[-1], seed, args.outstanding)
                except ModuleNotFoundError as error:
                    print(f"skipped: {error}")
                    continue
                best, ms = np.minimum.accumulate(run.losses).tolist(), 1e3 * float(np.mean(run.seconds))
                line = {"contender": contender, "task": name, "seed": seed, "outstanding": args.outstanding}
                with args.file.open("a") as out:
                    out.write(json.dumps({**line, "best": best, "ms": ms}) + "\n")
    print_table(load(args.file, args.outstanding), args.contenders)


if __name__ == "__main__":
    main()
