"""Evaluate ordinary functions in a thread of the worker's process.

For objectives that cannot run in another process, since they refer to what does not pickle, and that release the GIL
while they work. A thread cannot be killed: on cancellation :class:`~aiohpo.evaluate.trial_link.TrialEnded` is raised in
it, at its next bytecode, and a new thread serves the next segment. Code that never returns to the interpreter
goes on in the background until it does; the process evaluator has no such limit.
"""

from __future__ import annotations

import asyncio
import ctypes
import queue
import threading

from ..errors import UsageError
from ..plugin import Assignment, BlobStore, Channel, Outcome
from .capture import printing_to
from .link import LoopLink
from .process.output import LineAssembler, bounded
from .program import Program
from .segment import released, run_segment
from .trial import Trial
from .trial_link import TrialEnded


class _Job:
    """One segment on its way through the thread."""

    __slots__ = ("done", "loop", "printed", "program", "trial")

    def __init__(self, loop: asyncio.AbstractEventLoop, program: Program, trial: Trial, printed: LineAssembler) -> None:
        self.loop = loop
        self.program = program
        self.trial = trial
        self.printed = printed
        self.done: asyncio.Future[Outcome] = loop.create_future()

    def end(self, outcome: Outcome) -> None:
        """Hand the outcome to the loop."""
        try:
            self.loop.call_soon_threadsafe(self._set, outcome)
        except RuntimeError:
            pass  # the loop is closed; nothing waits

    def _set(self, outcome: Outcome) -> None:
        if not self.done.done():
            self.done.set_result(outcome)


class _Runner:
    """A daemon thread that runs jobs until it is told to end or is abandoned."""

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        # Guards the next two, so that TrialEnded is raised into user code and nowhere else: in the machinery of
        # threading it would leave a thread that is never struck off the list of the living.
        self._lock = threading.Lock()
        self._abandoned = False
        self._running = False
        # A daemon, so that an objective that hangs cannot hold up the interpreter's exit.
        self.thread = threading.Thread(target=self._main, name="aiohpo-objective", daemon=True)
        self.thread.start()

    def _main(self) -> None:
        while (job := self.jobs.get()) is not None:
            try:
                if not self._enter():
                    return
                with printing_to(job.printed.write):
                    outcome = run_segment(job.program, job.trial)
                job.printed.close()
                if not self._leave():
                    # If TrialEnded has not arrived yet it does so here, since loops look for it at every turn.
                    # (Taking it back, with NULL, makes CPython 3.11 look for it for ever after.)
                    for _ in range(10):
                        pass
                    return
            except TrialEnded:
                return  # abandoned when the objective had just returned
            job.end(outcome)

    def _enter(self) -> bool:
        with self._lock:
            self._running = not self._abandoned
            return self._running

    def _leave(self) -> bool:
        with self._lock:
            self._running = False
            return not self._abandoned

    def abandon(self) -> None:
        """End the running job at its next bytecode, and the thread with it."""
        with self._lock:
            self._abandoned = True
            if self._running and self.thread.ident is not None:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(self.thread.ident), ctypes.py_object(TrialEnded)
                )
        self.jobs.put(None)


class ThreadEvaluator:
    """Runs synchronous objectives, each segment in a thread; as many threads as segments run at a time."""

    def __init__(self) -> None:
        self._program: Program | None = None
        self._blobs: BlobStore  # set by start()
        self._links: dict[str, LoopLink] = {}  # of the trials that run
        self._idle: list[_Runner] = []

    def __repr__(self) -> str:
        return "<ThreadEvaluator>"

    async def start(self, program: Program, blobs: BlobStore) -> None:
        if program.function is None:
            raise UsageError("the thread evaluator needs an objective: give the study a function")
        if program.is_async:
            raise UsageError(
                f"the thread evaluator runs ordinary functions and {program.title!r} is async def: "
                'use evaluator="coroutine"'
            )
        self._program = program
        self._blobs = blobs

    async def run(self, assignment: Assignment, channel: Channel) -> Outcome:
        assert self._program is not None, "start() was not awaited"
        loop = asyncio.get_running_loop()
        try:
            runner = self._idle.pop() if self._idle else _Runner()
        except RuntimeError as error:  # the system has no thread to give
            return released(f"cannot start a thread for the objective: {error}")
        link = LoopLink(channel, loop)
        trial = Trial(assignment, link, self._blobs, self._program)
        job = _Job(loop, self._program, trial, LineAssembler(bounded(link.log)))
        runner.jobs.put(job)
        self._links[assignment.trial] = link
        try:
            outcome = await job.done
        except asyncio.CancelledError:
            job.printed.close()
            link.close()
            runner.abandon()
            raise
        finally:
            self._links.pop(assignment.trial, None)
        self._idle.append(runner)
        return outcome

    def wind_down(self) -> list[str]:
        for link in self._links.values():
            link.ending = True
        return [trial for trial, link in self._links.items() if link.listening]

    async def aclose(self) -> None:
        while self._idle:
            self._idle.pop().jobs.put(None)
