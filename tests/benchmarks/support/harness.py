"""Drives a searcher against a task without a swarm, sequentially or with evaluations outstanding.

Time is virtual: evaluations take random durations, so with q outstanding they end in random order. Every worker
has a searcher of its own, which is refitted to everything that is known before it is asked. CPU time of fit and
ask is measured per step.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aiohpo.plugin import FittingSearcher, Identity, Searcher
from aiohpo.space.space import Categorical, Constant, Float, Int, Ordinal, Space
from aiohpo.testing import StaticView

from .tasks import Task


@dataclass(slots=True)
class Run:
    """Losses in order of completion, and CPU seconds of the searcher per step."""

    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def best(self, n: int) -> float:
        """Return the best loss among the first ``n``."""
        return min(self.losses[:n])


def run(
    factory: Callable[[], Searcher],
    task: Task,
    trials: int,
    seed: int,
    outstanding: int = 1,
    workers: int | None = None,
) -> Run:
    """Run ``trials`` evaluations with ``outstanding`` at a time by as many workers (or by ``workers``)."""
    result = Run()
    size = outstanding if workers is None else workers
    searchers = []
    for rank in range(size):
        searchers.append(factory())
        searchers[-1].setup(task.space, seed, Identity(f"worker{rank}", rank, size))
    X = np.empty((0, task.space.dim))
    y: list[float] = []
    running: dict[int, Any] = {}
    heap: list[tuple[float, int, int]] = []
    durations = np.random.default_rng([seed, 1])
    started = 0

    def start(now: float, worker: int) -> bool:
        nonlocal started
        pending = np.concatenate([np.empty((0, task.space.dim)), *(row for row, _ in running.values())])
        view = StaticView(task.space, X, y, pending=pending)
        searcher = searchers[worker % size]
        begin = time.process_time()
        if isinstance(searcher, FittingSearcher):
            searcher.adopt(searcher.fit(view.observations()))
        configs = searcher.ask(view, np.random.default_rng([seed, 2, started]), (0,))
        result.seconds.append(time.process_time() - begin)
        if not configs:
            return False
        running[started] = task.space.encode(configs), task.loss(configs[0])
        heapq.heappush(heap, (now + durations.uniform(0.5, 1.5), started, worker))
        started += 1
        return True

    for worker in range(outstanding):
        start(0.0, worker)
    while heap and len(y) < trials:
        now, trial, worker = heapq.heappop(heap)
        row, loss = running.pop(trial)
        X = np.concatenate([X, row])
        y.append(loss)
        result.losses.append(loss)
        start(now, worker)
    return result


def run_optuna(make: Callable[[int], Any], task: Task, trials: int, seed: int, outstanding: int = 1) -> Run:
    """Run an Optuna sampler, ``make(seed)``, on the same task in the same way."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=make(seed))
    result = Run()
    heap: list[tuple[float, int, Any, float]] = []
    durations = np.random.default_rng([seed, 1])

    def start(now: float) -> None:
        begin = time.process_time()
        trial = study.ask()
        config = suggest(trial, task.space)
        result.seconds.append(time.process_time() - begin)
        heapq.heappush(heap, (now + durations.uniform(0.5, 1.5), trial.number, trial, task.loss(config)))

    for _ in range(outstanding):
        start(0.0)
    while len(result.losses) < trials:
        now, _, trial, loss = heapq.heappop(heap)
        study.tell(trial, loss)
        result.losses.append(loss)
        start(now)
    return result


def suggest(trial: Any, space: Space) -> dict[str, Any]:
    """Ask an Optuna trial for a configuration of one of our spaces, conditions included."""
    config: dict[str, Any] = {}
    for name, p in space.params.items():
        condition = getattr(p, "when", None) or {}
        values = {k: v if isinstance(v, (list, tuple)) else [v] for k, v in dict(condition).items()}
        if any(k not in config or config[k] not in v for k, v in values.items()):
            continue
        if isinstance(p, Constant):
            config[name] = p.value
        elif isinstance(p, Float):
            config[name] = trial.suggest_float(name, p.low, p.high, log=p.log)
        elif isinstance(p, Int):
            config[name] = trial.suggest_int(name, p.low, p.high, log=p.log)
        elif isinstance(p, Ordinal):
            config[name] = p.choices[trial.suggest_int(name, 0, len(p.choices) - 1)]
        elif isinstance(p, Categorical):
            config[name] = trial.suggest_categorical(name, list(p.choices))
    return config
