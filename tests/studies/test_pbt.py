"""Tests of the tasks of the study of population based training."""

from __future__ import annotations

import pytest

from studies.pbt.tasks import TASKS, best_descent


def test_the_best_schedule_is_better_than_the_best_constant() -> None:
    """It leaves about 4/n after n steps, two thirds of what the best of 400 constant rates does."""
    task = TASKS["descent"]
    ends = []
    for config in task.constants:
        error = task.begin()
        for step in range(task.steps):
            error, _ = task.train(error, config, step, 0)
        ends.append(error)
    assert best_descent() == pytest.approx(4 / task.steps, rel=0.1)
    assert best_descent() < 0.75 * min(ends)


def test_neither_configuration_of_the_toy_gets_anywhere_alone() -> None:
    """Each moves one of the two weights only."""
    task = TASKS["figure 2"]
    for config in task.firsts:
        weights, loss = task.begin(), 0.0
        for step in range(task.steps):
            weights, loss = task.train(weights, config, step, 0)
        assert loss > 0.75
