"""Trials that run out of memory, in swarms whose workers die, too: they are tried again, and all agree how often."""

from __future__ import annotations

import pytest

from tests.swarm.harness import SCHEDULED, play

pytestmark = pytest.mark.swarm


def test_a_trial_that_ran_out_of_memory_is_tried_again_and_fails_only_after_so_many_crashes() -> None:
    """The invariants hold; a crash costs no trial of the budget, and ends one only after two retries, whichever workers
    ran them."""
    again = gave_up = 0
    for seed in (2, 3, SCHEDULED + 2):
        swarm, _ = play(seed, out_of_memory=0.25)
        peer = next(iter(swarm.alive.values()))
        for record in peer.view.records():
            again += record.status == "finished" and bool(record.crashes)
            if record.error == "MemoryError: as others use it":
                gave_up += 1
                assert len(record.crashes) > 2
    assert again > 10
    assert gave_up > 5
