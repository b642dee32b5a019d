"""Virtual time: what a simulated loop runs, what it refuses, and that a seed reproduces a run."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aiohpo.testing import RealWorldError, SimDeadlock, SimLivelock, SimLoop, SimTimeout, run


async def _story() -> list[tuple[float, str]]:
    """Exercise what a worker uses, and write down what happened when."""
    loop = asyncio.get_running_loop()
    told: list[tuple[float, str]] = []
    event = asyncio.Event()

    def tell(text: str) -> None:
        told.append((loop.time(), text))

    async def walker(name: str) -> None:
        for step in range(5):
            await asyncio.sleep(0.1)
            tell(f"{name} {step}")
            await asyncio.to_thread(tell, f"{name} thread {step}")

    async def waiter(name: str) -> None:
        try:
            await event.wait()
            tell(f"{name} woken")
            await asyncio.sleep(1000)
        finally:
            tell(f"{name} ended")

    async def aborted_group() -> None:
        async with asyncio.TaskGroup() as group:
            for n in range(8):
                group.create_task(walker(f"walker{n}"))
                group.create_task(waiter(f"waiter{n}"))
            loop.call_later(0.7, event.set)
            await asyncio.sleep(2)
            raise ValueError("aborts the group, whose tasks are kept in a set")

    with pytest.raises(ExceptionGroup):
        await aborted_group()
    done, _ = await asyncio.wait({loop.create_task(asyncio.sleep(0.5, n)) for n in range(9)})
    tell(" ".join(str(task.result()) for task in done))
    return told


def test_virtual_time_costs_nothing() -> None:
    """An hour of sleeping passes at once and exactly."""

    async def main() -> float:
        await asyncio.sleep(3599)
        return asyncio.get_running_loop().time()

    start = time.monotonic()
    assert run(main) == 3599
    assert time.monotonic() - start < 3599


def test_same_seed_same_story() -> None:
    """Two runs with one seed tell the same story, even of cancelled groups and sets of tasks."""
    assert run(_story, seed=7) == run(_story, seed=7)


def test_another_seed_another_order() -> None:
    """Another seed runs what is simultaneous in another order."""
    assert run(_story, seed=7) != run(_story, seed=8)


def test_same_story_in_another_process() -> None:
    """A seed means the same in another process, whose hashes and memory addresses differ."""
    code = (
        "import zlib; from aiohpo.testing import run; from tests.simulation.test_loop import _story;"
        "print(zlib.crc32(repr(run(_story, seed=3)).encode()))"
    )
    told = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parents[2])}
        output = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, timeout=600, check=True
        )
        told.add(output.stdout)
    assert len(told) == 1


def test_simultaneous_callbacks_are_shuffled() -> None:
    """Callbacks of one instant run in many orders over the seeds, timers among them."""

    async def main() -> str:
        loop = asyncio.get_running_loop()
        order: list[str] = []
        for name in "abc":
            loop.call_later(1, order.append, name)
        await asyncio.sleep(2)
        return "".join(order)

    assert {run(main, seed=seed) for seed in range(100)} == {"abc", "acb", "bac", "bca", "cab", "cba"}


def test_timers_keep_their_time() -> None:
    """A timer rings at its own time, in order of time, unless cancelled."""

    async def main() -> list[tuple[float, int]]:
        loop = asyncio.get_running_loop()
        rung: list[tuple[float, int]] = []
        timers = [loop.call_later(n / 8, lambda n=n: rung.append((loop.time(), n))) for n in range(5000)]
        for timer in timers[::2] + timers[1::4]:
            timer.cancel()
        await asyncio.sleep(1000)
        return rung

    assert run(main) == [(n / 8, n) for n in range(3, 5000, 4)]


def test_unneeded_timeouts_do_not_pile_up() -> None:
    """Cancelled timers leave the loop before their time comes."""

    async def main() -> int:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        for _ in range(10_000):
            async with asyncio.timeout(3000):
                await asyncio.sleep(0)
        return len(loop._timers)

    assert run(main) < 2100


def test_timeout_cancels() -> None:
    """``asyncio.timeout`` interrupts what takes too long, at the right virtual time."""

    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert run(main) == 3


def test_executor_runs_inline_after_a_delay() -> None:
    """A function in an executor runs in the loop's thread, takes virtual time, and raises to its waiter."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert await asyncio.to_thread(threading.get_ident) == threading.get_ident()
        assert 0.5 <= loop.time() <= 0.6
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(None, lambda: 1 / 0)

    run(main, executor_delay=(0.5, 0.6))


