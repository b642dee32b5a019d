"""Tests of what the first, the second and the third signal do."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextvars import ContextVar

import pytest

from aiohpo.evaluate.process.job_signals import JOB_SIGNALS, URGENT, WARNINGS
from aiohpo.runtime.signals import handling_signals, run_stoppable


@pytest.fixture(autouse=True)
def handlers() -> Iterator[list]:
    """Whatever a test does, the handlers are those that were there before."""
    before = [signal.getsignal(number) for number in JOB_SIGNALS]
    yield before
    for number, handler in zip(JOB_SIGNALS, before, strict=True):
        signal.signal(number, handler)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", JOB_SIGNALS)
def test_the_first_signal_stops_and_the_second_ends_at_once(number: int, handlers: list):
    """Any of them may be the first; afterwards the earlier handlers are back."""
    told: list[str] = []
    with handling_signals(lambda: told.append("stop"), lambda: told.append("end")) as arrived:
        send(number)
        assert told == ["stop"]
        send(signal.SIGTERM)
        assert told == ["stop", "end"]
        assert arrived == [number, signal.SIGTERM]
    assert [signal.getsignal(number) for number in JOB_SIGNALS] == handlers


@pytest.mark.parametrize("number", [signal.SIGHUP, *WARNINGS])
def test_a_warning_that_is_repeated_is_no_second_signal(number: int):
    """A closed terminal hangs up twice, and the kernel repeats SIGXCPU every second."""
    told: list[str] = []
    with handling_signals(lambda: told.append("stop"), lambda: told.append("end")):
        send(number)
        send(number)
        assert told == ["stop"]


def test_the_third_signal_is_the_kernels():
    """It ends the process even where Python code never runs again."""
    with handling_signals(lambda: None, lambda: None):
        send(signal.SIGINT)
        send(signal.SIGINT)
        assert {signal.getsignal(number) for number in URGENT} == {signal.SIG_DFL}


def test_what_others_ignore_or_handle_stays_theirs():
    """``nohup`` is respected, and so is a handler of the user's own for what is no urgent signal."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    told: list[str] = []
    signal.signal(signal.SIGUSR1, lambda *_: told.append("mine"))
    with handling_signals(lambda: told.append("stop"), lambda: told.append("end")):
        send(signal.SIGHUP)
        send(signal.SIGUSR1)
        assert told == ["mine"]
        send(signal.SIGINT)
    assert told == ["mine", "stop"]
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_in_another_thread_nothing_is_done(handlers: list):
    """Python handles signals in the main thread only."""
    seen: list = []

    def other() -> None:
        with handling_signals(lambda: None, lambda: None) as arrived:
            seen.extend([list(arrived), [signal.getsignal(number) for number in JOB_SIGNALS]])

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert seen == [[], handlers]


def test_a_waiting_loop_is_woken_up(handlers: list):
    """``stop`` runs in the loop, at once, though nothing else happens there."""
    stopped: list[asyncio.Event] = []

    async def main() -> str:
        stopped.append(asyncio.Event())
        threading.Timer(0.01, send, [signal.SIGTERM]).start()
        async with asyncio.timeout(30.0):
            await stopped[0].wait()
        return "stopped"

    assert run_stoppable(main(), lambda: stopped[0].set()) == "stopped"
    assert [signal.getsignal(number) for number in JOB_SIGNALS] == handlers


def test_a_second_signal_cancels_what_does_not_stop():
    """The coroutine can still clean up; then KeyboardInterrupt says that there is no result."""
    cleaned: list[str] = []

    async def main() -> None:
        asyncio.get_running_loop().call_soon(send, signal.SIGINT)
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            cleaned.append("cleaned")

    with pytest.raises(KeyboardInterrupt):
        run_stoppable(main(), lambda: send(signal.SIGINT))
    assert cleaned == ["cleaned"]


