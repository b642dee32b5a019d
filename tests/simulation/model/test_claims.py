"""Claims that are under way."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import aiohpo
from aiohpo.events.schema import Claimed, Ended, Proposed, Reported
from aiohpo.peer.racing import Racing
from aiohpo.peer.running_segments import Segment
from aiohpo.plugin import Identity
from aiohpo.plugin.objective import Objective
from aiohpo.plugin.registry import create
from aiohpo.simulation.model.claims import ClaimsUnderWay, TravellingClaim, offered
from aiohpo.view.view import View


def paused(n: int) -> View:
    """A view of ``n`` trials that pause after step 1 of 27."""
    view = View(aiohpo.Space(x=aiohpo.Float(0, 1)), Objective("loss", "min"), 27)
    for i in range(n):
        name, value = f"w{i}", float(i)
        view.apply(name, 1, Proposed(1, 0.0, (0.1 * i,), to_step=1))
        view.apply(name, 2, Reported(2, 1, 0, 1, value))
        view.apply(name, 3, Ended(3, 1, 0, "paused", 1, value, 1.0))
    return view


def worker(place: int) -> Any:
    return SimpleNamespace(place=place, racing=Racing(f"w{place}"))


@pytest.fixture
def claimed() -> tuple[ClaimsUnderWay, View]:
    """Worker 0 claims a trial at 10 s, of which worker 1 hears after a second and worker 2 after three."""
    view = paused(3)
    view.apply("w0", 4, Claimed(4, 10.0, ("w0", 1), 1, 3))
    claims = ClaimsUnderWay()
    claims.add(TravellingClaim(Segment(("w0", 1), 0, 1, 3), 0, 10.0, np.array([0.0, 1.0, 3.0]), 13.0))
    return claims, view


def test_who_has_not_heard_of_a_claim_makes_it_too(claimed: tuple[ClaimsUnderWay, View]) -> None:
    """Until the news arrives; its own claim hinders nobody."""
    claims, view = claimed
    found = claims.collision(worker(1), 10.5, view)
    assert found is not None
    assert found.heard_by(1) == 11.0
    assert claims.collision(worker(0), 10.5, view) is None
    assert claims.collision(worker(1), 11.0, view) is None
    assert claims.collision(worker(2), 12.9, view) is not None
    assert claims.collision(worker(2), 13.0, view) is None


def test_who_may_not_claim_does_not_collide(claimed: tuple[ClaimsUnderWay, View]) -> None:
    """The rule that keeps large swarms from racing holds here too."""
    claims, view = claimed
    held = worker(2)
    held.racing.rate, held.racing.delay = 1e9, 1.0
    assert claims.collision(held, 10.5, view) is None


def test_a_scheduler_is_asked_what_it_would_resume() -> None:
    """Nothing is claimed by that."""
    scheduler = create("schedulers", "asha:r_min=1")
    scheduler.setup(27, 0, Identity("model"))
    view = paused(3)
    assert offered(scheduler, view, np.random.default_rng(0)) == {"w0-1"}
    assert offered(scheduler, paused(0), np.random.default_rng(0)) == set()
