"""Hyperband by name, its options, the order of its brackets, and the conformance check."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from aiohpo.errors import UsageError
from aiohpo.plugin import Identity, KeepingScheduler
from aiohpo.plugin.registry import create
from aiohpo.testing import check_scheduler
from aiohpo_plugins.schedulers.halving.hyperband import HyperbandScheduler
from tests.support.scheduled import SomeClaims, Told, begun, work


@pytest.mark.parametrize("options", [{}, {"eta": 2}])
def test_keeps_a_scheduler_s_promises(options):
    """The conformance check passes."""
    check_scheduler(lambda: HyperbandScheduler(**options))


def test_is_registered_and_shown():
    """It is found by name, with options, and shows them."""
    scheduler = create("schedulers", "hyperband:eta=4,r_min=2")
    assert repr(scheduler) == "HyperbandScheduler(eta=4, r_min=2)"
    assert isinstance(scheduler, KeepingScheduler)


@pytest.mark.parametrize(("option", "value"), [("eta", 1), ("eta", "3"), ("r_min", 0)])
def test_wrong_options(option, value):
    """Options out of range are errors that name them."""
    with pytest.raises(UsageError, match=f"hyperband: {option} must be"):
        HyperbandScheduler(**{option: value})


@pytest.mark.parametrize(("max_steps", "message"), [(None, "has no steps"), (2, "at least 3 steps")])
def test_studies_that_it_cannot_serve(max_steps, message):
    """Without steps, or with too few to halve anything, setup says what to do."""
    with pytest.raises(ValueError, match=message):
        HyperbandScheduler().setup(max_steps, 0, Identity("w"))


def test_brackets_follow_each_other():
    """From many short trials to few complete ones, and then again."""
    told, scheduler = Told(27), begun(HyperbandScheduler())
    started = []
    for _ in range(60):
        new = scheduler.next(told.view, SomeClaims(), np.random.default_rng(0))
        started.append((new.bracket, new.to_step))
        told.new(new.to_step, new.bracket)
    assert Counter(started) == {(0, 1): 27, (1, 3): 12, (2, 9): 6, (3, None): 4, (4, 1): 11}


def test_a_whole_round():
    """Every bracket is halved as the paper says, whatever the others do."""
    told = Told(27, 49)
    work(begun(HyperbandScheduler()), told, 1000, np.random.default_rng(0).random(49).tolist())
    states = [told.view.trial(id) for id in told.view.changed(0)[0]]
    reached = Counter((s.bracket, s.step) for s in states)
    assert [reached[0, step] for step in (1, 3, 9, 27)] == [18, 6, 2, 1]
    assert [reached[1, step] for step in (3, 9, 27)] == [8, 3, 1]
    assert [reached[2, step] for step in (9, 27)] == [4, 2]
    assert reached[3, 27] == 4
