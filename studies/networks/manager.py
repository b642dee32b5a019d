"""The baseline of the study: a manager that decides for all workers, one after the other.

A worker that has trained asks and queues. The manager fits its model to all complete trainings, unless it knows no
more than last time, and answers; fit and answer are on the clock, at the cost of our own searchers. Messages cost
nothing.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiohpo.plugin import FittingSearcher, Identity
from aiohpo.plugin.registry import bind, make_plugin
from aiohpo.simulation.evaluator import Evaluation
from aiohpo.testing import StaticView

from ..framework.curve_search import Segment, costs_of, outcome
from ..framework.curve_tasks import CurveTask


@dataclass(frozen=True, slots=True)
class _Training:
    """When it ends, its loss then, and its configuration as a row (1, d)."""

    ends: float
    loss: float
    row: NDArray[np.float64]


def play_central(
    task: CurveTask, searcher: str, workers: int, seconds: float, seed: int, costs: Path
) -> dict[str, Any]:
    """Play complete trainings that one manager suggests, and return what they came to."""
    made, table = make_plugin("searchers", searcher), costs_of(task, searcher, costs)
    bind(made, task.space, seed, Identity("manager", 0, 1, workers))
    units, losses = np.empty((0, task.space.dim)), np.empty(0)
    running: list[_Training] = []
    diary: list[Evaluation] = []
    segments: list[Segment] = []
    queue = [(0.0, worker) for worker in range(workers)]
    is_free, fitted = 0.0, 0
    while max(queue[0][0], is_free) < seconds:
        asked, worker = heapq.heappop(queue)
        begins = max(asked, is_free)
        over = sorted((one for one in running if one.ends <= begins), key=lambda one: one.ends)
        running = [one for one in running if one.ends > begins]
        units = np.concatenate([units, *(one.row for one in over)])
        losses = np.concatenate([losses, [one.loss for one in over]])
        pending = np.concatenate([units[:0], *(one.row for one in running)])
        view = StaticView(task.space, units, losses, pending=pending)
        is_free = begins + table.of_ask(len(losses), 1)
        if isinstance(made, FittingSearcher) and len(losses) > fitted:
            made.adopt(made.fit(view.observations()))
            fitted, is_free = len(losses), is_free + table.of_fit(len(losses))
        config = made.ask(view, np.random.default_rng([seed, len(diary)]), (0,))[0]
        curve = task.curve(config)
        ends = is_free + float(curve.seconds[-1])
        running.append(_Training(ends, float(curve.loss[-1]), task.space.encode([config])))
        segments.append(Segment(curve, 0, task.max_steps))
        diary.append(Evaluation(str(worker), 0, str(len(diary)), 0, is_free))
        if ends < seconds:
            diary[-1].ended, diary[-1].how = ends, "finished"
        heapq.heappush(queue, (ends, worker))
    return outcome(diary, segments, task, workers, seconds, table)
