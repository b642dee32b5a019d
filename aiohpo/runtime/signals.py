"""Ctrl-C and its kin: one policy for everything that searches.

The first signal asks for an end in good order: what was reported is kept, and what runs is released for other workers
or a later run. The signals are SIGINT (Ctrl-C), SIGTERM, SIGHUP (a closed terminal), and those by which batch systems
warn of a job's end: SIGUSR1, SIGUSR2 and SIGXCPU.

A second Ctrl-C or SIGTERM ends at once, and a third one kills the process, unless an event loop runs around the search,
as in the kernel of a notebook, which holds more than the search. The other signals do not count as a second one: a
closed terminal may hang up twice, and a batch system may repeat its warning before it sends SIGTERM.

What is ignored, as SIGHUP is under ``nohup``, stays ignored, SIGINT and SIGTERM excepted. What the user's own code
handles stays its own, if it is one of the warnings.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from ..evaluate.process.job_signals import JOB_SIGNALS, URGENT, WARNINGS

T = TypeVar("T")

# Seconds for the coroutine to close what it has opened, and for tasks that it left behind to heed their cancellation.
_CLOSE_WITHIN = 15.0
_CANCEL_WITHIN = 1.0


@contextmanager
def handling_signals(
    stop: Callable[[], None], at_once: Callable[[], None], *, third_kills: bool = True
) -> Iterator[list[int]]:
    """Within the block, let the first signal call ``stop`` and the second urgent one ``at_once``; the third kills, or
    calls ``at_once`` again.

    Both are called as signal handlers, wherever the main thread is. The handlers that were there before are back after
    the block. Outside the main thread, where Python handles no signals, nothing is done.

    Yields:
        The signals that have arrived so far.
    """
    arrived: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield arrived
        return

    def take(number: int, _: object) -> None:
        arrived.append(number)
        if number == signal.SIGHUP:
            _forget_closed_terminal()
        if len(arrived) == 1:
            stop()
        elif number in URGENT:
            for urgent in URGENT if third_kills else ():
                signal.signal(urgent, signal.SIG_DFL)  # so that the next one ends even what never comes back to Python
            at_once()

    previous = {number: signal.getsignal(number) for number in _taken()}
    try:
        for number in previous:
            signal.signal(number, take)
        yield arrived
    finally:
        for number, handler in previous.items():
            # None: something other than Python installed it, which cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _taken() -> list[signal.Signals]:
    """The signals that are neither ignored nor handled by the user's own code."""

    def is_free(number: signal.Signals) -> bool:
        handler = signal.getsignal(number)
        return handler is signal.SIG_DFL if number in WARNINGS else handler is not signal.SIG_IGN

    return [number for number in JOB_SIGNALS if number in URGENT or is_free(number)]


def _forget_closed_terminal() -> None:
    """Let standard output and standard error lead nowhere if they led to a terminal that is gone: what the program
    still has to say must not end it with an error."""
    for descriptor in (1, 2):
        try:
            os.write(descriptor, b"")
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, descriptor)
            os.close(nowhere)


def run_stoppable(main: Coroutine[Any, Any, T], stop: Callable[[], None]) -> T:
    """Run a coroutine in a new event loop, as ``asyncio.run`` does, with signals handled from beginning to end.

    Where an event loop runs in this thread already, as in a cell of a notebook, the new one runs in a thread of its
    own while this one waits for it.

    The first signal calls ``stop`` in the loop, which should make ``main`` return soon. The second cancels ``main``
    or, if the loop has been too busy to hear of the first, interrupts whatever keeps it busy; in a thread it cannot be
    interrupted, and is left behind, as it is by the third signal. Tasks that do not end
    when they are cancelled are left behind after a second, where ``asyncio.run`` would wait for them for ever.

    Raises:
        KeyboardInterrupt: ``main`` was ended by a second signal.
    """
    loop = asyncio.new_event_loop()
    task: asyncio.Task[T] = loop.create_task(main)
    in_thread = is_loop_running()
    heard = cancelled = False

    def stop_in_loop() -> None:
        nonlocal heard
        heard = True
        stop()

    def at_once() -> None:
        nonlocal cancelled
        if not heard or cancelled:
            raise KeyboardInterrupt
        cancelled = True
        _call_in(loop, task.cancel)

    with handling_signals(lambda: _call_in(loop, stop_in_loop), at_once, third_kills=not in_thread) as arrived:
        try:
            return _run_in_thread(loop, task) if in_thread else _run(loop, task)
        except asyncio.CancelledError:
            if len(arrived) > 1:
                raise KeyboardInterrupt from None
            raise


def is_loop_running() -> bool:
    """Whether an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _run_in_thread(loop: asyncio.AbstractEventLoop, task: asyncio.Task[T]) -> T:
    """Run a task in a thread of its own, which sees the context variables of this one (to which cell of a notebook its
    output belongs, say), and wait for it. A signal's handler that raises leaves the thread behind."""
    done: Future[T] = Future()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            done.set_result(context.run(_run, loop, task))
        except BaseException as error:
            done.set_exception(error)

    # A daemon, so that a search that was left behind does not hold up the interpreter's exit.
    threading.Thread(target=work, name="aiohpo-search", daemon=True).start()
    return done.result()


def _call_in(loop: asyncio.AbstractEventLoop, function: Callable[[], object]) -> None:
    try:
        loop.call_soon_threadsafe(function)  # wakes the loop up, if it waits
    except RuntimeError:
        pass  # it is closed: there is nothing left to end


def _run(loop: asyncio.AbstractEventLoop, task: asyncio.Task[T]) -> T:
    """Run a task to its end, and then everything that it left in the loop; close the loop."""
    executor = ThreadPoolExecutor(thread_name_prefix="asyncio")
    loop.set_default_executor(executor)
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(task)
    finally:
        try:
            if not task.done():  # KeyboardInterrupt came out of the loop
                _cancel(loop, {task}, _CLOSE_WITHIN)
            _cancel(loop, asyncio.all_tasks(loop), _CANCEL_WITHIN)
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
            loop.set_exception_handler(lambda *_: None)  # which would complain of the tasks that are left behind
            asyncio.set_event_loop(None)
            loop.close()


def _cancel(loop: asyncio.AbstractEventLoop, tasks: set[asyncio.Task[Any]], within: float) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks, timeout=within))
