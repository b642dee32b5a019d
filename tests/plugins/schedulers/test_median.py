"""The median stopping rule: whom it compares with whom, and when."""

from __future__ import annotations

from statistics import mean, median

import numpy as np
import pytest

from aiohpo.errors import UsageError
from aiohpo.plugin import Decision, Identity, NewTrial
from aiohpo.plugin.registry import create
from aiohpo.testing import check_scheduler
from aiohpo_plugins.schedulers.median import MedianScheduler, running_averages
from tests.support.scheduled import SomeClaims, Told, begun, work

GO, STOP = Decision.CONTINUE, Decision.STOP


def told_with(curves, max_steps=27) -> tuple[Told, list[str]]:
    told, trials = Told(max_steps), []
    for curve in curves:
        trials.append(told.new())
        for step, loss in curve.items():
            told.report(trials[-1], step, loss)
    return told, trials


def decide(told: Told, curve, **options) -> Decision:
    """Decide about one more trial after its last report."""
    trial = told.new()
    for step, loss in curve.items():
        told.report(trial, step, loss)
    return begun(MedianScheduler(**options), told.max_steps).on_report(told.view, trial, max(curve))


def test_keeps_a_scheduler_s_promises():
    """The conformance check passes."""
    check_scheduler(MedianScheduler)


def test_is_registered_and_shown():
    """It is found by name, with options, and shows them."""
    assert repr(create("schedulers", "median:grace_trials=3")) == "MedianScheduler(grace_steps=1, grace_trials=3)"


@pytest.mark.parametrize(("option", "value"), [("grace_steps", 0), ("grace_trials", 0), ("grace_trials", 2.5)])
def test_wrong_options(option, value):
    """Options out of range are errors that name them."""
    with pytest.raises(UsageError, match=f"median: {option} must be"):
        MedianScheduler(**{option: value})


@pytest.mark.parametrize(("max_steps", "message"), [(None, "has no steps"), (1, "at least 2 steps")])
def test_studies_that_it_cannot_serve(max_steps, message):
    """Without steps, or with a single one, there is nothing to compare."""
    with pytest.raises(ValueError, match=message):
        MedianScheduler().setup(max_steps, 0, Identity("w"))


def test_running_averages():
    """The mean of all reports up to the first at or after each level, whatever order they are in."""
    assert running_averages({2: 3.0, 1: 1.0, 3: 5.0}, (1, 2, 3, 4)) == (1.0, 2.0, 3.0)
    assert running_averages({4: 1.0, 7: 2.0}, (1, 4, 5, 9)) == (1.0, 1.0, 1.5)
    assert running_averages({}, (1, 2)) == ()


def test_the_best_is_compared_with_the_median_of_averages():
    """A trial is stopped if its best so far is worse than the median of the others' running averages."""
    others = [{1: loss, 2: loss - 0.2} for loss in (0.4, 0.5, 0.6, 0.7, 0.8)]
    told, _ = told_with(others)
    assert decide(told, {1: 0.6}) is GO  # the median at step 1
    assert decide(told, {1: 0.61}) is STOP
    told, _ = told_with(others)
    assert decide(told, {1: 0.9, 2: 0.5}) is GO  # the median of averages at step 2
    told, _ = told_with(others)
    assert decide(told, {1: 0.9, 2: 0.51}) is STOP
    told, _ = told_with(others)
    assert decide(told, {1: 0.4, 2: 9.0}) is GO  # it was good once


@pytest.mark.parametrize("n", [5, 6])
def test_the_median_is_that_of_the_others(n):
    """The trial itself does not count, wherever it stands; an even number has a mean of two."""
    losses = np.random.default_rng(n).random(n + 1)
    for i, own in enumerate(losses):
        told, trials = told_with([{1: loss} for loss in losses])
        others = [loss for j, loss in enumerate(losses) if j != i]
        expected = STOP if own > median(others) else GO
        assert begun(MedianScheduler()).on_report(told.view, trials[i], 1) is expected


