"""Rungs: where trials stand, and that they stand there whatever happened on the way."""

from __future__ import annotations

import random
from dataclasses import replace
from math import inf

import pytest

from aiohpo.plugin import TrialState
from aiohpo_plugins.schedulers.rungs import NOWHERE, Ladder, Place, TrialTracker, locate, values_at
from tests.support.scheduled import Told

LEVELS = (1, 3, 9)
PAUSED = TrialState("w-1", "paused", (1, "w"), 0, 3, 0, 3, {1: 0.5, 2: 0.4, 3: 0.3}, None, None, ())


def test_a_value_is_the_first_report_at_or_after_the_level():
    """Steps may be seconds and overshoot; what comes later does not change the value."""
    assert values_at({1: 0.5, 2: 0.4, 3: 0.3, 4: 0.2}, 4, LEVELS) == (0.5, 0.3)
    assert values_at({9: 0.1, 2: 0.4, 4: 0.3}, 9, LEVELS) == (0.4, 0.3, 0.1)
    assert values_at({12: 0.1}, 12, LEVELS) == (0.1, 0.1, 0.1)
    assert values_at({1: 0.5}, 3, LEVELS) == (0.5,)  # what it reported at step 3 was no number
    assert values_at({}, 0, LEVELS) == ()


@pytest.mark.parametrize(
    ("changes", "losses", "entered", "waits"),
    [
        ({}, (0.5, 0.3), 2, True),
        ({"status": "running", "to_step": 9}, (0.5, 0.3), 3, False),
        ({"status": "lost", "to_step": None}, (0.5, 0.3), 3, False),
        ({"status": "failed", "to_step": 9}, (0.5, 0.3, inf), 3, False),
        ({"status": "failed"}, (0.5, 0.3), 2, False),
        ({"to_step": 9}, (0.5, 0.3, inf), 3, False),
        ({"status": "finished", "to_step": 9, "loss": 0.2}, (0.5, 0.3, 0.2), 3, False),
        ({"status": "finished", "to_step": None, "loss": 0.2, "curve": {}, "step": 0}, (), 0, False),
        ({"status": "stopped", "to_step": None, "loss": 0.3}, (0.5, 0.3), 2, False),
        ({"status": "cancelled"}, (), 0, False),
        ({"status": "queued"}, (), 0, False),
        ({"step": 30, "curve": {30: 0.1}}, (0.1, 0.1, 0.1), 3, True),
    ],
)
def test_where_a_trial_stands(changes, losses, entered, waits):
    """Losses at the rungs it reached, what stands in for them where it ended early, and whether it could go on."""
    assert locate(replace(PAUSED, **changes), LEVELS) == Place(losses, entered, waits)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({}, Place((0.5, 0.3), 2, True)),
        ({"curve": {2: 0.4, 3: 0.3}}, Place((0.4, 0.3), 2, True)),  # at step 2 it had passed step 1 only
        ({"curve": {3: 0.3}}, Place((0.3,), 2, True, 1)),
        ({"curve": {12: 0.1}, "step": 12}, Place((0.1, 0.1), 3, True, 1)),
        ({"curve": {}, "step": 0, "status": "running"}, Place((), 2, False, 1)),
        ({"curve": {}, "step": 0, "status": "failed"}, Place((inf,), 2, False, 1)),
    ],
)
def test_where_a_trial_stands_that_began_at_a_higher_rung(changes, place):
    """At lower rungs it stands if it reported there, before it got to the next one."""
    assert locate(replace(PAUSED, **changes), LEVELS, 1) == place


def test_a_ladder_is_a_function_of_the_trials_now():
    """However often and in whatever order trials changed before, entries, waiting and counts are the same."""
    rng = random.Random(0)

    def somehow(i: int) -> TrialState:
        step = rng.choice([0, 1, 2, 3, 7, 9, 10])
        return replace(
            PAUSED,
            id=f"w-{i}",
            order=(i, "w"),
            status=rng.choice(["queued", "running", "paused", "lost", "finished", "stopped", "failed", "cancelled"]),
            to_step=rng.choice([1, 3, 9, None]),
            step=step,
            curve={s: rng.choice([0.1, 0.2, 0.3]) for s in range(1, step + 1) if rng.random() < 0.8},
            loss=rng.choice([None, 0.2]),
        )

    ladder = Ladder(LEVELS)
    for _ in range(2000):
        ladder.update(somehow(i := rng.randrange(40)), i % 3)
    final = [somehow(i) for i in range(40)]
    for i, trial in enumerate(final):
        ladder.update(trial, i % 3)
    places = {trial.id: locate(trial, LEVELS, i % 3) for i, trial in enumerate(final)}
    for i, rung in enumerate(ladder.rungs):
        there = [t for t in final if places[t.id].first <= i < places[t.id].above]
        entries = sorted((places[t.id].losses[i - places[t.id].first], t.order, t.id) for t in there)
        assert list(rung.entries) == entries
        assert list(rung.waiting) == [e for e in entries if places[e[2]].waits and places[e[2]].above == i + 1]
        assert ladder.begun[i] == [sum(min(int(t.id[2:]) % 3, i) == began for t in there) for began in range(3)]
        assert ladder.entered[i] == sum(place.first <= i < place.entered for place in places.values())


def test_standing_and_taking_out():
    """A waiting trial has a rank at its rung; one that was taken out stands nowhere."""
    ladder = Ladder(LEVELS)
    better = replace(PAUSED, id="w-2", order=(2, "w"), curve={1: 0.6, 3: 0.1})
    for trial in (PAUSED, better):
        ladder.update(trial)
    assert ladder.standing(PAUSED) == (ladder.rungs[1], 1)
    assert ladder.standing(better) == (ladder.rungs[1], 0)
    assert not ladder.moving()
    ladder.update(replace(better, status="running", to_step=9))
    assert ladder.standing(better) is None
    assert ladder.moving()
    assert repr(ladder) == "<Ladder 1: 2, 3: 2, 9: 0>"
    assert repr(ladder.rungs[1]) == "<Rung at step 3: 2 trials, 1 waiting, best 0.1>"
    assert ladder.take(PAUSED.order, PAUSED.id) == Place((0.5, 0.3), 2, True)
    assert ladder.place(PAUSED.id) == NOWHERE
    assert repr(ladder.rungs[2]) == "<Rung at step 9: 0 trials, 0 waiting>"


def test_following_a_view():
    """Only what changed is looked at again; another view is read from its beginning."""
    told, seen, cleared = Told(), [], []
    follower = TrialTracker(lambda trial: seen.append(trial.id), lambda: cleared.append(len(seen)))
    first, second = told.paused(1, 0.1), told.paused(1, 0.2)
    follower.catch_up(told.view)
    follower.catch_up(told.view)
    assert sorted(seen) == sorted([first, second])
    told.resume(second, 3)
    follower.catch_up(told.view)
    assert seen[2:] == [second]
    follower.catch_up(told.again(0))
    assert sorted(seen[3:]) == sorted([first, second])
    assert cleared == [0, 3]
