"""512 trainings of AlexNet on ImageNet, recorded epoch by epoch, to be played again in virtual time.

The table is ``data/alexnet.npz``: the validation error after every epoch, what an epoch took, and where a training
diverged. Its rows are independent draws from one space, so n of them in any order are a random search of n.

A minute is played as a second of virtual time: workers that have nothing to do look round every half a second, and
that is most of what a simulation of idle workers costs. It makes the exchange between workers sixty times slower than
it would be in comparison with these trainings, and so our figures a little worse.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aiohpo import Int, Space, Trial
from aiohpo.simulation.costs import Cost, Costs

TABLE = Path(__file__).with_name("data") / "alexnet.npz"
SECONDS_A_SECOND = 60.0  # of the recorded ones in a second of virtual time
# What the searchers grid and random take on a core of this machine: fixed, so that a seed repeats anywhere.
CHEAP = Costs((Cost(10, 3e-5, 1e-6, 0.0),))


class DivergedError(Exception):
    """The recorded training ended here."""


@dataclass(frozen=True, slots=True)
class RecordedTrainings:
    """The table, by candidate.

    error     (512, 100) validation error; NaN after the last epoch
    epochs    how many were recorded
    seconds   that an epoch takes
    diverged  the training failed after its last epoch
    """

    error: NDArray[np.float64]
    epochs: NDArray[np.int64]
    seconds: NDArray[np.float64]
    diverged: NDArray[np.bool_]


@cache
def trainings() -> RecordedTrainings:
    """Read the table."""
    with np.load(TABLE, allow_pickle=False) as table:
        error = np.where(table["error"] == 65535, np.nan, table["error"] / 10_000)
        return RecordedTrainings(
            error, table["epochs"].astype(np.int64), table["seconds"].astype(np.float64), table["diverged"]
        )


def candidates(number: int) -> Space:
    """The space of which the searcher ``grid`` makes ``number`` trainings of the table."""
    return Space(candidate=Int(0, number - 1))


class ReplayedTraining:
    """The objective of a search among :func:`candidates`, and the times of its evaluations.

    As an objective it reports the recorded error where a segment ends. A simulation calls the objective for a segment
    and asks for the seconds of that trial next, so that ``draw`` can answer for the candidate that was called last.

    Args:
        max_steps: of a complete training.
        seed: decides which row of the table is which candidate.
    """

    def __init__(self, max_steps: int, seed: int) -> None:
        self._max_steps = max_steps
        self._table = trainings()
        self._rows = np.random.default_rng(seed).permutation(len(self._table.epochs))
        self._called = 0

    def __call__(self, trial: Trial) -> None:
        """Train from where the trial was paused. Raises :class:`DivergedError` where the recorded training did."""
        self._called = candidate = int(self._rows[int(trial["candidate"])])
        trial.restore()
        last, diverged = int(self._table.epochs[candidate]), bool(self._table.diverged[candidate])
        for step in trial.steps():
            if diverged and step > last:
                raise DivergedError(f"candidate {candidate} diverged after epoch {last}")
            if step == last and not diverged:  # a complete training: how long it is was drawn, from 20 to 100 epochs
                break
        trial.report(float(self._table.error[candidate, trial.step - 1]))
        trial.save(trial.step)

    def draw(self, rng: random.Random) -> float:
        """Virtual seconds of all ``max_steps`` epochs of the candidate."""
        return float(self._table.seconds[self._called]) / SECONDS_A_SECOND * self._max_steps

    def __str__(self) -> str:
        return "recorded"
