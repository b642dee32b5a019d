"""How well rungs agree, and where that lets new trials begin."""

from __future__ import annotations

import random
from dataclasses import replace
from math import inf

import numpy as np
import pytest
from scipy.stats import spearmanr

from aiohpo.plugin import TrialState
from aiohpo_plugins.schedulers.halving.first_rung import (
    PRIOR_PAIRS,
    FirstRung,
    RungAgreement,
    losses_between,
    rank_correlation,
)

LEVELS = (1, 2, 6, 18)
PAUSED = TrialState("w-1", "paused", (1, "w"), 1, 2, 0, 2, {1: 0.5, 2: 0.4}, None, None, ())


def trial(i: int, curve: dict[int, float], status: str = "paused") -> TrialState:
    return replace(PAUSED, id=f"w-{i}", order=(i, "w"), status=status, curve=curve, step=max(curve, default=0))


def test_the_rank_correlation_is_spearman_s():
    """Ties share their ranks, what diverged is the worst, and nothing is known of what does not vary."""
    rng = np.random.default_rng(0)
    one = rng.integers(0, 9, 40).astype(float)
    other = one + rng.normal(size=40)
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one, other)[0])
    assert rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([0.1, inf, inf])) == pytest.approx(3**0.5 / 2)
    assert rank_correlation(np.ones(5), np.arange(5.0)) == 0.0
    assert rank_correlation(np.ones(1), np.ones(1)) == 0.0


@pytest.mark.parametrize(
    ("changes", "losses"),
    [
        ({}, (0.5, 0.4)),
        ({"status": "running"}, (0.5, 0.4)),
        ({"curve": {1: 0.5}, "step": 1}, None),
        ({"curve": {1: 0.5}, "step": 1, "status": "failed"}, (0.5, inf)),
        ({"curve": {}, "step": 0, "status": "failed"}, None),
        ({"curve": {2: 0.4}}, None),  # it says nothing about step 1
        ({"curve": {1: 0.5, 5: 0.3}, "step": 5}, (0.5, 0.3)),
        ({"status": "cancelled"}, None),
    ],
)
def test_the_losses_that_are_compared(changes, losses):
    """A loss at a rung is that of a report before the next one; who fails between the two is the worst there."""
    assert losses_between(replace(PAUSED, **changes), 1, 2) == losses


def test_irregular_steps_have_losses_between_rungs():
    """Seconds as steps overshoot a rung."""
    assert losses_between(trial(1, {3: 0.5, 9: 0.4}), 2, 6) == (0.5, 0.4)
    assert losses_between(trial(1, {3: 0.5, 5: 0.4}, "failed"), 2, 6) == (0.5, inf)


def test_agreement_is_a_function_of_the_trials_now():
    """In whatever order trials were put, and whatever they were before; few of them move what is believed a little."""
    rng = random.Random(0)
    pairs = {i: (rng.random(), rng.random()) for i in range(50)}
    found = set()
    for _ in range(3):
        agreement = RungAgreement(0.5)
        assert agreement.correlation() == 0.5
        for i in rng.sample(range(50), 50):
            agreement.put(trial(i, {}), (rng.random(), rng.random()))
            agreement.put(trial(i, {}), None if i % 5 == 0 else pairs[i])
            agreement.correlation()
        found.add((len(agreement), agreement.correlation()))
    assert len(found) == 1
    few = RungAgreement(0.5)
    for i in range(4):
        few.put(trial(i, {}), (i, i))
    assert few.correlation() == pytest.approx((4 + 0.5 * PRIOR_PAIRS) / (4 + PRIOR_PAIRS))
    assert repr(few) == "<RungAgreement 0.75 by 4 trials>"


def test_begins_at_the_usual_rung_while_nothing_is_known():
    """No trial, or those that were judged at the lowest rung, are no evidence."""
    first = FirstRung(LEVELS, 1)
    assert first.best() == 1
    for i in range(30):
        first.update(trial(i, {1: i, 2: i}), 0)
    assert repr(first) == "<FirstRung at step 2 of (1, 2, 6, 18)>"
    assert FirstRung((1,), 0).choose(np.random.default_rng(0)) == 0


def test_trials_that_were_judged_at_no_lower_rung_count_for_fewer():
    """As many as would have come there of those that begin where trials begin now."""
    first = FirstRung(LEVELS, 1)
    assert first.size([0, 6, 9, 0], 3) == 6 + 9 / 3
    for i in range(30):
        first.update(trial(i, {1: i, 2: i}), 1)
    assert first.best() == 0
    assert first.size([4, 6, 9, 0], 3) == 4 + 6 / 3 + 9 / 9
