"""Successive halving by name, its options, and the conformance check."""

from __future__ import annotations

import numpy as np
import pytest

from aiohpo.errors import UsageError
from aiohpo.plugin import Identity, KeepingScheduler, NewTrial
from aiohpo.plugin.registry import create
from aiohpo.testing import check_scheduler
from aiohpo_plugins.schedulers.halving.sha import SHAScheduler
from tests.support.scheduled import SomeClaims, Told, begun


@pytest.mark.parametrize("options", [{}, {"n": 4}])
def test_keeps_a_scheduler_s_promises(options):
    """The conformance check passes, also with brackets that end with nobody at the top."""
    check_scheduler(lambda: SHAScheduler(**options))


def test_is_registered_and_shown():
    """It is found by name, with options, and shows them."""
    scheduler = create("schedulers", "sha:eta=4,n=20")
    assert repr(scheduler) == "SHAScheduler(eta=4, r_min=None, n=20)"
    assert repr(SHAScheduler(r_min=2)) == "SHAScheduler(eta=3, r_min=2)"
    assert isinstance(scheduler, KeepingScheduler)


@pytest.mark.parametrize(("option", "value"), [("eta", 1.5), ("r_min", 0), ("r_min", True), ("n", 0), ("n", 2.5)])
def test_wrong_options(option, value):
    """Options out of range are errors that name them."""
    with pytest.raises(UsageError, match=f"sha: {option} must be a .*number of at least .*, not {value}"):
        SHAScheduler(**{option: value})


@pytest.mark.parametrize(("max_steps", "message"), [(None, "has no steps"), (2, "at least 3 steps")])
def test_studies_that_it_cannot_serve(max_steps, message):
    """Without steps, or with too few to halve anything, setup says what to do."""
    with pytest.raises(ValueError, match=message):
        SHAScheduler().setup(max_steps, 0, Identity("w"))


@pytest.mark.parametrize(
    ("options", "level", "n"), [({}, 1, 27), ({"r_min": 3}, 3, 9), ({"eta": 4}, 2, 16), ({"n": 5}, 1, 5)]
)
def test_the_layout(options, level, n):
    """Rungs lie at R·eta^-i down to r_min; n is eta^(their number) unless given."""
    told, scheduler = Told(27 if "eta" not in options else 32), SHAScheduler(**options)
    begun(scheduler, told.max_steps)
    for i in range(n + 1):
        new = scheduler.next(told.view, SomeClaims(), np.random.default_rng(0))
        assert new == NewTrial(level, int(i == n))
        told.new(new.to_step, new.bracket)
