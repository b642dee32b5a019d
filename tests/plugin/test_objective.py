"""Tests of what configurations are compared by."""

from __future__ import annotations

import numpy as np
import pytest

from aiohpo.errors import UsageError
from aiohpo.plugin.objective import Objective


def test_losses_are_minimised_whatever_the_direction():
    """A value of a metric to be maximised becomes a loss by its sign."""
    error, accuracy = Objective("error"), Objective("accuracy", "max")
    assert (error.loss(0.25), accuracy.loss(0.25)) == (0.25, -0.25)
    assert (accuracy.sign * np.array([1.0, 2.0])).tolist() == [-1.0, -2.0]


@pytest.mark.parametrize(("direction", "better"), [("min", [True, False, False]), ("max", [False, False, True])])
def test_better_is_strict(direction: str, better: list[bool]):
    """An equal value is not better, and neither is one that is no number."""
    objective = Objective("loss", direction)  # type: ignore[arg-type]
    assert [objective.is_better(value, 2.0) for value in (1.0, 2.0, 3.0)] == better
    assert not objective.is_better(float("nan"), 2.0)


@pytest.mark.parametrize("metric", ["", None, 3])
def test_a_metric_has_a_name(metric: object):
    """The error says what was given."""
    with pytest.raises(UsageError, match=f"metric must be a non-empty name, not {metric!r}"):
        Objective(metric)  # type: ignore[arg-type]


def test_the_direction_is_one_of_two():
    """Users know it as the study's ``mode``."""
    with pytest.raises(UsageError, match="mode must be 'min' or 'max', not 'maximize'"):
        Objective("loss", "maximize")  # type: ignore[arg-type]
    assert str(Objective("loss")) == "min loss"
