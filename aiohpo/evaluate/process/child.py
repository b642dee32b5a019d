"""The process in which the process evaluator runs objectives: ``serve_worker`` is its whole life.

It is a fresh interpreter, not a fork: forking a worker that has threads, an event loop or a GPU context is
asking for trouble. It serves one segment after the other and has two ways out: the worker closes the socket (then it
exits in an orderly manner, running ``atexit`` handlers), or its supervisor kills it, because the worker says so or is
gone (:mod:`aiohpo.evaluate.process.supervisor`).
"""

from __future__ import annotations

import contextvars
import faulthandler
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import UsageError
from ...plugin import Assignment, Decision, Outcome
from ..program import Program
from ..reimport import rebuild
from ..segment import failure_of, run_segment
from ..trial import Trial
from ..trial_link import TrialEnded
from .job_signals import JOB_SIGNALS
from .surroundings import Surroundings
from .wire import (
    ABORT,
    ATTACH,
    BEGIN,
    DECIDE,
    END,
    ENDING,
    LISTEN,
    NOTE,
    PREDICTIONS,
    READY,
    REPORT,
    SAVE,
    UNUSABLE,
    BlockingWire,
)

if TYPE_CHECKING:
    import asyncio


class PipeLink:
    """A trial's link from the child to the worker's channel; for any thread of this process."""

    def __init__(self, wire: BlockingWire) -> None:
        self._wire = wire
        # A question and its answer must not be mixed with another thread's.
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._segment = 0
        self._closed = False
        self._ending = False
        self._listens = False

    def listen(self) -> None:
        if not self._listens and os.getpid() == self._process:
            with self._lock:
                self._listens = True
                if not self._closed:
                    self._wire.send([LISTEN])

    @property
    def ending(self) -> bool:
        with self._lock:
            self._listen()
            return self._ending

    def begin(self, segment: int) -> None:
        """Speak for the segment of this number from now on."""
        with self._lock:
            self._segment, self._closed, self._ending, self._listens = segment, False, False, False

    @property
    def aborted(self) -> bool:
        with self._lock:
            self._listen()
            return self._closed

    def close(self) -> None:
        """Refuse everything from now on, after waiting for a word that is being exchanged."""
        with self._lock:
            self._closed = True

    def _check(self) -> None:
        if os.getpid() != self._process:
            raise UsageError("a trial can only be used in the process that received it, not in a fork of that process")
        self._listen()
        if self._closed:
            raise TrialEnded

    def _listen(self) -> None:
        while not self._closed and os.getpid() == self._process:
            message = self._wire.receive_now()
            if message is None:
                return
            self._take(message)

    def _take(self, message: Any) -> Decision | None:
        kind, what = message
        if kind == DECIDE:
            return Decision(what)
        if kind == ABORT and what == self._segment:  # else it came too late for an earlier one
            self._closed = True
        if kind == ENDING and what == self._segment:
            self._ending = True
        return None

    def report(self, step: int, metrics: Mapping[str, float]) -> Decision:
        with self._lock:
            self._check()
            self._wire.send([REPORT, step, metrics])
            while not self._closed:
                decision = self._take(self._wire.receive())
                if decision is not None:
                    return decision
            raise TrialEnded

    def save(self, step: int, digest: str, size: int) -> None:
        with self._lock:
            self._check()
            self._wire.send([SAVE, step, digest, size])

    def predictions(self, digests: Mapping[str, str]) -> None:
        with self._lock:
            self._check()
            self._wire.send([PREDICTIONS, digests])

    def note(self, notes: Mapping[str, str]) -> None:
        with self._lock:
            self._check()
            self._wire.send([NOTE, notes])

    def attach(self, name: str, digest: str, size: int) -> None:
        with self._lock:
            self._check()
            self._wire.send([ATTACH, name, digest, size])


def _do_nothing(number: int, frame: object) -> None:
    """Take a signal without being ended by it. A handler, as programs that are started inherit what is ignored."""


def _leave_signals_to_the_worker() -> None:
    usual = {number: signal.signal(number, _do_nothing) for number in JOB_SIGNALS}

    def undo() -> None:  # or a pool of processes that the objective forks could not be ended by them
        for number, handler in usual.items():
            if signal.getsignal(number) is _do_nothing:
                signal.signal(number, handler)

    os.register_at_fork(after_in_child=undo)


def serve_worker(sock: int) -> None:
    """Serve the worker at the other end of the socket ``sock`` until it hangs up."""
    os.set_inheritable(sock, False)
    _leave_signals_to_the_worker()
    # A segmentation fault in user code then says in which line it happened.
    faulthandler.enable()
    for stream in (sys.stdout, sys.stderr):
        # Through a pipe stdout would be buffered, and lost in a crash.
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]
    wire = BlockingWire(socket.socket(fileno=sock))
    try:
        hello = wire.receive()
        sys.argv = hello["argv"]
        try:
            pickled = wire.receive_bytes(hello["pickled"])
            objective = replace(rebuild(hello["objective"], pickled, hello["texts"]), secret=hello["secret"])
        except BaseException as error:
            outcome = failure_of(error)
            wire.send([UNUSABLE, outcome.error, "" if isinstance(error, UsageError) else outcome.detail])
            return
        wire.send([READY])
        _serve(wire, objective, hello["blobs"])
    except (EOFError, ConnectionError):
        pass  # the worker hung up


def _serve(wire: BlockingWire, program: Program, blobs: str) -> None:
    from ...storage.blob_store import DirectoryBlobs

    store = DirectoryBlobs(Path(blobs))
    runner = None
    if program.is_async:
        import asyncio

        runner = asyncio.Runner()
    process = os.getpid()
    link = PipeLink(wire)
    surroundings = Surroundings()
    while True:
        kind, number, *fields = wire.receive()
        if kind in (ABORT, ENDING):
            continue  # the segment had ended when it was sent
        link.begin(number)
        assignment = Assignment(*fields)
        config = json.loads(assignment.config)  # type: ignore[arg-type]
        segment = Trial(replace(assignment, config=config), link, store, program)
        # From here on what happens to this process is the objective's doing, and takes its time.
        wire.send([BEGIN])
        outcome = contextvars.copy_context().run(_run, program, segment, runner)
        if os.getpid() != process:
            # The objective forked and both came back. The trial is the parent's.
            os._exit(0)
        link.close()
        fit = surroundings.restore()
        wire.send([END, fit, outcome.kind, dict(outcome.metrics), outcome.error, outcome.detail, outcome.crashed])


def _run(program: Program, trial: Trial, runner: asyncio.Runner | None) -> Outcome:
    if runner is None:
        return run_segment(program, trial)
    function = program.function
    assert function is not None
    context = contextvars.copy_context()  # else all segments would share the runner's
    return run_segment(Program(lambda trial: runner.run(function(trial), context=context), program.metric), trial)
