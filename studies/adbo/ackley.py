"""The problem: Ackley's function, whose evaluation takes max(0, N(60 s, 20 s)).

    f(x) = -20 exp(-0.2 sqrt(mean(x^2))) - exp(mean(cos 2 pi x)) + 20 + e        on [-32.768, 32.768]^d

Its minimum, 0, is in the very middle of the space, where a search might look by habit. The shifted form moves it by a
vector that is drawn once for each dimension, uniformly within half of the space.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from aiohpo import Float, Space, Trial
from aiohpo.simulation.durations import NormalTime

BOUND = 32.768
BEGINNING = 20.0  # in each dimension: aiohpo begins with the defaults of a space, else with its middle, the minimum
TIMES = NormalTime(60.0, 20.0)
SECONDS = 1800.0
WIDE_SECONDS = 300.0  # in several numbers of dimensions: 1,800 s of 4,096 workers would take an hour of CPU time


def space_of(dimensions: int) -> Space:
    """Return the search space."""
    return Space(**{f"x{i}": Float(-BOUND, BOUND, default=BEGINNING) for i in range(dimensions)})


def ackley(x: NDArray[np.float64]) -> float:
    """Return the value at ``x`` (d,)."""
    spread = -20.0 * math.exp(-0.2 * math.sqrt(float((x**2).mean())))
    return spread - math.exp(float(np.cos(2 * np.pi * x).mean())) + 20.0 + math.e


class AckleyObjective:
    """Ackley's function as an objective of aiohpo; ``shifted`` moves its minimum away from the middle."""

    def __init__(self, dimensions: int, *, shifted: bool = False) -> None:
        self._names = [f"x{i}" for i in range(dimensions)]
        rng = np.random.default_rng([2207, dimensions])
        self.optimum = rng.uniform(-BOUND / 2, BOUND / 2, dimensions) if shifted else np.zeros(dimensions)

    def at(self, x: NDArray[np.float64]) -> float:
        """Return the value at ``x`` (d,), in the units of the space."""
        return ackley(x - self.optimum)

    def __call__(self, trial: Trial) -> float:
        return self.at(np.array([trial[name] for name in self._names]))

    def __repr__(self) -> str:
        return f"<AckleyObjective in {len(self._names)} dimensions>"
