"""Tests of when a running segment is declared lost, and by whom."""

from __future__ import annotations

import pytest

from aiohpo.mesh.membership import State
from aiohpo.mesh.timing import TURN
from aiohpo.peer.leases import LAST_TURN, Leases

TRIAL = ("ann", 1)


def expired(
    leases: Leases, now: float, state: State | None, owner: str = "ann", present: tuple[str, ...] = ("me",)
) -> list[tuple[tuple[str, int], int]]:
    return leases.expired(now, [(TRIAL, 0, owner)], lambda _: state, present)


def test_the_living_keep_their_lease():
    """A segment of a worker that is alive or only suspected is never declared lost."""
    leases = Leases("me", grace=10.0)
    for now in range(0, 1000, 10):
        assert expired(leases, float(now), State.ALIVE) == []
        assert expired(leases, float(now), State.SUSPECT) == []


@pytest.mark.parametrize("state", [State.DEAD, State.LEFT])
def test_the_dead_and_the_departed_lose_it_at_once(state):
    """With nobody else to speak first this worker declares it immediately."""
    assert expired(Leases("me", grace=10.0), 5.0, state) == [(TRIAL, 0)]


def test_strangers_get_a_grace():
    """The owner may be somebody whom this worker has yet to meet; doubt ends when it appears."""
    leases = Leases("me", grace=10.0)
    assert expired(leases, 0.0, None) == []
    assert expired(leases, 9.0, None) == []
    assert expired(leases, 9.5, State.ALIVE) == []
    assert expired(leases, 11.0, None) == []
    assert expired(leases, 21.0, None) == [(TRIAL, 0)]


def test_those_known_to_be_gone_get_none():
    """A worker whose journal is unlocked is gone for certain, whatever is believed of it."""
    leases = Leases("me", grace=10.0, gone=["ann"])
    assert expired(leases, 0.0, State.ALIVE) == [(TRIAL, 0)]


def test_only_the_living_are_certain_to_live():
    """Of anybody else a trial may come to be lost, now or after a grace: those have to be looked at again."""
    leases = Leases("me", grace=10.0, gone=["ann"])
    believed = [State.ALIVE, State.SUSPECT, State.DEAD, State.LEFT, None]
    assert [leases.is_certain_to_live("bob", state) for state in believed] == [True, False, False, False, False]
    assert not leases.is_certain_to_live("ann", State.ALIVE)


def test_workers_take_turns():
    """Of many workers exactly one speaks in the first turn, and each within the last."""
    present = tuple(f"w{i}" for i in range(50))
    everyone = [Leases(name, grace=0.0) for name in present]
    first = [leases.me for leases in everyone if expired(leases, 0.0, State.DEAD, present=present)]
    assert len(first) == 1
    second = [leases.me for leases in everyone if expired(leases, TURN, State.DEAD, present=present)]
    assert len(second) == 2
    assert all(expired(leases, TURN * LAST_TURN, State.DEAD, present=present) for leases in everyone)
