"""Tests of what one worker may take."""

from __future__ import annotations

from aiohpo import Float, Space
from aiohpo.events.schema import Ended, Goal, Proposed, Saved
from aiohpo.peer.eligibility import Eligibility
from aiohpo.peer.racing import Racing
from aiohpo.plugin.objective import Objective
from aiohpo.view.view import View

A = "a" * 64


def paused(goal: int | None = None) -> View:
    """Two trials that paused after step 3, the first with a checkpoint."""
    view = View(Space(x=Float(0, 1)), Objective("loss", "min"), 9)
    events = [
        Proposed(1, 0.0, (0.5,), to_step=3),
        Saved(2, 1, 0, 3, A, 1),
        Ended(3, 1, 0, "paused", 3),
        Proposed(4, 0.0, (0.6,), to_step=3),
        Ended(5, 4, 0, "paused", 3),
        Proposed(6, 0.0, (0.7,), to_step=3),
    ]
    for seq, event in enumerate([*events, *([Goal(7, goal)] if goal else [])], start=1):
        view.apply("ann", seq, event)
    return view


def test_only_paused_trials_that_count_can_be_claimed():
    """Running, unknown and surplus trials may never be resumed."""
    claims = Eligibility(paused(), None, set().__contains__)
    assert [claims.may_claim(f"ann-{n}") for n in (1, 4, 6, 9)] == [True, True, False, False]
    assert [Eligibility(paused(1), None, set().__contains__).may_claim(f"ann-{n}") for n in (1, 4)] == [True, False]


def test_many_free_workers_are_not_all_eligible():
    """When workers become free faster than news travels, few may take a given trial; open claims let anybody."""
    view = paused()
    allowed = 0
    for worker in range(200):
        racing = Racing(f"worker-{worker}", rate=100.0, delay=0.1)
        with Eligibility(view, racing, set().__contains__).at(5.0) as claims:
            allowed += claims.may_claim("ann-1")
    assert 0 < allowed < 30
    assert Eligibility(view, None, set().__contains__).may_claim("ann-1")


def test_checkpoints_are_here_or_can_be_had_or_not():
    """holds() asks the own directory; obtainable() is false where none was saved or nobody had it."""
    view = paused()
    claims = Eligibility(view, None, {A}.__contains__)
    assert claims.holds("ann-1")
    assert claims.holds("ann-1", 3)
    assert not claims.holds("ann-1", 2)
    assert not claims.holds("ann-4")
    assert claims.obtainable("ann-1", 3)
    assert not claims.obtainable("ann-4", 3)
    claims.missed(A)
    assert not claims.obtainable("ann-1", 3)
