"""The process in which the process evaluator runs objectives: ``serve_worker`` is its whole life.

It is a fresh interpreter, not a fork: forking a worker that has threads, an event loop or a GPU context is
asking for trouble. It serves one segment after the other and has three ways out: the worker closes the socket
(then it exits in an orderly manner, running ``atexit`` handlers), the worker kills it, or the worker dies
(then the kernel kills it, see :mod:`aiohpo.evaluate.process.process_group`; elsewhere than on Linux a thread that
watches does).
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ...errors import UsageError
from ...plugin import Assignment, Decision, Outcome
from ..program import Program
from ..reimport import rebuild
from ..segment import failure_of, run_segment
from ..trial import Trial, TrialEnded
from .wire import BEGIN, END, PREDICTIONS, READY, REPORT, SAVE, UNUSABLE, BlockingWire

_LOOK_FOR_PARENT = 1.0


class PipeLink:
    """A trial's link from the child to the worker's channel; for any thread of this process."""

    def __init__(self, wire: BlockingWire) -> None:
        self._wire = wire
        # A question and its answer must not be mixed with another thread's.
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._closed = False

    def close(self) -> None:
        """Refuse everything from now on, after waiting for a word that is being exchanged."""
        with self._lock:
            self._closed = True

    def _check(self) -> None:
        if os.getpid() != self._process:
            raise UsageError("a trial can only be used in the process that got it, not in one forked from that")
        if self._closed:
            raise TrialEnded

    def report(self, step: int, metrics: Mapping[str, float]) -> Decision:
        with self._lock:
            self._check()
            self._wire.send([REPORT, step, metrics])
            return Decision(self._wire.receive())

    def save(self, step: int, digest: str, size: int) -> None:
        with self._lock:
            self._check()
            self._wire.send([SAVE, step, digest, size])

    def predictions(self, digests: Mapping[str, str]) -> None:
        with self._lock:
            self._check()
            self._wire.send([PREDICTIONS, digests])


def serve_worker(parent: int, sock: int, lifeline: int) -> None:
    """Serve the worker at the other end of the socket ``sock`` until it hangs up."""
    os.set_inheritable(sock, False)
    os.set_inheritable(lifeline, False)
    _die_with(parent, lifeline)
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
            objective = replace(rebuild(hello["objective"], hello["texts"]), secret=hello["secret"])
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
    runner = asyncio.Runner() if program.is_async else None
    process = os.getpid()
    link = PipeLink(wire)
    while True:
        assignment = Assignment(*wire.receive())
        link._closed = False
        segment = Trial(assignment, link, store, program)
        # From here on what happens to this process is the objective's doing, and takes its time.
        wire.send([BEGIN])
        outcome = _run(program, segment, runner)
        if os.getpid() != process:
            # The objective forked and both came back. The trial is the parent's.
            os._exit(0)
        link.close()
        _flush()
        wire.send([END, outcome.kind, dict(outcome.metrics), outcome.error, outcome.detail])


def _run(program: Program, trial: Trial, runner: asyncio.Runner | None) -> Outcome:
    if runner is None:
        return run_segment(program, trial)
    function = program.function
    assert function is not None
    return run_segment(Program(lambda trial: runner.run(function(trial)), program.metric), trial)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass  # the objective closed or replaced it


def _die_with(parent: int, lifeline: int) -> None:
    """End this process and its descendants when ``parent`` does."""
    if sys.platform == "linux":
        # Second to the lifeline: that is held open by what the worker may have forked, this is not. PR_SET_PDEATHSIG
        # would be quicker, and was wrong: it may end this process, and with it the last hold on the lifeline, an
        # instant before the lifeline's signal to the whole group; grandchildren then lived on (1 in 20 kills).
        threading.Thread(target=_watch_parent, args=(parent,), daemon=True).start()
    else:
        threading.Thread(target=_watch, args=(lifeline,), daemon=True).start()
    if os.getppid() != parent:
        _end()


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_FOR_PARENT)
    _end()


def _watch(lifeline: int) -> None:
    """Wait until the worker's end of the lifeline is closed, then end this process and its descendants."""
    os.read(lifeline, 1)
    _end()


def _end() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)
