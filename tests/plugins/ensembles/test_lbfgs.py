"""Tests of L-BFGS."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from aiohpo_plugins.ensembles.lbfgs import lbfgs


def rosenbrock(x: np.ndarray) -> tuple[float, np.ndarray]:
    a, b = x[1:] - x[:-1] ** 2, 1 - x[:-1]
    gradient = np.zeros_like(x)
    gradient[1:] += 200 * a
    gradient[:-1] += -400 * a * x[:-1] - 2 * b
    return float((100 * a**2 + b**2).sum()), gradient


def test_finds_the_bottom_of_a_curved_valley() -> None:
    """Rosenbrock's function in ten dimensions, in a number of steps that only curvature explains."""
    steps = list(islice(lbfgs(rosenbrock, np.full(10, -1.0)), 200))
    assert len(steps) < 120
    assert steps[-1] == pytest.approx(np.ones(10), abs=1e-3)


def test_every_step_is_better_than_the_one_before() -> None:
    """So it can be stopped anywhere."""
    values = [rosenbrock(x)[0] for x in islice(lbfgs(rosenbrock, np.full(5, -1.0)), 30)]
    assert values == sorted(values, reverse=True)


def test_ends_where_there_is_nothing_to_gain() -> None:
    """At a minimum no step is yielded; on a slope without a bottom it goes on."""
    assert list(lbfgs(lambda x: (float(x @ x), 2 * x), np.zeros(3))) == []
    assert len(list(islice(lbfgs(lambda x: (float(x.sum()), np.ones(2)), np.zeros(2)), 7))) == 7


def test_survives_a_function_that_is_not_finite_everywhere() -> None:
    """Where a step leads out of the domain a shorter one is tried."""

    def barrier(x: np.ndarray) -> tuple[float, np.ndarray]:
        with np.errstate(invalid="ignore", divide="ignore"):
            return float(x[0] - np.log(x[0])) if x[0] > 0 else np.nan, 1 - 1 / x

    found = list(islice(lbfgs(barrier, np.array([20.0])), 50))
    assert found[-1] == pytest.approx([1.0], abs=1e-4)


def test_does_not_change_its_argument() -> None:
    """The starting point stays what it was, and points that were yielded too."""
    start = np.full(4, -1.0)
    first, *_ = found = list(islice(lbfgs(rosenbrock, start), 5))
    assert start.tolist() == [-1.0] * 4
    assert len({x.tobytes() for x in found}) == 5
    assert first is found[0]