def test_a_second_signal_interrupts_a_loop_that_is_blocked():
    """An objective that blocks the loop is interrupted where it is, and the coroutine cleans up all the same."""
    cleaned: list[str] = []

    async def main() -> None:
        asyncio.get_running_loop().call_soon(block)
        try:
            await asyncio.sleep(3600)
        finally:
            cleaned.append("cleaned")

    def block() -> None:
        send(signal.SIGINT)
        send(signal.SIGINT)
        raise AssertionError("not interrupted")

    with pytest.raises(KeyboardInterrupt):
        run_stoppable(main(), lambda: None)
    assert cleaned == ["cleaned"]


def test_what_is_raised_comes_out():
    """An error of the coroutine's own is that of the call, and so is a cancellation that no signal asked for."""

    async def fail(error: BaseException) -> None:
        raise error

    with pytest.raises(ZeroDivisionError):
        run_stoppable(fail(ZeroDivisionError()), lambda: None)
    with pytest.raises(asyncio.CancelledError):
        run_stoppable(fail(asyncio.CancelledError()), lambda: None)


async def test_where_a_loop_runs_already_the_coroutine_has_one_of_its_own():
    """As in a notebook's cell: context variables and signals reach it all the same, and errors come out."""
    before = [signal.getsignal(number) for number in JOB_SIGNALS]
    variable: ContextVar[str] = ContextVar("variable")
    variable.set("seen")
    stopped: list[asyncio.Event] = []

    async def main() -> str:
        stopped.append(asyncio.Event())
        assert threading.current_thread() is not threading.main_thread()
        send(signal.SIGINT)
        async with asyncio.timeout(30.0):
            await stopped[0].wait()
        return variable.get()

    async def fail() -> None:
        raise ZeroDivisionError

    assert run_stoppable(main(), lambda: stopped[0].set()) == "seen"
    assert [signal.getsignal(number) for number in JOB_SIGNALS] == before
    with pytest.raises(ZeroDivisionError):
        run_stoppable(fail(), lambda: None)


async def test_a_blocked_loop_of_its_own_is_left_behind_at_the_second_signal():
    """The cell ends, whatever the objective does; its thread holds up nothing."""
    gate, left = threading.Event(), threading.Event()

    async def main() -> None:
        send(signal.SIGINT)
        send(signal.SIGTERM)  # two of one kind might arrive as one
        gate.wait(30.0)
        left.set()

    with pytest.raises(KeyboardInterrupt):
        run_stoppable(main(), lambda: None)
    assert not left.is_set()
    gate.set()
    assert left.wait(30.0)


async def test_a_third_signal_does_not_kill_a_notebook():
    """It leaves behind what neither stops nor heeds its cancellation."""
    gate, closing = threading.Event(), threading.Event()

    async def main() -> None:
        send(signal.SIGINT)
        try:
            await asyncio.sleep(3600)
        finally:
            closing.set()
            send(signal.SIGTERM)
            gate.wait(30.0)

    with pytest.raises(KeyboardInterrupt):
        run_stoppable(main(), lambda: send(signal.SIGTERM))
    assert closing.is_set()
    gate.set()


STUBBORN = """
import asyncio, os, signal, aiohpo

async def stubborn(trial):
    os.kill(os.getpid(), signal.{name})
    while True:
        try:
            await asyncio.sleep(3600)
        except BaseException as error:
            if isinstance(error, GeneratorExit):
                raise

study = aiohpo.Study(stubborn, aiohpo.Space(x=aiohpo.Float(0, 1)), searcher="random")
print(study.run(trials=3).interrupted)
"""


def test_an_objective_that_ignores_its_cancellation_is_left_behind():
    """One Ctrl-C ends the search, and with it the program, in good order."""
    ran = subprocess.run(
        [sys.executable, "-c", STUBBORN.format(name="SIGINT")], capture_output=True, text=True, timeout=120
    )
    assert ran.stdout == "True\n"
    assert "Traceback" not in ran.stderr
    assert "destroyed" not in ran.stderr
