"""Drives Ax (``ax-platform`` 1.3) through its client on the benchmarks' tasks, with its default generation strategy.

Grids are ordered choices, categories unordered ones. Conditional spaces are refused: how Ax is to be told of several
conditions of a parameter would be our choice, and the result ours.
"""

from __future__ import annotations

import heapq
import logging
import time
import warnings
from typing import Any

import numpy as np

from aiohpo.plugin import Config
from aiohpo.space.space import Categorical, Constant, Float, Int, Ordinal, Space

from .harness import Run
from .tasks import Task


def run(task: Task, trials: int, seed: int, outstanding: int = 1) -> Run:
    """Run Ax on a task as :func:`.harness.run_optuna` does Optuna. Raises ValueError for a conditional space."""
    import torch
    from ax.api.client import Client

    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    client = Client(random_seed=seed)
    client.configure_experiment(parameters=_parameters(task.space))
    client.configure_optimization(objective="-loss")
    result = Run()
    heap: list[tuple[float, int, float]] = []
    durations = np.random.default_rng([seed, 1])

    def start(now: float) -> None:
        begin = time.process_time()
        ((number, values),) = client.get_next_trials(max_trials=1).items()
        result.seconds.append(time.process_time() - begin)
        heapq.heappush(heap, (now + durations.uniform(0.5, 1.5), number, task.loss(_config(task.space, values))))

    for _ in range(outstanding):
        start(0.0)
    while len(result.losses) < trials:
        now, number, loss = heapq.heappop(heap)
        client.complete_trial(trial_index=number, raw_data={"loss": loss})
        result.losses.append(loss)
        start(now)
    return result


def _parameters(space: Space) -> list[Any]:
    from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig

    found: list[Any] = []
    for name, p in space.params.items():
        if getattr(p, "when", None):
            raise ValueError(f"{name} is conditional: such spaces are not run with Ax")
        if isinstance(p, Float | Int):
            kind, scale = ("float" if isinstance(p, Float) else "int"), "log" if p.log else "linear"
            found.append(
                RangeParameterConfig(name=name, bounds=(p.low, p.high), parameter_type=kind, scaling=scale)  # type: ignore[arg-type]
            )
        elif isinstance(p, Ordinal | Categorical):
            values, ordered = list(range(len(p.choices))), isinstance(p, Ordinal)
            found.append(ChoiceParameterConfig(name=name, values=values, parameter_type="int", is_ordered=ordered))
    return found


def _config(space: Space, values: Any) -> Config:
    config: Config = {}
    for name, p in space.params.items():
        if isinstance(p, Constant):
            config[name] = p.value
        else:
            config[name] = p.choices[values[name]] if isinstance(p, Ordinal | Categorical) else values[name]
    return config
