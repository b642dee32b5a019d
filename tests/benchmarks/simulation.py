"""How far is the model of large swarms from production's code? Both ways of ``aiohpo simulate``, side by side.

    python tests/benchmarks/simulation.py [--workers N …] [--seconds S] [--seeds N] [--cases random adbo asha] [--json]

Evaluations take max(0, N(60 s, 20 s)), messages 0.5 ms. ``random`` and ``adbo`` search Ackley's function in five
dimensions on [-32.768, 32.768]^5; ``asha`` promotes learning curves of 27 steps, whose first segments take two seconds,
so that workers race for promotions. What decisions cost is a fixed table, so that every machine plays the same.

Each line has the median over the seeds, and the smallest and the largest. The model is right if utilisation is within
.005, evaluations are within 1 %, and the rest is within the spread of the seeds.

util    utilisation; evals: evaluations that came to their end
news    milliseconds until an event is known by half of the others, and by 99 %
coll    collisions, and the seconds that were wasted by them
best    the best complete trial
kB/s    that a worker sends; frames: in a second
cpu     seconds of CPU time that a simulation took
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from aiohpo import Float, Space, Study, Trial
from aiohpo.simulation.costs import Cost, Costs
from aiohpo.simulation.durations import NormalTime
from aiohpo.simulation.figures import figures_of
from aiohpo.simulation.model.swarm import ModelSwarm
from aiohpo.simulation.swarm import Scenario, Swarm

# A search begins with the defaults, else with the middle of the space: here that would be the minimum.
SPACE = Space(**{f"x{i}": Float(-32.768, 32.768, default=20.0) for i in range(5)})
COSTS = {
    "random": Costs((Cost(10, 3e-5, 1e-6, 0.0),)),
    "adbo": Costs((Cost(10, 2e-4, 0.0, 0.0), Cost(30, 2e-3, 5e-5, 0.02), Cost(1000, 2e-3, 5e-5, 0.1))),
}
WAYS: dict[str, Callable[..., Any]] = {"production": Swarm, "model": ModelSwarm}
COLUMNS = ("util", "evals", "median", "p99", "coll", "wasted", "best", "kB/s", "frames", "cpu")


def ackley(trial: Trial) -> float:
    x = np.array([trial[f"x{i}"] for i in range(5)])
    spread = -20.0 * math.exp(-0.2 * math.sqrt(float((x**2).mean())))
    return float(spread - math.exp(float(np.cos(2 * np.pi * x).mean())) + 20.0 + math.e)


def curve(trial: Trial) -> None:
    final = ackley(trial)
    for step in trial.steps():
        trial.report(final + 5.0 / step)
    trial.save(trial.step)


def study_of(case: str, seed: int) -> Study:
    if case == "asha":
        return Study(curve, SPACE, max_steps=27, searcher="random", scheduler="asha", seed=seed)
    return Study(ackley, SPACE, searcher=case, seed=seed)


def play(way: str, case: str, workers: int, seconds: float, seed: int) -> dict[str, float]:
    costs = COSTS["adbo" if case == "adbo" else "random"]
    scenario = Scenario(workers=workers, times=NormalTime(60.0, 20.0), costs=costs, seconds=seconds, seed=seed)
    began = time.process_time()
    figures = figures_of(WAYS[way](study_of(case, seed), scenario).play())
    return {
        "util": figures.utilisation,
        "evals": float(figures.evaluations),
        "median": 1000.0 * (figures.propagation["median"] or math.nan),
        "p99": 1000.0 * (figures.propagation["p99"] or math.nan),
        "coll": float(figures.collisions["count"]),
        "wasted": figures.collisions["seconds"],
        "best": math.nan if figures.best is None else figures.best,
        "kB/s": figures.traffic["bytes_per_worker_second"] / 1000.0,
        "frames": figures.traffic["frames_per_worker_second"],
        "cpu": time.process_time() - began,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--seconds", type=float, default=300.0, help="virtual; default 300")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cases", nargs="+", choices=["random", "adbo", "asha"], default=["random", "adbo", "asha"])
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    lines = []
    if not args.json:
        print(f"{'case':>8} {'workers':>7} {'way':>10} " + " ".join(f"{name:>24}" for name in COLUMNS))
    for case in args.cases:
        for workers in args.workers:
            for way in args.ways:
                runs = [play(way, case, workers, args.seconds, seed) for seed in range(args.seeds)]
                line = {"case": case, "workers": workers, "way": way, "seconds": args.seconds, "runs": runs}
                lines.append(line)
                if not args.json:
                    print(f"{case:>8} {workers:>7} {way:>10} {_cells(runs)}", flush=True)
    if args.json:
        print(json.dumps(lines))


def _cells(runs: list[dict[str, float]]) -> str:
    cells = []
    for name in COLUMNS:
        values = [run[name] for run in runs]
        text = f"{np.median(values):.4g} ({min(values):.4g}-{max(values):.4g})"
        cells.append(f"{text:>24}")
    return " ".join(cells)


if __name__ == "__main__":
    main()