def test_grace():
    """Before grace_steps, or with fewer others than grace_trials at that step, nobody is stopped."""
    others = [{1: 0.1, 2: 0.1, 3: 0.1}] * 5
    told, _ = told_with(others)
    assert decide(told, {1: 1.0}, grace_steps=3) is GO
    assert decide(told, {1: 1.0, 2: 1.0, 3: 1.0}, grace_steps=3) is STOP
    told, _ = told_with(others[:4])
    assert decide(told, {1: 1.0}) is GO
    told, _ = told_with(others[:4])
    assert decide(told, {1: 1.0}, grace_trials=4) is STOP
    told, _ = told_with([{1: 0.1}] * 5)
    assert decide(told, {1: 0.1, 2: 1.0}) is GO


def test_failures_are_the_worst():
    """A failed trial stands above all others where it would have reported next."""
    told, _ = told_with([{1: 0.1}, {1: 0.2}])
    for _ in range(3):
        told.end(told.new(), "failed")
    assert decide(told, {1: 99.0}) is GO
    told, _ = told_with([{1: 0.1}, {1: 0.2}, {1: 0.3}])
    for _ in range(2):
        told.end(told.new(), "failed")
    assert decide(told, {1: 99.0}) is STOP


def test_maximised_metrics_are_read_right():
    """What the view hands out are losses, so low values are stopped."""
    for value, expected in ((0.9, GO), (0.1, STOP)):
        told = Told(27, mode="max")
        for other in (0.4, 0.5, 0.5, 0.5, 0.6):
            told.report(told.new(), 1, other)
        assert decide(told, {1: value}) is expected


def test_irregular_and_many_steps_are_compared_at_checkpoints():
    """Objectives that report seconds are compared where they pass a checkpoint, and just once there."""
    rng, told = np.random.default_rng(0), Told(3600)
    for _ in range(9):
        trial = told.new()
        for step in np.cumsum(rng.integers(30, 90, 20)).tolist():
            told.report(trial, step, 0.1)
    assert decide(told, {17: 0.1, 80: 0.5}) is GO  # its best is as good
    told.end(told.new(), "failed")
    slow = told.new()
    scheduler = begun(MedianScheduler(), 3600)
    told.report(slow, 400, 0.9)
    assert scheduler.on_report(told.view, slow, 400) is STOP
    told.report(slow, 401, 0.9)
    assert scheduler.on_report(told.view, slow, 401) is GO
    told.report(slow, 900, None)
    assert scheduler.on_report(told.view, slow, 900) is GO


def test_a_revised_history_gives_the_same_answer():
    """What arrived late or in another order changes nothing."""
    told, trials = told_with([{1: i / 10, 2: i / 20} for i in range(9)])
    told.end(trials[0], "cancelled")
    for trial in trials[1:]:
        answers = {begun(MedianScheduler()).on_report(told.again(seed), trial, 2) for seed in range(3)}
        assert len(answers) == 1


def test_every_trial_begins_without_an_end():
    """It only stops trials; a search of one worker leaves the good ones complete."""
    told = Told(9, 40)
    assert begun(MedianScheduler()).next(told.view, SomeClaims(), np.random.default_rng(0)) == NewTrial()
    losses = np.random.default_rng(1).random(40).tolist()
    work(begun(MedianScheduler(), 9), told, 40, losses)
    states = [told.view.trial(id) for id in told.view.changed(0)[0]]
    finished = [s.loss for s in states if s.status == "finished"]
    stopped = [s.loss for s in states if s.status == "stopped"]
    assert len(finished) + len(stopped) == 40
    assert mean(finished) < mean(stopped)


def test_a_trial_that_somebody_withdrew_goes_on():
    """A report of a trial that stands nowhere any more is compared with nothing."""
    told, trials = told_with([{1: i / 10, 2: i / 20} for i in range(9)])
    told.end(trials[8], "cancelled")
    told.report(trials[8], 3, 5.0)
    assert begun(MedianScheduler()).on_report(told.view, trials[8], 3) is GO
