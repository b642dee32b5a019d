"""Tests of how much one peer may bring in."""

from __future__ import annotations

import pytest

from aiohpo.mesh import quotas
from aiohpo.mesh.quotas import Quota


@pytest.fixture
def quota(monkeypatch: pytest.MonkeyPatch) -> Quota:
    monkeypatch.setattr(quotas, "MOST_FROM_ONE", 3)
    monkeypatch.setattr(quotas, "MOST_OF_ALL", 5)
    return Quota("workers")


def test_one_peer_cannot_use_up_the_room_of_all(quota: Quota) -> None:
    """A peer brings in no more than its share, and all together no more than there is room for."""
    held = 0
    for peer, admitted in (("a", 3), ("b", 2), ("c", 0)):
        for _ in range(4):
            held += quota.admit(peer, held)
        assert quota._brought.get(peer, 0) == admitted
    assert (held, quota.refused) == (5, 7)


def test_refusals_are_said_once_for_each_peer_and_not_for_ever(quota: Quota) -> None:
    """A complaint names the peer and the bounds, once, and made-up peers do not make up more of them."""
    assert quota.complaint("a") == (
        "a announces more workers than can be kept (3 from one peer, 5 in all): the rest is ignored"
    )
    assert quota.complaint("a") is None
    assert "\x1b" not in (quota.complaint("\x1b[31m") or "")
    assert sum(quota.complaint(f"peer {n}") is not None for n in range(100)) == 48


def test_repr_is_a_status_line(quota: Quota) -> None:
    """The repr says how much was taken and refused."""
    for _ in range(5):
        quota.admit("a", 0)
    assert repr(quota) == "<Quota of workers: 3 taken, 2 refused>"
