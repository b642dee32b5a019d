"""Tests of what a process holds of a study while no worker runs."""

from __future__ import annotations

import gc

from aiohpo import Float, Space, Study
from aiohpo.peer.limits import Limits

SPACE = Space(x=Float(0, 1))


async def objective(trial):
    return trial["x"]


def make(**options) -> Study:
    return Study(objective, SPACE, searcher="random", **options)


def test_nothing_is_made_before_it_is_needed(tmp_path):
    """A study that is only described leaves no directory."""
    replica = make(directory=tmp_path / "r")._replica
    assert repr(replica) == f"<Replica in {tmp_path / 'r'}: not loaded>"
    assert not (tmp_path / "r").exists()
    assert replica.view.n_trials == 0
    assert (tmp_path / "r" / "study.json").exists()


def test_blobs_in_memory_last_as_long_as_somebody_needs_them():
    """The temporary directory outlives the study while a worker has it, and no longer."""
    study = make()
    services = study._services(limits=Limits(1))
    digest = services.blobs.put(b"a checkpoint")
    root = services.blobs.root.parent
    del study
    gc.collect()
    assert services.blobs.get(digest) == b"a checkpoint"
    del services
    gc.collect()
    assert not root.exists()


async def test_what_a_worker_knew_stays_with_the_study():
    """A run in memory goes on where the last one ended, and the next worker knows of it."""
    study = make()
    await study.arun(3)
    assert study._replica.view.n_ended == 3
    assert study._services(limits=Limits(5)).view.n_ended == 3
