"""Evaluate in a persistent process: the default for ordinary functions.

The child imports the objective once and then serves segments, so a trial costs a round trip (about 0.1 ms)
and not an interpreter. Whatever the objective does to its process (exit, crash, hang with the GIL held, run
out of memory) ends that process, never the worker; the next segment gets a new one.

Cancelling tells the child that the segment is aborted. An objective that listens (it looks at ``trial.ended``, loops
over ``trial.steps()``, reports or saves) ends then, and its process stays, with all that it has imported and loaded.
One that does not is killed with its process after as long as a new one takes to start. What it says meanwhile is not
heard.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import fields, replace
from typing import Any

from ...errors import Unavailable, UsageError
from ...peer.patience import in_words
from ...plugin import Assignment, BlobStore, Channel, Options, Outcome
from ...storage.blob_store import DirectoryBlobs
from ...storage.scratch import sweep
from ..cores import threads_for
from ..program import Program
from ..reimport import describe, file_of
from ..segment import failed, released
from ..sources import Sources, files_in_use
from .output import Output, bounded
from .process_group import ProcessGroup, describe_exit
from .wire import ABORT, BEGIN, DECIDE, END, ENDING, PREDICTIONS, READY, REPORT, RUN, SAVE, UNUSABLE, LoopWire

# The child sees what this process sees: the same modules, in the same order. (-P: nothing else.)
_PATH = "AIOHPO_SYS_PATH"
_BOOT = (
    f"import os, sys; sys.path[:] = os.environ.pop('{_PATH}').split('\\n'); "
    "from aiohpo.evaluate.process.child import serve_worker; serve_worker(*map(int, sys.argv[1:]))"
)
# Seconds: for a child that lost its socket to exit by itself, to leave when told to, and to die when killed.
_HANG_UP = 1.0
_LEAVE = 1.0
_DIE = 5.0
# Seconds for an objective whose segment was aborted to listen, at least and at most; in between, as long as the process
# took to start, which waiting longer would not save.
_LISTEN = 1.0
_LISTEN_AT_MOST = 30.0
# Seconds between looks whether the user's files have changed.
_LOOK = 1.0
# How long a new process may take to import the objective: this many seconds, or times what the first one took.
_START_WITHIN = 60.0
_TIMES_SLOWER = 10.0


class _Unusable(Exception):
    """The child could not import the objective."""

    def __init__(self, error: str, detail: str | None) -> None:
        super().__init__(error)
        self.error = error
        self.detail = detail


class _Child:
    """One child process, from its start to its end."""

    def __init__(self, hello: dict[str, Any], environment: dict[str, str]) -> None:
        self._loop = asyncio.get_running_loop()
        self._environment = environment
        self.ready: asyncio.Future[None] = self._loop.create_future()
        # Whoever waits for it may have been cancelled; then its error is of no interest.
        self.ready.add_done_callback(lambda ready: ready.cancelled() or ready.exception())
        self._begun: asyncio.Future[None] | None = None
        self._done: asyncio.Future[Outcome] | None = None
        self._channel: Channel | None = None
        self._trial = ""
        self._listening: str | None = None  # the trial, once its objective has said anything or asked whether to end
        # Why we killed it, if we did for a reason that its exit does not tell.
        self._how = ""
        self._segment = 0  # the number of the one that runs, or ran last
        self._aborted: asyncio.Future[None] | None = None  # set once the aborted segment has ended
        self._began = self._loop.time()
        self._listens_within = _LISTEN
        ours, theirs = socket.socketpair()
        out, their_out = os.pipe()
        try:
            self.group = self._spawn(theirs, their_out)
        except BaseException:
            ours.close()
            os.close(out)
            raise
        finally:
            theirs.close()
            os.close(their_out)
        self._output = Output(out)
        self._wire = LoopWire(ours, self._on_message, self._on_lost)
        self._wire.send(hello)

    def _spawn(self, sock: socket.socket, out: int) -> ProcessGroup:
        path = [os.getcwd() if entry == "" else entry for entry in sys.path]
        return ProcessGroup(
            [sys.executable, "-P", "-c", _BOOT, str(sock.fileno())],
            self._on_exit,
            pass_fds=(sock.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, **self._environment, _PATH: "\n".join(path)},
        )

    def check(self) -> bool:
        """Say whether the child can be used; notice at once if it has just died."""
        self.group.look()
        self._wire.read()
        return self.group.returncode is None and not self._wire.closed

    async def run(self, assignment: Assignment, channel: Channel) -> Outcome:
        self._channel = channel
        self._trial, self._listening = assignment.trial, None
        begun: asyncio.Future[None] = self._loop.create_future()
        done: asyncio.Future[Outcome] = self._loop.create_future()
        self._begun, self._done = begun, done
        self._segment += 1
        either: list[asyncio.Future[Any]] = [begun, done]
        self._output.begin(bounded(channel.log))
        # As JSON, whose scalars those of a configuration are: msgpack would change or refuse some.
        sent = replace(assignment, config=json.dumps(assignment.config))  # type: ignore[arg-type]
        self._wire.send([RUN, self._segment, *(getattr(sent, field.name) for field in fields(Assignment))])
        try:
            with channel.untimed():
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            return await done
        finally:
            self._output.end()
            self._channel = self._begun = self._done = self._listening = None
            if not done.done() or done.cancelled():
                self._abort()
            elif done.exception() is not None:
                self.kill()
            # else cancelled with the answer already here, the child is idle

    def _abort(self) -> None:
        """Have the objective end, and its process unless it listens."""
        if self.group.returncode is None:
            self._aborted = self._loop.create_future()
            self._wire.send([ABORT, self._segment])
            self._killer = self._loop.call_later(self._listens_within, self.kill)

    async def until_idle(self) -> None:
        """Wait until the segment that was aborted has ended, if there is one."""
        if self._aborted is not None:
            await asyncio.shield(self._aborted)

    def _end_aborted(self) -> None:
        if self._aborted is not None:
            self._killer.cancel()
            self._aborted.set_result(None)
            self._aborted = None

    def _on_message(self, message: Any) -> None:
        kind, *rest = message
        done, channel = self._done, self._channel
        if kind == READY:
            self._listens_within = min(max(_LISTEN, self._loop.time() - self._began), _LISTEN_AT_MOST)
            if not self.ready.done():
                self.ready.set_result(None)
        elif kind == UNUSABLE:
            if not self.ready.done():
                self.ready.set_exception(_Unusable(*rest))
        elif done is None or channel is None or done.done():
            if kind == END and self._aborted is not None:
                self._end(rest[0])
                self._end_aborted()
        elif kind == BEGIN:
            if self._begun is not None and not self._begun.done():
                self._begun.set_result(None)
        elif kind == END:
            fit, *outcome = rest
            self._output.drain()
            done.set_result(Outcome(*outcome))
            self._end(fit)
        else:
            self._listening = self._trial
            try:
                self._relay(kind, rest, channel)
            except Exception as error:
                # A fault of the worker's, not of the objective's: it must surface there.
                done.set_exception(error)

    def _relay(self, kind: int, rest: list[Any], channel: Channel) -> None:
        if kind == REPORT:
            self._wire.send([DECIDE, channel.report(*rest).value])
        elif kind == SAVE:
            channel.save(*rest)
        elif kind == PREDICTIONS:
            channel.predictions(*rest)

    def _end(self, fit: bool) -> None:
        """Note that no segment runs any more; unless the child is fit for another, it leaves."""
        if not fit:
            self.hang_up()

    def _on_lost(self) -> None:
        """The socket is closed: by the child's end, which is noticed soon, or by the objective."""
        self._loop.call_later(_HANG_UP, self._kill_lost)

    def _kill_lost(self) -> None:
        if self.group.returncode is None:
            self._how = "closed its connection to the worker, or wrote to it"
            self.group.kill()

    def _on_exit(self, returncode: int) -> None:
        # The last words may be in the pipes still.
        self._wire.read()
        self._output.drain()
        how = self._how or describe_exit(returncode)
        refused = self.group.started.exception()
        if not self.ready.done():
            error = _Unusable(f"the objective's process {how} while importing it", self._output.tail)
            self.ready.set_exception(error if refused is None else refused)
        if self._done is not None and not self._done.done():
            began = self._begun is not None and self._begun.done()
            if self.group.lost:
                outcome = released(f"the process that watches over the objective's {how}", self._output.tail)
            elif began:
                outcome = failed(f"the objective's process {how}", self._output.tail)
            else:
                outcome = released(f"the objective's process {how} before the objective began", self._output.tail)
            self._done.set_result(outcome)
        self._end_aborted()
        self._wire.close()
        self._output.close()

    def wind_down(self) -> str | None:
        """Tell the objective that runs that the worker is about to end; return its trial if it listens."""
        if self._done is not None:
            self._wire.send([ENDING, self._segment])
        return self._listening

    def hang_up(self) -> None:
        """Ask the child to leave in an orderly manner."""
        self._wire.close()

    def kill(self) -> None:
        """Kill the child and its descendants and forget what it has said."""
        self._wire.close()
        self.group.kill()


