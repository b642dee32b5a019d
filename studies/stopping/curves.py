"""The problem: learning curves that end at Ackley's function, in place of trainings that cannot be repeated here.

A curve begins near 22.5, whatever the configuration, and falls exponentially to its value,

    loss(s) = f(x) + (22.5 - f(x)) (e^(-k s) - e^(-k S)) / (1 - e^(-k S)),        s = 1 … S = 9

Its speed k lies between 0.3 and 0.6 and is drawn from the configuration, so that early steps mislead: after one step a
slow trial that ends at 0 stands where a fast one stands that ends at 8.7.
"""

from __future__ import annotations

import math
import random

import numpy as np

from aiohpo import Trial
from aiohpo.simulation.durations import LognormalTime, NormalTime

from ..adbo.ackley import ackley

DIMENSIONS = 5
STEPS = 9
HIGHEST = 22.5
SPEEDS = (0.3, 0.6)
TIMES = NormalTime(600.0, 200.0)  # of all steps
STRAGGLERS = LognormalTime(450.0, 0.76)  # the same mean; one in a hundred takes six times the median


def loss_after(step: int, final: float, speed: float) -> float:
    """Return what a trial reports after ``step`` of its steps."""
    last = math.exp(-speed * STEPS)
    return final + (HIGHEST - final) * (math.exp(-speed * step) - last) / (1.0 - last)


def train(trial: Trial) -> None:
    """The objective. It keeps a checkpoint after each step."""
    x = [trial[f"x{i}"] for i in range(DIMENSIONS)]
    final, speed = ackley(np.array(x)), random.Random(repr(x)).uniform(*SPEEDS)
    for step in trial.steps():
        trial.report(loss_after(step, final, speed))
        trial.save((trial.id, step))
