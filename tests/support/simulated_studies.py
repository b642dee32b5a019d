"""Studies that the tests of simulations play."""

from __future__ import annotations

from typing import Any

import aiohpo
from aiohpo import Trial
from aiohpo.simulation.costs import Cost, Costs

SPACE = aiohpo.Space(x=aiohpo.Float(-1, 1), y=aiohpo.Float(-1, 1))
FREE = Costs((Cost(10, 0.0, 0.0, 0.0),))


def value(trial: Trial) -> float:
    return float(trial["x"] ** 2 + trial["y"] ** 2)


def train(trial: Trial) -> None:
    for step in trial.steps():
        trial.report(value(trial) + 1 / step)
    trial.save(trial.step)


def study(objective: Any = value, **options: Any) -> aiohpo.Study:
    return aiohpo.Study(objective, SPACE, **{"searcher": "random", **options})
