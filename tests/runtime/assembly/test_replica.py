"""Tests of what a process holds of a study while no worker runs."""

from __future__ import annotations

import asyncio
import gc

from aiohpo import Float, Space, Study
from aiohpo.peer.limits import Limits
from aiohpo.peer.recorder import Recorder
from aiohpo.runtime.assembly.services import Services

SPACE = Space(x=Float(0, 1))


async def objective(trial):
    return trial["x"]


def make(**options) -> Study:
    return Study(objective, SPACE, searcher="random", **options)


def fill(services: Services, trials: int) -> None:
    """Record so many trials as the worker that ``services`` are for."""
    recorder = Recorder(services.identity.worker, services.view, services.log)
    for n in range(trials):
        recorder.propose(0.0, SPACE.pack({"x": n / trials}))


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


async def test_what_a_worker_knew_replaces_what_it_knew_all_of():
    """Nothing is copied then; who writes to what is known by hand keeps it, and what the worker knew is brought there,
    with turns for others in between."""
    study = make()
    for trials in (3, 6):
        services = study._services(limits=Limits(1))
        fill(services, trials)
        await study._replica.leave_worker(services.log, services.view)
        assert study._replica.view is services.view
    study.enqueue({"x": 0.5})
    held, services = study._replica.view, study._services(limits=Limits(1))
    fill(services, 2000)
    turns, leaving = 0, asyncio.create_task(study._replica.leave_worker(services.log, services.view))
    while not leaving.done():
        turns += 1
        await asyncio.sleep(0)
    assert study._replica.view is held
    assert held.n_rows == services.view.n_rows
    assert turns > 3


async def test_workers_that_leave_together_lose_nothing():
    """What each of them alone knew is known in the end, whoever was the first."""
    study = make()
    workers = [study._services(limits=Limits(1)) for _ in range(3)]
    for services in workers:
        fill(services, 1000)
    await asyncio.gather(*(study._replica.leave_worker(services.log, services.view) for services in workers))
    assert study._replica.view.n_rows == 3000


async def test_what_the_next_worker_begins_with_can_be_prepared():
    """What is known in memory is copied with turns for others in between; what comes in later is there, too."""
    study = make()
    fill(first := study._services(limits=Limits(1)), 2000)
    await study._replica.leave_worker(first.log, first.view)
    turns, preparing = 0, asyncio.create_task(study._replica.prepare())
    while not preparing.done():
        turns += 1
        await asyncio.sleep(0)
    study.add([({"x": 0.5}, 1.0)])
    services = study._services(limits=Limits(1))
    assert turns > 3
    assert services.view is not study._replica.view
    assert services.view.n_rows == study._replica.view.n_rows == 2001


async def test_each_worker_reads_a_directory_for_itself(tmp_path):
    """What was prepared is one worker's; the next one reads again."""
    study = make(directory=tmp_path / "r")
    await study._replica.prepare()
    one, two = (study._replica.begin() for _ in range(2))
    assert one.log is not two.log
