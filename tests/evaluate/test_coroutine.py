"""Async objectives on the worker's loop."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any

import pytest

from aiohpo.errors import UsageError
from aiohpo.evaluate import coroutine as module
from aiohpo.evaluate.capture import captured
from aiohpo.evaluate.checkpoint import encode
from aiohpo.evaluate.coroutine import CoroutineEvaluator
from aiohpo.evaluate.program import Program
from aiohpo.evaluate.trial import Trial
from aiohpo.evaluate.trial_link import TrialEnded
from aiohpo.plugin import Evaluator, GracefulEvaluator, Outcome
from aiohpo.testing import MemoryBlobs
from tests.support.evaluate_objectives import (
    SECRET,
    Alarm,
    Recorder,
    assignment,
    async_double,
    behave_async,
    double,
    restoring,
    stop_at,
)


async def started(function: Callable[[Trial], Any], blobs: Any = None, **options: Any) -> CoroutineEvaluator:
    evaluator = CoroutineEvaluator()
    await evaluator.start(Program(function, secret=SECRET, **options), {} if blobs is None else blobs)
    return evaluator


async def test_nothing_is_unpickled_that_was_not_sealed() -> None:
    """A checkpoint that somebody else put into the blob store fails its segment; the evaluator serves on."""

    async def objective(trial: Trial) -> float:
        return restoring(trial)

    blobs, alarm = MemoryBlobs(), Alarm()
    evaluator = await started(objective, blobs)
    forged, good = blobs.put(encode(alarm, b"another")), blobs.put(encode(alarm, SECRET))
    outcome = await evaluator.run(assignment(start=1, checkpoint=forged), Recorder())
    assert outcome.kind == "failed"
    assert "not written under this study's key" in (outcome.error or "")
    assert not alarm.rang()
    assert await evaluator.run(assignment(start=1, checkpoint=good), Recorder()) == Outcome("finished", {"loss": 1.0})


async def test_it_runs_async_objectives() -> None:
    """A returned value finishes the segment; one evaluator serves many."""
    evaluator = await started(async_double)
    assert isinstance(evaluator, Evaluator)
    for x in range(3):
        assert await evaluator.run(assignment(x=x), Recorder()) == Outcome("finished", {"loss": 2.0 * x})
    await evaluator.aclose()


async def test_it_refuses_ordinary_functions() -> None:
    """They would block the loop; the error names the evaluators for them."""
    with pytest.raises(UsageError, match=r'process.* or "thread"'):
        await started(double)
    with pytest.raises(UsageError, match="needs an objective"):
        await CoroutineEvaluator().start(Program(None), {})


@pytest.mark.parametrize(
    "behaviour",
    ["raise", "raise huge", "raise generator exit", "exit", "nan", "none", "string", "report nan", "recursion"],
)
async def test_bad_objectives_fail_their_trial_only(behaviour: str) -> None:
    """Nothing that the objective raises or returns comes out of run()."""
    evaluator = await started(behave_async)
    assert (await evaluator.run(assignment(do=behaviour), Recorder())).kind == "failed"
    assert (await evaluator.run(assignment(do="fine"), Recorder())).kind == "finished"


async def test_a_stop_ends_it() -> None:
    """Reports are answered at once, on the loop."""

    async def objective(trial: Trial) -> float:
        for _ in trial.steps():
            await asyncio.sleep(0)
            trial.report(0.5)
        return 1.0

    channel = Recorder(stop_at(3))
    assert await (await started(objective)).run(assignment(), channel) == Outcome("stopped")
    assert len(channel.reports) == 3


async def test_an_objective_may_report_from_a_thread() -> None:
    """Work in asyncio.to_thread speaks to the channel on the loop's thread."""

    async def objective(trial: Trial) -> None:
        await asyncio.to_thread(trial.report, 0.25)

    channel = Recorder()
    outcome = await (await started(objective)).run(assignment(), channel)
    assert outcome == Outcome("finished", {"loss": 0.25})
    assert channel.reports == [(1, {"loss": 0.25})]


async def test_cancelling_cancels_the_objective() -> None:
    """Its clean-up runs, and the evaluator is ready for the next."""
    cleaned: list[str] = []

    async def objective(trial: Trial) -> float:
        if trial["x"] == 0:
            return 1.0
        trial.report(0.5)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cleaned.append(trial.id)
        raise AssertionError

    evaluator, channel = await started(objective), Recorder()
    run = asyncio.ensure_future(evaluator.run(assignment(x=1), channel))
    await asyncio.wait_for(channel.heard.wait(), 120)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert cleaned == ["w.1"]
    assert (await evaluator.run(assignment(x=0), channel)).kind == "finished"


