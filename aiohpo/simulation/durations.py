"""How long the evaluations of a simulated search take.

A trial's time is that of a *full* evaluation, all of its steps, and is drawn from the seed and the trial's name alone:
it is the same in every segment, on every worker, and whatever else has been drawn before.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..errors import UsageError
from ..view.trials import TrialRecord


class EvaluationTimes(Protocol):
    """The distribution of the seconds of a full evaluation; its ``str`` is what the user wrote."""

    def draw(self, rng: random.Random) -> float: ...


@dataclass(frozen=True, slots=True)
class ConstantTime:
    """The same number of seconds for every evaluation."""

    seconds: float

    def draw(self, rng: random.Random) -> float:
        return self.seconds

    def __str__(self) -> str:
        return f"constant:{self.seconds:g}"


@dataclass(frozen=True, slots=True)
class NormalTime:
    """max(0, N(mean, deviation)) seconds."""

    mean: float
    deviation: float

    def draw(self, rng: random.Random) -> float:
        return max(0.0, rng.gauss(self.mean, self.deviation))

    def __str__(self) -> str:
        return f"normal:{self.mean:g},{self.deviation:g}"


@dataclass(frozen=True, slots=True)
class LognormalTime:
    """Seconds whose logarithm is normal: half of them are below ``median``, ``sigma`` is the logarithm's deviation."""

    median: float
    sigma: float

    def draw(self, rng: random.Random) -> float:
        return self.median * math.exp(self.sigma * rng.gauss(0.0, 1.0))

    def __str__(self) -> str:
        return f"lognormal:{self.median:g},{self.sigma:g}"


@dataclass(frozen=True, slots=True)
class RecordedTimes:
    """One of the times of an earlier run, drawn with replacement. ``name`` is the run's directory."""

    name: str
    seconds: Sequence[float]

    def draw(self, rng: random.Random) -> float:
        return self.seconds[rng.randrange(len(self.seconds))]

    def __str__(self) -> str:
        return self.name


def recorded_times(name: str, records: Sequence[TrialRecord], max_steps: int | None) -> RecordedTimes:
    """Return the times of the trials of a run directory.

    Args:
        name: the run's directory.
        records: its trials.
        max_steps: the steps of a complete trial in that run. With steps, a trial that was paused or stopped early tells
            as much as a complete one: what a step took is what counts.

    Raises:
        UsageError: there is no trial to learn a time from.
    """
    seconds = []
    for record in records:
        if record.seconds is None or not math.isfinite(record.seconds):
            continue
        if max_steps is not None and record.step:
            seconds.append(record.seconds * max_steps / record.step)
        elif record.ended_as == "finished":
            seconds.append(record.seconds)
    if not seconds or max(seconds) <= 0:
        raise UsageError(
            f"{name} has no evaluated trial that took any time: give another run directory, or a "
            "distribution such as normal:60,20"
        )
    return RecordedTimes(name, tuple(seconds))


def full_seconds(times: EvaluationTimes, seed: int, trial: str) -> float:
    """Return the seconds of a trial's full evaluation."""
    return times.draw(random.Random(f"{seed}/{trial}/seconds"))
