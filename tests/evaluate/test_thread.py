"""Ordinary functions in a thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from aiohpo.errors import UsageError
from aiohpo.evaluate.capture import captured
from aiohpo.evaluate.checkpoint import encode
from aiohpo.evaluate.program import Program
from aiohpo.evaluate.thread import ThreadEvaluator
from aiohpo.evaluate.trial import Trial
from aiohpo.plugin import Decision, Evaluator, GracefulEvaluator, Outcome
from aiohpo.storage.blob_store import DirectoryBlobs
from aiohpo.testing import MemoryBlobs
from tests.support.evaluate_objectives import (
    SECRET,
    Alarm,
    Recorder,
    assignment,
    async_double,
    behave,
    restoring,
    stepping,
    stop_at,
    until_told,
)


async def started(function: Callable[[Trial], Any], blobs: Any = None, **options: Any) -> ThreadEvaluator:
    evaluator = ThreadEvaluator()
    await evaluator.start(Program(function, secret=SECRET, **options), blobs)
    return evaluator


def until(condition: Callable[[], bool], within: float = 600.0) -> bool:
    deadline = time.monotonic() + within
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.001)
    return condition()


async def test_it_runs_closures_off_the_loop() -> None:
    """What no other process could import runs here, in one thread for all segments."""
    threads = set()

    def objective(trial: Trial) -> float:
        threads.add(threading.current_thread())
        return 2.0 * trial["x"]

    evaluator = await started(objective)
    assert isinstance(evaluator, Evaluator)
    for x in range(3):
        assert await evaluator.run(assignment(x=x), Recorder()) == Outcome("finished", {"loss": 2.0 * x})
    await evaluator.aclose()
    assert len(threads) == 1
    assert threading.current_thread() not in threads
    threads.pop().join(5)


async def test_segments_run_side_by_side_in_threads_of_their_own() -> None:
    """Neither ends before both have begun; threads that wait are used again."""
    threads = set()
    together = threading.Barrier(2, timeout=600)

    def objective(trial: Trial) -> float:
        threads.add(threading.current_thread())
        together.wait()
        return 2.0 * trial["x"]

    evaluator = await started(objective)
    for x in range(3):
        both = [evaluator.run(assignment(i, x=x), Recorder()) for i in range(2)]
        assert await asyncio.gather(*both) == [Outcome("finished", {"loss": 2.0 * x})] * 2
    await evaluator.aclose()
    assert len(threads) == 2


async def test_it_refuses_async_functions() -> None:
    """The error names the evaluator for them."""
    with pytest.raises(UsageError, match="coroutine"):
        await started(async_double)
    with pytest.raises(UsageError, match="needs an objective"):
        await ThreadEvaluator().start(Program(None), {})


async def test_a_segment_goes_from_checkpoint_to_pause(tmp_path: Any) -> None:
    """Steps, reports, checkpoints and predictions travel to the loop and decisions back."""
    store = DirectoryBlobs(tmp_path)
    evaluator, first, second = await started(stepping, store), Recorder(), Recorder()
    assert await evaluator.run(assignment(to_step=2, max_steps=4), first) == Outcome("paused")
    step, digest, _ = first.saves[-1]
    outcome = await evaluator.run(assignment(start=step, checkpoint=digest, max_steps=4), second)
    assert outcome == Outcome("finished", {"loss": 10.0})
    assert [at for at, _ in first.reports + second.reports] == [1, 2, 3, 4]
    assert set(second.stored) == {"valid"}
    await evaluator.aclose()


async def test_nothing_is_unpickled_that_was_not_sealed(tmp_path: Any) -> None:
    """A checkpoint that somebody else put into the blob store fails its segment; the evaluator serves on."""
    blobs, alarm = DirectoryBlobs(tmp_path), Alarm()
    evaluator = await started(restoring, blobs)
    forged, good = blobs.put(encode(alarm, b"another")), blobs.put(encode(alarm, SECRET))
    outcome = await evaluator.run(assignment(start=1, checkpoint=forged), Recorder())
    assert outcome.kind == "failed"
    assert "not written under this study's key" in (outcome.error or "")
    assert not alarm.rang()
    assert await evaluator.run(assignment(start=1, checkpoint=good), Recorder()) == Outcome("finished", {"loss": 1.0})
    await evaluator.aclose()


@pytest.mark.parametrize(
    "behaviour", ["raise", "raise huge", "raise interrupt", "exit", "nan", "none", "string", "report nan", "recursion"]
)
async def test_bad_objectives_fail_their_trial_only(behaviour: str) -> None:
    """Nothing that the objective raises or returns comes out of run()."""
    evaluator = await started(behave)
    assert (await evaluator.run(assignment(do=behaviour), Recorder())).kind == "failed"
    assert (await evaluator.run(assignment(do="fine"), Recorder())).kind == "finished"
    await evaluator.aclose()


async def test_cancelling_ends_a_busy_loop() -> None:
    """A loop in Python is ended in its thread, and the next segment does not wait for it."""
    threads = []

    def objective(trial: Trial) -> float:
        threads.append(threading.current_thread())
        if trial["x"] == 0:
            return 1.0
        trial.report(0.5)
        while True:
            pass

    evaluator, channel = await started(objective), Recorder()
    run = asyncio.ensure_future(evaluator.run(assignment(x=1), channel))
    await asyncio.wait_for(channel.heard.wait(), 120)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert (await evaluator.run(assignment(x=0), Recorder())).kind == "finished"
    threads[0].join(10)
    assert not threads[0].is_alive()
    assert threads[0] is not threads[1]
    await evaluator.aclose()


async def test_a_cancelled_segment_is_not_heard_any_more() -> None:
    """A thread that cannot be interrupted may go on, but says nothing into the next trial's channel."""
    go_on, ended = threading.Event(), threading.Event()

    def objective(trial: Trial) -> float:
        if trial["x"] == 0:
            return 1.0
        try:
            trial.report(0.5)
            go_on.wait(120)
            trial.report(0.4)
        finally:
            ended.set()
        return 2.0

    evaluator, first, second = await started(objective), Recorder(), Recorder()
    run = asyncio.ensure_future(evaluator.run(assignment(x=1), first))
    await asyncio.wait_for(first.heard.wait(), 120)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    go_on.set()
    assert (await evaluator.run(assignment(x=0), second)).metrics == {"loss": 1.0}
    assert await asyncio.to_thread(ended.wait, 5)
    assert len(first.reports) == 1
    assert not second.reports
    await evaluator.aclose()


