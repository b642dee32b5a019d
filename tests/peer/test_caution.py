"""Tests of how a worker waits for news of failures."""

from __future__ import annotations

import pytest

from aiohpo import Float, Space
from aiohpo.events.schema import OWN, Ended, Proposed
from aiohpo.mesh.timing import CAUTIOUS_FOR
from aiohpo.peer.caution import Caution
from aiohpo.plugin.objective import Objective
from aiohpo.view.view import View

WORKERS = ("a", "b", "c")
DELAY = 0.1


def view_of(**trials: str) -> View:
    """What workers made of one trial each: "failed", "finished" or "" while it runs."""
    view = View(Space(x=Float(0, 1)), Objective("loss", "min"))
    for worker, how in trials.items():
        view.apply(worker, 1, Proposed(1, 0.0, (0.5,), OWN))
        if how:
            view.apply(worker, 2, Ended(2, 1, 0, how, 0, 1.0 if how == "finished" else None))
    return view


def waits(view: View, me: str, *, most: int, at: float = 1.0) -> bool:
    """Whether a worker still waits after so many seconds."""
    caution = Caution(me)
    caution.pause(0.0, view, WORKERS, most, DELAY)
    return caution.pause(at, view, WORKERS, most, DELAY) > 0


def test_only_a_search_in_which_everything_failed_makes_workers_wait() -> None:
    """Not one in which nothing has ended or something has succeeded, nor one that is never given up."""
    for view in (view_of(), view_of(a=""), view_of(a="failed", b="finished")):
        assert Caution("a").pause(0.0, view, WORKERS, 1, DELAY) == 0.0
    failing = view_of(a="failed")
    assert Caution("a").pause(0.0, failing, WORKERS, 0, DELAY) == 0.0
    assert Caution("a").pause(0.0, failing, ("a",), 2, DELAY) == 0.0
    assert Caution("a").pause(0.0, failing, ("b", "c"), 2, DELAY) == 0.0  # of an earlier run
    assert Caution("a").pause(0.0, failing, WORKERS, 9, DELAY) > 0


def test_it_waits_until_no_news_is_on_its_way() -> None:
    """Every new trial and every ending that is heard means that there may be more."""
    caution, view = Caution("a"), view_of(a="failed")
    assert caution.pause(10.0, view, WORKERS, 9, DELAY) == pytest.approx(2 * DELAY)
    assert 0 < caution.pause(10.1, view, WORKERS, 9, DELAY) <= 0.11
    view.apply("b", 1, Proposed(1, 0.0, (0.25,), OWN))
    assert caution.pause(10.15, view, WORKERS, 9, DELAY) == pytest.approx(2 * DELAY)
    assert caution.pause(10.4, view, WORKERS, 9, DELAY) == 0.0


def test_as_many_go_on_as_failures_can_be_borne() -> None:
    """In the order of their names; what runs may fail as well, and its workers begin nothing."""
    view = view_of(a="failed", b="failed", c="failed")
    assert [me for me in WORKERS if not waits(view, me, most=5)] == ["a", "b"]
    assert [me for me in WORKERS if not waits(view, me, most=6)] == ["a", "b", "c"]
    running = view_of(a="", b="failed", c="failed")
    assert [me for me in "bc" if not waits(running, me, most=4)] == ["b"]
    assert [me for me in "bc" if not waits(running, me, most=3)] == []


def test_nobody_waits_for_long() -> None:
    """Where the trials that run take hours, the others go on; and the next trial is waited for anew."""
    running = view_of(a="", b="failed", c="failed")
    caution = Caution("b")
    assert caution.pause(0.0, running, WORKERS, 3, DELAY) > 0
    assert 0 < caution.pause(CAUTIOUS_FOR - 0.01, running, WORKERS, 3, DELAY) < 0.02
    assert "waiting" in repr(caution)
    assert caution.pause(CAUTIOUS_FOR, running, WORKERS, 3, DELAY) == 0.0
    assert "waiting" not in repr(caution)
    assert caution.pause(CAUTIOUS_FOR, running, WORKERS, 3, DELAY) > 0
