"""Calling an objective ahead of its virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from aiohpo import Trial
from aiohpo.evaluate.program import Program
from aiohpo.plugin import Assignment
from aiohpo.simulation.loop import run
from aiohpo.simulation.memory import MemoryBlobs
from aiohpo.simulation.rehearsal import Rehearsal, Rehearser


@pytest.fixture(params=[True, False], ids=["in a loop", "without a loop"])
def in_loop(request: pytest.FixtureRequest) -> bool:
    """Whether objectives are called while a loop runs."""
    return bool(request.param)


def rehearse(
    function: Callable[[Trial], Any],
    blobs: MemoryBlobs | None = None,
    *,
    in_loop: bool = False,
    attempt: int = 0,
    **assigned: Any,
) -> Rehearsal:
    steps = assigned.get("max_steps")
    rehearser = Rehearser(Program(function, "loss", steps, secret=b"s"), seed=0)
    assignment = Assignment("a-1", 0, {"x": 2.0}, attempt=attempt, **assigned)
    store = blobs or MemoryBlobs()

    async def from_a_task() -> Rehearsal:
        rehearsal = rehearser.rehearse(assignment, store)
        await asyncio.sleep(1.0)  # the loop goes on as before
        assert asyncio.current_task() is not None
        return rehearsal

    return run(from_a_task) if in_loop else rehearser.rehearse(assignment, store)


def test_what_a_stepwise_objective_says_is_written_down(in_loop: bool) -> None:
    """Reports and checkpoints come with their steps; it pauses where the segment is to, though nobody says so."""

    def train(trial: Trial) -> None:
        for step in trial.steps():
            trial.report(1.0 / step)
        trial.save(b"weights")

    rehearsal = rehearse(train, in_loop=in_loop, start=3, to_step=5, max_steps=9)
    assert [(said.step, said.method) for said in rehearsal.said] == [(4, "report"), (5, "report"), (5, "save")]
    assert (rehearsal.outcome.kind, rehearsal.last_step) == ("paused", 5)


def test_a_checkpoint_is_in_the_blob_store_and_can_be_restored() -> None:
    """The next segment finds what the last one saved."""
    blobs, restored = MemoryBlobs(), []

    def train(trial: Trial) -> float:
        restored.append(trial.restore())
        trial.save([trial["x"]])
        return 0.0

    first = rehearse(train, blobs)
    rehearse(train, blobs, checkpoint=first.said[0].arguments[1])
    assert restored == [None, [2.0]]


def test_an_async_objective_runs_in_virtual_time_of_its_own(in_loop: bool) -> None:
    """It may sleep for a day, and use ``asyncio.run``'s tools, without taking a second."""

    async def objective(trial: Trial) -> float:
        async with asyncio.timeout(1e6):
            await asyncio.sleep(86_400)
        return float(trial["x"] ** 2)

    assert rehearse(objective, in_loop=in_loop).outcome.metrics == {"loss": 4.0}


def test_a_blocking_objective_may_run_a_loop(in_loop: bool) -> None:
    """None runs as far as it can see."""

    async def four() -> float:
        return 4.0

    assert rehearse(lambda trial: asyncio.run(four()), in_loop=in_loop).outcome.metrics == {"loss": 4.0}


@pytest.mark.parametrize("error", [RuntimeError("boom"), SystemExit(3), KeyboardInterrupt()])
def test_whatever_an_objective_raises_is_a_failure(error: BaseException, in_loop: bool) -> None:
    """Nothing escapes, and the next segment can be rehearsed."""

    def objective(trial: Trial) -> float:
        raise error

    for attempt in (0, 1):
        assert rehearse(objective, in_loop=in_loop, attempt=attempt).outcome.kind == "failed"


def test_global_draws_repeat_with_the_seed() -> None:
    """An objective that draws from the global generators has the same values in each simulation."""

    def objective(trial: Trial) -> float:
        return random.random() + float(np.random.random())

    values = {rehearse(objective).outcome.metrics["loss"] for _ in range(2)}
    assert len(values) == 1
