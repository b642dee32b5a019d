"""Tests of the numbers of seconds, where they depend on each other."""

from __future__ import annotations

import pytest

from aiohpo.mesh.frames import MemberNews
from aiohpo.mesh.membership import Membership, State
from aiohpo.mesh.timing import Pace, Suspicion, Timing


@pytest.mark.parametrize("suspicion", [Suspicion(), Suspicion(ping=0.3, suspect=5.0, dead=0.7)])
def test_the_longest_suspicion_bounds_how_long_a_death_goes_unnoticed(suspicion):
    """A worker that nobody else watches is dead after about ``longest``, and not already after ``suspect + dead``."""
    me = Membership("ann", "addr-ann", 0.0, suspicion)
    me.merge_news([MemberNews("bob", "addr-bob", State.ALIVE, 0, "bob")], 0.0)
    me.watch({"bob"})
    now = 0.0
    while me.state("bob") is not State.DEAD:
        now += 0.1
        if now >= me.next_tick:
            me.tick(now)
    assert suspicion.suspect + suspicion.dead < now <= suspicion.longest + suspicion.ping + 0.1


def test_a_peer_waits_longer_for_an_answer_than_between_two_floods():
    """Repair is asked for again only after what is being flooded had its time to arrive."""
    pace = Timing().pace
    assert pace.interval_among(1_000_000) < pace.repair_timeout < pace.digest


@pytest.mark.parametrize(("members", "interval"), [(1, 0.02), (800, 0.02), (1600, 0.04), (4096, 0.1), (65536, 0.1)])
def test_floods_take_their_time_in_swarms_of_thousands(members, interval):
    """The interval is the given one up to 800 members, and grows with their number to five times that."""
    assert Pace().interval_among(members) == pytest.approx(interval)
