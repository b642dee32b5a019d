"""Does population based training find a schedule that beats every constant rate, at equal steps?

    python tests/benchmarks/schedule.py [--quick] [--population N] [--json]

The task is that of ``examples/pbt_schedule.py``: stochastic gradient descent on a convex loss, where a constant
learning rate ends in a ball around the optimum. Everybody trains ``population`` times 100 steps: ``pbt`` a population,
with the production scheduler and view and four workers; ``random`` as many constant rates drawn from the space;
``grid`` as many evenly spaced ones. ``hindsight`` is the best of ten constant rates from the decade in which the best
lie. Each seed has an order of the images and draws of its own. What is printed is how far the final loss lies above
its minimum.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from aiohpo_plugins.schedulers.pbt.scheduler import PBTScheduler

ROOT = Path(__file__).parents[2]
LOW, HIGH, STEPS = 1e-3, 10.0, 100
BEST = np.geomspace(0.03, 0.4, 10)

sys.path.insert(0, str(ROOT))
from tests.support.training_swarm import Swarm  # noqa: E402 - the path is set above


def load_task() -> Any:
    """The example as a module."""
    spec = importlib.util.spec_from_file_location("pbt_schedule", ROOT / "examples" / "pbt_schedule.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def constant(task: Any, rate: float, order: int) -> float:
    """What a constant rate ends at; inf if it diverges."""
    W, excess = np.zeros((65, 10)), math.inf
    for step in range(1, STEPS + 1):
        W, excess = task.descend(W, rate, step, order)
        if not math.isfinite(excess):
            return math.inf
    return float(excess)


def population(task: Any, size: int, seed: int) -> float:
    """What the best member of a population ends at."""

    def train(weights: Any, config: dict[str, Any], step: int) -> tuple[Any, float]:
        W = np.zeros((65, 10)) if weights is None else np.array(weights)
        W, excess = task.descend(W, config["learning_rate"], step, seed)
        if not math.isfinite(excess):
            raise ArithmeticError("diverged")
        return W.tolist(), float(excess)

    swarm = Swarm(task.space, STEPS, lambda: PBTScheduler(population=size), train, seed=seed)
    swarm.run()
    return swarm.best()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2 seeds instead of 10")
    parser.add_argument("--population", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    task, size, began = load_task(), options.population, time.process_time()
    rows = []
    for seed in range(2 if options.quick else 10):
        draws = np.random.default_rng([seed, 7]).uniform(math.log(LOW), math.log(HIGH), size)
        row = {
            "pbt": population(task, size, seed),
            "random": min(constant(task, math.exp(draw), seed) for draw in draws),
            "grid": min(constant(task, rate, seed) for rate in np.geomspace(LOW, HIGH, size)),
            "hindsight": min(constant(task, rate, seed) for rate in BEST),
        }
        rows.append(row)
        if not options.json:
            print(f"seed {seed}: " + ", ".join(f"{name} {value:.5f}" for name, value in row.items()), flush=True)
    medians = {name: float(np.median([row[name] for row in rows])) for name in rows[0]}
    wins = {name: sum(row["pbt"] < row[name] for row in rows) for name in rows[0] if name != "pbt"}
    if options.json:
        print(json.dumps({"population": size, "seeds": rows, "medians": medians, "wins": wins}))
        return
    print("median: " + ", ".join(f"{name} {value:.5f}" for name, value in medians.items()))
    print(f"pbt is better in {wins} of {len(rows)} seeds; {time.process_time() - began:.0f} s of CPU")


if __name__ == "__main__":
    main()
