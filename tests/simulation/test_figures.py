"""Counting what happened in a simulation."""

from __future__ import annotations

import numpy as np
import pytest

from aiohpo.plugin.objective import Objective
from aiohpo.simulation.evaluator import Evaluation
from aiohpo.simulation.figures import (
    activity,
    best_over_time,
    collisions,
    propagation,
    propagation_over_time,
    utilisation_over_time,
)

LOSS = Objective("loss", "min")


def evaluation(trial: str, began: float, ended: float | None, how: str = "finished", **more: float) -> Evaluation:
    return Evaluation("w", 0, trial, 0, began, ended, how, **more)  # type: ignore[arg-type]


def test_utilisation_counts_what_the_end_cuts_off() -> None:
    """Beside it stands the part of the evaluations that came to their end."""
    diary = [
        evaluation("a", 0.0, 6.0, value=2.0),
        evaluation("b", 6.0, None, "running"),
        evaluation("c", 2.0, 4.0, "aborted"),
    ]
    figures = activity(diary, 2, 10.0, LOSS)
    assert figures["utilisation"] == pytest.approx(12 / 20)
    assert figures["completed_share"] == pytest.approx(6 / 20)
    assert figures["evaluations"] == 1
    assert figures["endings"] == {"aborted": 1, "finished": 1, "running": 1}


def test_nothing_happened() -> None:
    """A simulation of no evaluation has figures all the same."""
    figures = activity([], 2, 10.0, LOSS)
    assert (figures["utilisation"], figures["evaluations"], figures["best_over_time"]) == (0.0, 0, [])


def test_the_best_so_far_only_gets_better() -> None:
    """In the order in which evaluations end, in the direction of the search."""
    diary = [
        evaluation("a", 0.0, 5.0, value=2.0),
        evaluation("b", 0.0, 3.0, value=3.0),
        evaluation("c", 0.0, 9.0, value=2.5),
        evaluation("d", 0.0, 8.0, "stopped"),
    ]
    assert best_over_time(diary, LOSS) == [(3.0, 3.0), (5.0, 2.0)]
    assert best_over_time(diary, Objective("loss", "max")) == [(3.0, 3.0)]


def test_a_collision_is_a_trial_that_runs_twice_at_a_time() -> None:
    """All but one of the evaluations are wasted while they overlap; one after another is none."""
    diary = [
        evaluation("a", 0.0, 5.0, "aborted"),
        evaluation("a", 3.0, None, "running"),
        evaluation("b", 0.0, 2.0, "paused"),
        evaluation("b", 2.0, 3.0),
    ]
    assert collisions(diary, 10.0) == (1, 2.0)


def test_utilisation_over_time_adds_up_to_the_whole() -> None:
    """The mean of the parts is the utilisation."""
    began, ended = np.array([0.0, 2.5]), np.array([5.0, 10.0])
    parts = utilisation_over_time(began, ended, 2, 10.0)
    assert len(parts) == 100
    assert np.mean([share for _, share in parts]) == pytest.approx(12.5 / 20)
    assert parts[30][1] == pytest.approx(1.0)


def test_propagation_has_quantiles() -> None:
    """Of no event there is none."""
    delays = np.linspace(0.0, 1.0, 101)
    told = propagation(delays)
    assert (told["median"], told["p99"], told["arrivals"]) == (pytest.approx(0.5), pytest.approx(0.99), 101)
    assert propagation(np.empty(0)) == {"median": None, "p99": None, "mean": None, "arrivals": 0}
    assert propagation_over_time(np.empty(0), np.empty(0), 10.0) == []
    over = propagation_over_time(np.array([0.0, 0.0, 10.0]), np.array([1.0, 3.0, 4.0]), 10.0)
    assert over == [(0.05, 2.0, pytest.approx(2.98)), (9.95, 4.0, 4.0)]
