"""Tests of what becomes of a trial whose process crashed, in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aiohpo import Float, Space, Study, Trial
from aiohpo.peer.limits import Limits
from aiohpo.plugin import Identity
from aiohpo.runtime.peer import Peer
from aiohpo.testing import SimNetwork, run
from aiohpo.view.trials import TrialRecord
from tests.support.draws import Draws
from tests.support.peers import make_peer


def search(objective: Any, **options: Any) -> list[TrialRecord]:
    """The trials of a search for two trials by one worker."""

    async def main() -> Peer:
        study = Study(objective, Space(x=Float(0.0, 1.0)), searcher=Draws(), max_steps=4, **options)
        peer = make_peer(
            study, limits=Limits(trials=2), transport=SimNetwork(seed=0).endpoint("a" * 12), identity=Identity("a" * 12)
        )
        await peer.start()
        await peer.run()
        await peer.aclose()
        return peer

    return list(run(main, timeout=600.0).view.records())


def test_a_crashed_trial_goes_on_from_its_checkpoint() -> None:
    """It is the same trial, and its place in the budget; each crash is on record."""
    starts: list[int] = []

    async def objective(trial: Trial) -> float:
        starts.append(trial.start)
        for step in trial.steps():
            await asyncio.sleep(1.0)
            trial.report(1.0 / step)
            trial.save(step)
            if (step, len(starts)) in ((2, 1), (3, 2)):
                raise MemoryError(f"crash {len(starts)}")
        return 0.5

    records = search(objective, retries=2)
    assert starts == [0, 2, 3, 0]
    assert [(r.status, r.crashes, r.retries) for r in records] == [
        ("finished", ["MemoryError: crash 1", "MemoryError: crash 2"], 2),
        ("finished", [], 0),
    ]


@pytest.mark.parametrize(("retries", "tries"), [(0, 1), (2, 3)])
def test_a_trial_that_crashes_every_time_has_failed(retries: int, tries: int) -> None:
    """After its retries, with the last error; an exception is not tried again at all."""

    async def objective(trial: Trial) -> float:
        await asyncio.sleep(1.0)
        if trial.number == 0:
            raise MemoryError("again")
        raise ValueError("a bug")

    crashed, raised = search(objective, retries=retries)
    assert (crashed.status, len(crashed.crashes), crashed.error) == ("failed", tries, "MemoryError: again")
    assert (raised.status, raised.crashes, raised.attempt) == ("failed", [], 0)