async def test_a_timeout_of_the_caller_works_even_if_the_objective_swallows_it() -> None:
    """An objective that turns its cancellation into a result does not turn the worker's into one."""

    async def objective(trial: Trial) -> float:
        try:
            await asyncio.get_running_loop().create_future()
        except BaseException:
            pass
        return 1.0

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await (await started(objective)).run(assignment(), Recorder())


async def test_an_objective_that_will_not_end_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a grace period the worker goes on; what the straggler says is not heard."""
    monkeypatch.setattr(module, "GRACE", 0.01)
    release = asyncio.Event()
    late: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def objective(trial: Trial) -> float:
        trial.report(0.5)
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                pass
        try:
            trial.report(0.4)
        except TrialEnded as error:
            late.set_result(error)
        return 1.0

    evaluator, channel = await started(objective), Recorder()
    run = asyncio.ensure_future(evaluator.run(assignment(), channel))
    await asyncio.wait_for(channel.heard.wait(), 120)
    run.cancel()
    done, _ = await asyncio.wait({run}, timeout=600)
    assert run in done
    assert run.cancelled()
    release.set()
    await asyncio.wait_for(late, 120)
    assert len(channel.reports) == 1


async def test_an_objective_cancelled_by_somebody_else_fails() -> None:
    """A cancellation that the worker did not ask for must not look like the worker's own."""

    async def raises(trial: Trial) -> float:
        raise asyncio.CancelledError

    async def is_cancelled(trial: Trial) -> float:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)
        return 1.0

    for objective in (raises, is_cancelled):
        outcome = await (await started(objective)).run(assignment(), Recorder())
        assert outcome.kind == "failed"
        assert "cancelled" in (outcome.error or "")


async def test_segments_do_not_share_context() -> None:
    """Each segment is a task of its own, so timeouts and context variables behave."""
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)

    async def objective(trial: Trial) -> float:
        async with asyncio.timeout(600):
            await asyncio.sleep(0)
            before = variable.get()
            variable.set(1)
            return before

    evaluator = await started(objective)
    for _ in range(2):
        assert (await evaluator.run(assignment(), Recorder())).metrics == {"loss": 0.0}


async def test_concurrent_evaluators_do_not_mix() -> None:
    """Several workers of one process run segments at the same time."""
    evaluators = [await started(async_double) for _ in range(4)]
    outcomes = await asyncio.gather(*(e.run(assignment(x=i), Recorder()) for i, e in enumerate(evaluators)))
    assert [outcome.metrics["loss"] for outcome in outcomes] == [0.0, 2.0, 4.0, 6.0]


async def test_what_it_prints_is_logged_while_output_is_captured() -> None:
    """Trials at a time do not mix, their threads' lines are theirs, and cleaning up may print as well."""
    both, sleeps = asyncio.Barrier(2), asyncio.Event()

    async def objective(trial: Trial) -> float:
        print("x is", trial["x"])
        await both.wait()
        await asyncio.to_thread(print, "from a thread")
        if trial["x"]:
            sleeps.set()
        try:
            await asyncio.sleep(3600 if trial["x"] else 0)
        finally:
            print("the end", end="")
        return 1.0

    channels = [Recorder(), Recorder()]
    evaluators = [await started(objective) for _ in channels]
    with captured():
        runs = [
            asyncio.ensure_future(evaluator.run(assignment(x=x), channel))
            for x, (evaluator, channel) in enumerate(zip(evaluators, channels, strict=True))
        ]
        await asyncio.wait_for(asyncio.gather(runs[0], sleeps.wait()), 600)
        runs[1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await runs[1]
    assert [channel.text for channel in channels] == [f"x is {x}\nfrom a thread\nthe end\n" for x in (0, 1)]


async def test_an_objective_hears_that_its_worker_ends() -> None:
    """A last checkpoint counts, and the segment is released without an error."""

    async def objective(trial: Trial) -> float:
        trial.report(0.5)
        while not trial.ended:
            await asyncio.sleep(0)
        trial.save("saved at the end")
        return 1.0

    channel = Recorder()
    evaluator = await started(objective, MemoryBlobs())
    assert isinstance(evaluator, GracefulEvaluator)
    running = asyncio.create_task(evaluator.run(assignment(), channel))
    await channel.heard.wait()
    assert channel.saves == []
    evaluator.wind_down()
    assert await running == Outcome("released")
    assert [step for step, *_ in channel.saves] == [1]
