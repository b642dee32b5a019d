"""Is the default the best? ``auto`` beside gp, adbo, Optuna's samplers and Ax: mean ranks by evaluations and family.

    python tests/benchmarks/default_searcher.py FILE [--seeds N] [--outstanding Q] [--evaluations N] [--families F …]
        [--contenders C …]

Every search is appended to FILE as a line of JSON, by contender, task, seed and evaluations outstanding; what is there
is not done again, so that an interrupted run goes on, and parts of different interpreters are combined. The tables
count the pairs of task and seed that every contender has; ``--print`` only prints them. The seed chooses the instance
of a synthetic function, and all that is random. Needed are ``optuna``, ``cmaes`` (CMA-ES), ``torch`` (Optuna's GP),
``ax-platform``, and ``coco-experiment`` (BBOB); what is missing is said, once, and left out. Samplers and Ax are used
with their defaults.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from support import ax_client, harness, ranks, tasks

from aiohpo.plugin.registry import create

OURS = ["auto", "gp", "adbo", "random"]
SAMPLERS = {
    "optuna-tpe": ("TPESampler", "optuna"),
    "optuna-cmaes": ("CmaEsSampler", "cmaes"),
    "optuna-gp": ("GPSampler", "torch"),
}
NEEDS = {name: needs for name, (_, needs) in SAMPLERS.items()} | {"ax": "ax"}
CHEAP = ["auto", "adbo", "random", "optuna-tpe", "optuna-cmaes"]
FAMILIES = {
    "shifted": [
        "ackley5",
        "hartmann6",
        "levy8",
        "rosenbrock10",
        "rastrigin6",
        "rot-ackley8",
        "rot-levy5",
        "rot-rosenbrock6",
    ],
    "bbob-5": [f"bbob:f{i}:5" for i in range(1, 25)],
    "bbob-20": [f"bbob:f{i}:20" for i in range(1, 25)],
    "tables": ["fcnet_naval_propulsion", "fcnet_protein_structure", "hpobench:credit_g", "hpobench:phoneme", "nb201"],
    "lcbench": ["lcbench:189906", "lcbench:167200", "lcbench:189862"],
    "conditional": ["rbv2_ranger:44", "rbv2_xgboost:50", "rbv2_rpart:1468", "rbv2_super:1053", "nb301"],
}
AT = [10, 25, 50, 100, 200, 500, 1000]


def search(contender: str, task: tasks.Task, evaluations: int, seed: int, outstanding: int) -> harness.Run:
    """Run one search."""
    if contender == "ax":
        return ax_client.run(task, evaluations, seed, outstanding)
    if contender not in SAMPLERS:
        return harness.run(lambda: create("searchers", contender), task, evaluations, seed, outstanding)
    import optuna

    made = getattr(optuna.samplers, SAMPLERS[contender][0])
    return harness.run_optuna(lambda seed: made(seed=seed), task, evaluations, seed, outstanding)


def missing(contender: str) -> str | None:
    """Return None if the contender can be had, else the reason why not."""
    needs = NEEDS.get(contender)
    return f"{contender} needs {needs}" if needs and importlib.util.find_spec(needs) is None else None


def run(args: argparse.Namespace, names: list[str]) -> None:
    """Do the searches that the file does not hold yet."""
    said = [why for why in [*map(missing, args.contenders), *map(tasks.missing, names)] if why]
    for why in dict.fromkeys(said):
        print(f"skipped: {why}", file=sys.stderr)
    done = ranks.Searches.load([args.file], args.outstanding)
    for seed in range(args.first, args.seeds):
        for name in [n for n in names if tasks.missing(n) is None]:
            for contender in [c for c in args.contenders if missing(c) is None]:
                if done.length(contender, (name, seed)) >= args.evaluations:
                    continue
                found = search(contender, tasks.make(name, seed), args.evaluations, seed, args.outstanding)
                line = {"contender": contender, "task": name, "seed": seed, "outstanding": args.outstanding}
                line |= {"best": np.minimum.accumulate(found.losses).tolist()}
                line |= {"ms": [round(1e3 * s, 2) for s in found.seconds]}
                with args.file.open("a") as out:
                    out.write(json.dumps(line) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--quick", action="store_true", help="a trial of it: one seed, two functions, 15 evaluations")
    parser.add_argument("--print", action="store_true", help="search nothing")
    parser.add_argument("--seeds", type=int, default=1, help="up to but not including this one")
    parser.add_argument("--first", type=int, default=0, help="from this seed on")
    parser.add_argument("--outstanding", type=int, default=1)
    parser.add_argument("--evaluations", type=int, default=100)
    parser.add_argument("--contenders", nargs="+", choices=[*OURS, *NEEDS], default=CHEAP)
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=[*FAMILIES])
    parser.add_argument("--tasks", nargs="+", help="these of the families' tasks only")
    args = parser.parse_args()
    families = {f: [t for t in FAMILIES[f] if args.tasks is None or t in args.tasks] for f in args.families}
    with tempfile.TemporaryDirectory() as directory:
        if args.quick:
            families, args.evaluations = {"shifted": ["ackley5", "hartmann6"]}, 15
            args.file = args.file or Path(directory, "quick")
        if args.file is None:
            parser.error("name the file that holds, or shall hold, the searches")
        if not args.print:
            run(args, [name for names in families.values() for name in names])
        at = sorted({*(n for n in AT if n < args.evaluations), args.evaluations})
        print(
            ranks.report(ranks.Searches.load([args.file], args.outstanding), args.contenders, families, args.seeds, at)
        )


if __name__ == "__main__":
    main()
