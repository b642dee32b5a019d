"""Other optimisers with a thread for each evaluation, in their own ways; run by ``slots.py``, in any environment.

    python thread_peers.py deephyper|optuna THREADS SECONDS

DeepHyper is used as its documentation does for this very problem ("Scaling Bayesian Optimization with Heterogeneous
Parallelism", the centralized search), Optuna by ``optimize(n_jobs=THREADS)`` with its default sampler. Prints one line
of JSON. Nothing of aiohpo is imported.
"""

from __future__ import annotations

import json
import math
import os
import random
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence

DIMENSIONS, BOUND = 10, 32.768


def ackley(x: Sequence[float]) -> float:
    """A funnel covered by ripples; optimum 0 at 0."""
    d = len(x)
    funnel = -20 * math.exp(-0.2 * math.sqrt(sum(v * v for v in x) / d))
    return funnel - math.exp(sum(math.cos(2 * math.pi * v) for v in x) / d) + 20 + math.e


class Record:
    """When evaluations ran and what they found, of which what lies beyond the end does not count."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.began = math.inf
        self._running: dict[int, float] = {}
        self._ran: list[tuple[float, float, float]] = []
        self._numbers = iter(range(10**9))
        self._lock = threading.Lock()

    def start(self) -> None:
        """The search begins now."""
        self.began = time.perf_counter()

    def evaluate(self, x: Sequence[float], mean: float, deviation: float) -> float:
        """Take a time drawn from a normal distribution; return the value at ``x``."""
        with self._lock:
            number = next(self._numbers)
            self._running[number] = began = time.perf_counter()
        time.sleep(max(random.gauss(mean, deviation), 0.0))
        value = ackley(x)
        with self._lock:
            del self._running[number]
            self._ran.append((began, time.perf_counter(), value))
        return value

    def summary(self, slots: int) -> dict[str, float]:
        """Return what came of the search."""
        end = self.began + self.seconds
        with self._lock:
            ran, running = list(self._ran), list(self._running.values())
        done = [value for _, ended, value in ran if ended <= end]
        busy = sum(max(min(ended, end) - began, 0.0) for began, ended, _ in ran)
        busy += sum(max(end - began, 0.0) for began in running)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "completed": len(done),
            "busy": busy / (slots * self.seconds),
            "best": min(done, default=math.inf),
            "cpu": usage.ru_utime + usage.ru_stime,
            "rss": usage.ru_maxrss / 1024,
        }


def deephyper(record: Record, threads: int, mean: float, deviation: float) -> Callable[[], object]:
    """Return the search of DeepHyper's example."""
    from deephyper.evaluator import Evaluator
    from deephyper.hpo import CBO, HpProblem

    def run_ackley(job) -> float:  # type: ignore[no-untyped-def]
        return -record.evaluate([job[f"x{i}"] for i in range(DIMENSIONS)], mean, deviation)

    problem = HpProblem()
    for i in range(DIMENSIONS):
        problem.add_hyperparameter((-BOUND, BOUND), f"x{i}")
    evaluator = Evaluator.create(run_ackley, method="thread", method_kwargs={"num_workers": threads})
    search = CBO(
        problem,
        log_dir=tempfile.mkdtemp(dir=os.environ.get("AIOHPO_BENCH_SCRATCH")),
        acq_func_kwargs={"kappa": 2.0},
        acq_optimizer="ga",
        acq_optimizer_kwargs={"filter_duplicated": False},
        multi_point_strategy="qUCBd",
        random_state=42,
    )
    return lambda: search.search(evaluator, timeout=int(record.seconds))


def optuna(record: Record, threads: int, mean: float, deviation: float) -> Callable[[], object]:
    """Return a search of Optuna with its default sampler."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=42))

    def objective(trial: optuna.Trial) -> float:
        x = [trial.suggest_float(f"x{i}", -BOUND, BOUND) for i in range(DIMENSIONS)]
        return record.evaluate(x, mean, deviation)

    return lambda: study.optimize(objective, n_jobs=threads, timeout=record.seconds)


def main() -> None:
    name, threads, seconds, mean, deviation = sys.argv[1], int(sys.argv[2]), *map(float, sys.argv[3:6])
    random.seed(42)
    record = Record(seconds)
    search = {"deephyper": deephyper, "optuna": optuna}[name](record, threads, mean, deviation)
    # Evaluations that run at the end, and what the library does with them, are waited for only so long.
    last = threading.Timer(
        seconds + 60.0, lambda: (print(json.dumps(record.summary(threads)), flush=True), os._exit(0))
    )
    last.daemon = True
    last.start()
    record.start()
    search()
    last.cancel()
    print(json.dumps(record.summary(threads)), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