async def test_a_cancelled_report_unwinds() -> None:
    """A thread that waits for a decision when its segment is cancelled is let go."""
    channel = Recorder(lambda step: Decision.CONTINUE)
    ended = threading.Event()

    def objective(trial: Trial) -> float:
        try:
            while True:
                trial.report(0.5)
        finally:
            ended.set()

    evaluator = await started(objective)
    run = asyncio.ensure_future(evaluator.run(assignment(), channel))
    await asyncio.wait_for(channel.heard.wait(), 120)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert await asyncio.to_thread(ended.wait, 5)
    await evaluator.aclose()


async def test_a_stop_ends_a_loop_that_does_not_look() -> None:
    """An endless loop of reports is ended by the report after the decision."""

    def objective(trial: Trial) -> None:
        while True:
            trial.report(0.5)

    channel = Recorder(stop_at(3))
    evaluator = await started(objective)
    assert await evaluator.run(assignment(), channel) == Outcome("stopped")
    assert len(channel.reports) == 3
    await evaluator.aclose()


async def test_cancelling_at_any_moment_leaves_it_usable() -> None:
    """Cancellations at many points of short segments lose no later outcome and mix none up."""
    evaluator = await started(lambda trial: trial["x"])
    for x in range(200):
        run = asyncio.ensure_future(evaluator.run(assignment(x=-1), Recorder()))
        for _ in range(x % 5):
            await asyncio.sleep(0)
        run.cancel()
        await asyncio.wait({run}, timeout=600)
        assert (await evaluator.run(assignment(x=x), Recorder())).metrics == {"loss": float(x)}
    await evaluator.aclose()
    assert until(lambda: not [t for t in threading.enumerate() if t.name == "aiohpo-objective"])


async def test_what_it_prints_is_logged_while_output_is_captured() -> None:
    """Whole lines, before the outcome is there; each segment's on its own channel, and nothing without captured()."""

    def objective(trial: Trial) -> float:
        print("x is", trial["x"])
        print("no end", end="")
        return 1.0

    evaluator, channels = await started(objective), [Recorder(), Recorder(), Recorder()]
    with captured():
        for x, channel in enumerate(channels[:2]):
            await evaluator.run(assignment(x=x), channel)
    await evaluator.run(assignment(x=2), channels[2])
    await evaluator.aclose()
    assert [channel.text for channel in channels] == ["x is 0\nno end\n", "x is 1\nno end\n", ""]


async def test_a_flood_from_a_thread_is_bounded() -> None:
    """The rest of a segment's is dropped before it reaches the loop."""

    def objective(trial: Trial) -> float:
        for _ in range(30):
            print("spam spam\n" * 10_000)
        return 1.0

    evaluator, channel = await started(objective), Recorder()
    with captured():
        await evaluator.run(assignment(), channel)
    await evaluator.aclose()
    assert 1_000_000 < len(channel.text) < 1_200_000
    assert "dropped" in channel.logged[-1]


async def test_a_thread_that_is_left_behind_prints_to_nobody() -> None:
    """What it wrote before it was given up is logged, also a line without an end."""
    began, go_on, printed = threading.Event(), threading.Event(), threading.Event()

    def objective(trial: Trial) -> float:
        print("begun")
        print("then", end="")
        began.set()
        try:
            go_on.wait(10)
        finally:
            print("late")
            printed.set()
        return 1.0

    evaluator, channel = await started(objective), Recorder()
    with captured():
        run = asyncio.ensure_future(evaluator.run(assignment(), channel))
        await asyncio.to_thread(began.wait, 10)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        go_on.set()
        assert await asyncio.to_thread(printed.wait, 10)
    await asyncio.sleep(0)
    assert channel.text == "begun\nthen\n"


async def test_an_objective_hears_that_its_worker_ends() -> None:
    """A last checkpoint counts, and the segment is released without an error."""
    channel = Recorder()
    evaluator = await started(until_told, MemoryBlobs())
    assert isinstance(evaluator, GracefulEvaluator)
    running = asyncio.create_task(evaluator.run(assignment(), channel))
    await asyncio.wait_for(channel.heard.wait(), 120)
    assert channel.saves == []
    evaluator.wind_down()
    assert await asyncio.wait_for(running, 120) == Outcome("released")
    assert [step for step, *_ in channel.saves] == [1]