class _Lane:
    """Where one segment runs at a time, in a process that stays from segment to segment."""

    def __init__(self, hello: dict[str, Any], environment: dict[str, str]) -> None:
        self._hello = hello
        self._environment = environment
        self.child: _Child | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no aborted segment is still to end here."""
        return self.child is None or self.child._aborted is None

    async def ready(self) -> _Child:
        """Return a child that waits for a segment, starting one if need be."""
        child = self.child
        if child is not None:
            await child.until_idle()
        if child is None or not child.check():
            if child is not None and not await child.group.wait(_LEAVE):
                child.kill()
                # What it holds (memory, a GPU) may be what the next one needs.
                await child.group.wait(_DIE)
                await _remove_leftovers()
            self.child = child = _Child(self._hello, self._environment)
        if not child.ready.done():
            # Shielded: a cancelled segment must not take the child that is still starting with it.
            await asyncio.shield(child.ready)
        child.ready.result()
        return child

    async def end(self) -> None:
        """Let the child leave, or kill it if it takes longer than a second."""
        child, self.child = self.child, None
        if child is None:
            return
        child.hang_up()
        try:
            if child.ready.done() and await child.group.wait(_LEAVE):
                return
        finally:
            child.kill()
        await child.group.wait(_DIE)
        await _remove_leftovers()


async def _remove_leftovers() -> None:
    """Remove what a process that was killed had restored."""
    try:
        await asyncio.to_thread(sweep)
    except RuntimeError:
        pass  # there is no thread to be had; the next sweep comes


class ProcessEvaluator:
    """Runs objectives, ordinary or ``async def``, in persistent processes: as many as segments run at a time.

    ``share`` evaluators run on this machine at a time: numerical libraries in the process are told to use that
    part of the cores, unless the environment says already how many.
    """

    def __init__(self, share: int = 1) -> None:
        share = Options("process").whole("share", share, least=1)
        self._threads = threads_for(share, os.environ) if share > 1 else {}
        self._hello: dict[str, Any] | None = None
        self._lanes: list[_Lane] = []
        self._free: list[_Lane] = []  # those of them where nothing runs
        self._sources = Sources(())
        self._told: set[str] = set()
        self._ending = False
        self._look_next = 0.0
        self._start_within = _START_WITHIN

    def __repr__(self) -> str:
        groups = [str(lane.child.group) for lane in self._lanes if lane.child is not None]
        return f"<ProcessEvaluator: {', '.join(groups) or 'no process'}>"

    async def start(self, program: Program, blobs: BlobStore) -> None:
        if program.function is None:
            raise UsageError("the process evaluator needs an objective: give the study a function")
        if not isinstance(blobs, DirectoryBlobs):
            raise UsageError(
                'the process evaluator needs blobs on disk: give the study a directory, or evaluator="thread"'
            )
        blob_root = os.path.abspath(blobs.root)  # noqa: ASYNC240 - looks at no file
        description = describe(program)
        self._sources = Sources(files_in_use(file_of(description)))
        self._hello = {
            "objective": description,
            "texts": self._sources.texts,
            "blobs": blob_root,
            "secret": program.secret,  # by this private socket: others can read arguments and environments
            "argv": list(sys.argv),
        }
        began = time.monotonic()
        lane = self._take_lane()
        try:
            await lane.ready()
        except OSError as error:
            await self.aclose()
            raise Unavailable(f"cannot start a process for the objective: {in_words(error)}") from None
        except _Unusable as error:
            await self.aclose()
            detail = f"\n{error.detail.rstrip()}" if error.detail else ""
            raise UsageError(
                f'cannot import the objective in another process: {error.error} (or use evaluator="thread"){detail}'
            ) from None
        except BaseException:
            await self.aclose()
            raise
        self._free.append(lane)
        self._start_within = max(_START_WITHIN, _TIMES_SLOWER * (time.monotonic() - began))

    def _take_lane(self) -> _Lane:
        """Return the lane that was used last of those that are free, so that no more processes start than needed; if
        possible one whose last objective has ended."""
        if self._free:
            lane = max(self._free, key=lambda lane: (lane.is_idle, self._free.index(lane)))
            self._free.remove(lane)
            return lane
        assert self._hello is not None, "start() was not awaited"
        self._lanes.append(_Lane(self._hello, self._threads))
        return self._lanes[-1]

    async def run(self, assignment: Assignment, channel: Channel) -> Outcome:
        self._look_at_sources(channel)
        lane = self._take_lane()
        try:
            return await self._run(lane, assignment, channel)
        finally:
            self._free.append(lane)

    async def _run(self, lane: _Lane, assignment: Assignment, channel: Channel) -> Outcome:
        try:
            with channel.untimed():
                async with asyncio.timeout(self._start_within):
                    child = await lane.ready()
        except _Unusable as error:
            # It could be imported when the worker began: a module that it needs is not what it was, or this machine.
            await lane.end()
            return released(f"a new process cannot import the objective any more: {error.error}", error.detail)
        except TimeoutError:
            await lane.end()
            return released(f"a new process had not imported the objective after {self._start_within:.0f} s")
        except OSError as error:
            return released(f"cannot start a process for the objective: {in_words(error)}")
        if self._ending:
            return Outcome("released")  # it had not begun
        outcome = await child.run(assignment, channel)
        if outcome.kind == "released":
            # Perhaps the process has run out of something (descriptors); the next one has not.
            await lane.end()
        return outcome

    def _look_at_sources(self, channel: Channel) -> None:
        """Say once of each file that has changed that it has."""
        now = time.monotonic()
        if now < self._look_next:
            return
        self._look_next = now + _LOOK
        for file in self._sources.changed():
            if file not in self._told:
                self._told.add(file)
                channel.notice(
                    f"{os.path.relpath(file)} has changed since the search began, and is used as it was then: "
                    "start the search again to use the new version"
                )

    def wind_down(self) -> list[str]:
        self._ending = True
        told = [lane.child.wind_down() for lane in self._lanes if lane.child is not None]
        return [trial for trial in told if trial is not None]

    async def aclose(self) -> None:
        await asyncio.gather(*(lane.end() for lane in self._lanes))
