"""Tests of what a fit makes of observations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aiohpo.space.space import Float, Space
from aiohpo.testing import StaticView
from aiohpo_plugins.searchers.gp.model import MOST_PENDING, RESOURCES, GPLearner, GPModel
from aiohpo_plugins.searchers.gp.surrogate.learn import Memory

PLANE = Space(x=Float(0, 1), y=Float(0, 1))
X = PLANE.sample(np.random.default_rng(0), 20)
Y = ((X - 0.7) ** 2).sum(axis=1)
PENDING = PLANE.sample(np.random.default_rng(1), 3)


def fitted(memory: Memory | None = None, **more: Any) -> GPModel:
    learner = GPLearner(PLANE, "decay", "believer", 4, 3.0, 2, 1000)
    o = StaticView(PLANE, **({"X": X, "y": Y} | more)).observations()
    return learner.fit(o, learner.gather(o), np.random.default_rng(0), memory or Memory())


def predicted(model: GPModel, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    at = model.pool.posterior.predict(model.pool.embed(rows), model.pool.goal)
    return at.mean.mean(axis=1), at.variance


def test_failures_repel() -> None:
    """Beside a failed configuration the predicted loss is above average, though it is the best without it."""
    good = np.array([[0.7, 0.7]])
    assert predicted(fitted(), good)[0][0] < -0.5
    assert predicted(fitted(failed=good + 0.02), good)[0][0] > 0.5


def test_incumbents_are_what_has_the_lowest_mean() -> None:
    """What is to be improved upon is the posterior mean of the best observation."""
    model = fitted()
    assert model.pool.best == pytest.approx(predicted(model, X)[0].min(), abs=1e-6)


@pytest.mark.parametrize("treatment", ["fantasies", "believer"])
def test_running_evaluations_leave_less_to_learn_there(treatment: str) -> None:
    """The variance at a running evaluation is smaller than without it; with none it is as it was."""
    learner_view = StaticView(PLANE, X, Y, pending=PENDING).observations()
    variances = {}
    for name in (treatment, "none"):
        learner = GPLearner(PLANE, "decay", name, 4, 3.0, 2, 1000)
        model = learner.fit(learner_view, learner.gather(learner_view), np.random.default_rng(0), Memory())
        variances[name] = predicted(model, PENDING)[1]
    assert (variances[treatment] < 0.7 * variances["none"]).all()


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_running_evaluation_of_one_step_tells_less_than_one_of_all(resource: str) -> None:
    """Its step counts: what runs to the end leaves less uncertainty about the end."""
    reports = [(i, step, float(Y[i] + np.exp(-step / 5))) for i in range(20) for step in (1, 3, 9, 27)[: 1 + i % 4]]
    left = []
    for to in (1, 27):
        o = StaticView(
            PLANE, partial=X, reports=reports, max_steps=27, pending=PENDING[:1], pending_to=[to]
        ).observations()
        learner = GPLearner(PLANE, resource, "believer", 4, 3.0, 2, 1000)
        model = learner.fit(o, learner.gather(o), np.random.default_rng(0), Memory())
        left.append(predicted(model, PENDING[:1])[1][0])
    assert left[1] < left[0]


def test_many_running_evaluations_are_bounded() -> None:
    """Of thousands, only so many enter the model, and none is suggested again."""
    crowd = PLANE.sample(np.random.default_rng(3), 600)
    o = StaticView(PLANE, X, Y, pending=crowd).observations()
    learner = GPLearner(PLANE, "decay", "believer", 4, 3.0, 2, 1000)
    model = learner.fit(o, learner.gather(o), np.random.default_rng(0), Memory())
    assert len(model.pool.posterior.level) == 20 + MOST_PENDING
    assert not {row.tobytes() for row in model.pool.units} & {row.tobytes() for row in crowd}


def test_memory_changes_nothing_but_the_time() -> None:
    """A fit with what another one remembered leaves the same candidates."""
    first = fitted()
    again = fitted(memory=first.memory)
    np.testing.assert_array_equal(again.pool.units, first.pool.units)