def test_what_a_function_takes_in_an_executor_can_be_said() -> None:
    """By the function and its arguments; what nothing is said of takes the usual time."""

    def seconds(function: Callable[..., object], arguments: tuple[object, ...]) -> float | None:
        return 7.0 if function is len else None

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(None, len, "abc") == 3
        assert loop.time() == 7.0
        await loop.run_in_executor(None, max, "abc")
        assert 7.0 < loop.time() <= 7.01

    run(main, executor_seconds=seconds)


def test_cancelled_executor_call_does_not_run() -> None:
    """A function whose future is cancelled before its time never runs."""
    ran: list[int] = []

    async def main() -> None:
        asyncio.get_running_loop().run_in_executor(None, ran.append, 1).cancel()
        await asyncio.sleep(10)

    run(main)
    assert ran == []


def test_deadlock_says_who_waits_and_where() -> None:
    """When nothing can ever happen again, the error lists the waiting tasks and their lines."""

    async def stuck() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(stuck(), name="philosopher")

    with pytest.raises(SimDeadlock, match=r"seed 5(.|\n)*philosopher: .*stuck, at .*\.py:\d+ in Event.wait"):
        run(main, seed=5)


def test_time_limit() -> None:
    """A run that goes on for ever, with timers, ends at the time limit and says who waits."""

    async def main() -> None:
        for _ in range(10_000):
            await asyncio.sleep(1)

    with pytest.raises(SimTimeout, match=r"virtual time 60\.0(.|\n)*main"):
        run(main, timeout=60)


def test_callback_limit() -> None:
    """A run that goes on for ever without time passing ends at the limit of callbacks."""

    async def main() -> None:
        for _ in range(10_000):
            await asyncio.sleep(0)

    with pytest.raises(SimLivelock, match="no end after 1001 callbacks"):
        run(main, max_callbacks=1000)


def test_failing_callback_ends_the_run() -> None:
    """An exception that escapes a callback is raised to the caller of ``run``."""

    async def main() -> None:
        asyncio.get_running_loop().call_later(1, lambda: 1 / 0)
        await asyncio.sleep(2)

    with pytest.raises(ZeroDivisionError):
        run(main)


def test_real_world_is_refused() -> None:
    """Sockets, subprocesses, name look-ups and file descriptors raise an error that says so."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(RealWorldError, match="create_connection"):
            await asyncio.open_connection("127.0.0.1", 9)
        with pytest.raises(RealWorldError, match="subprocess_exec"):
            await asyncio.create_subprocess_exec("true")
        with pytest.raises(RealWorldError, match="getaddrinfo"):
            await loop.getaddrinfo("localhost", 9)
        with pytest.raises(RealWorldError, match="add_reader"):
            loop.add_reader(0, print)

    run(main)


def test_other_threads_are_refused() -> None:
    """A call from a real thread raises in that thread."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        errors: list[BaseException] = []

        def call() -> None:
            try:
                loop.call_soon_threadsafe(print)
            except RealWorldError as error:
                errors.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        thread.join(timeout=600)
        assert len(errors) == 1

    run(main)


def test_left_over_tasks_are_cancelled() -> None:
    """Tasks that outlive ``main`` are cancelled, and their clean-up runs."""
    ended: list[float] = []

    async def background() -> None:
        try:
            await asyncio.sleep(1e9)
        finally:
            await asyncio.sleep(1)
            ended.append(asyncio.get_running_loop().time())

    async def main() -> None:
        asyncio.get_running_loop().create_task(background()).add_done_callback(lambda _: None)
        await asyncio.sleep(2)

    run(main)
    assert ended == [3]


def test_repr_is_a_status_line() -> None:
    """The loop's repr says its seed, state, time and work."""
    loop = SimLoop(4)
    loop.run_until_complete(asyncio.sleep(1.5))
    loop.close()
    assert repr(loop) == f"<SimLoop seed=4 closed at 1.500 s, {loop.callbacks} callbacks>"


def test_speed() -> None:
    """A loop runs well over 100,000 callbacks a second, so that swarms of 64 are cheap."""

    async def sleeper() -> None:
        for _ in range(500):
            await asyncio.sleep(0.01)

    async def main() -> int:
        async with asyncio.TaskGroup() as group:
            for _ in range(64):
                group.create_task(sleeper())
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        return loop.callbacks

    start = time.process_time()
    callbacks = run(main)
    assert callbacks / (time.process_time() - start) > 100_000
