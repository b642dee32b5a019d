"""The worker's side of a child: the process that imports the objective and serves one segment after the other."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from dataclasses import fields, replace
from typing import Any

from ...plugin import Assignment, Channel, Outcome
from ..segment import failed, released
from .output import Output, bounded
from .process_group import ProcessGroup, describe_exit
from .wire import (
    ABORT,
    ATTACH,
    BEGIN,
    DECIDE,
    END,
    ENDING,
    NOTE,
    PREDICTIONS,
    READY,
    REPORT,
    RUN,
    SAVE,
    UNUSABLE,
    LoopWire,
)

# The child sees what this process sees: the same modules, in the same order. (-P: nothing else.)
_PATH = "AIOHPO_SYS_PATH"
_BOOT = (
    f"import os, sys; sys.path[:] = os.environ.pop('{_PATH}').split('\\n'); "
    "from aiohpo.evaluate.process.child import serve_worker; serve_worker(*map(int, sys.argv[1:]))"
)
# Seconds for a child that lost its socket to exit by itself.
_HANG_UP = 1.0
# Seconds for an objective whose segment was aborted to listen, at least and at most; in between, as long as the process
# took to start, which waiting longer would not save.
_LISTEN = 1.0
_LISTEN_AT_MOST = 30.0


class CannotImport(Exception):
    """The child could not import the objective; ``killed``: by a signal, which need not be its own fault."""

    def __init__(self, error: str, detail: str | None, killed: bool = False) -> None:
        super().__init__(error)
        self.error = error
        self.detail = detail
        self.killed = killed


class ChildProcess:
    """One child process, from its start to its end. ``pickled`` are the functions that it cannot import."""

    def __init__(self, hello: dict[str, Any], pickled: bytes, environment: dict[str, str]) -> None:
        self._loop = asyncio.get_running_loop()
        self._environment = environment
        self.ready: asyncio.Future[None] = self._loop.create_future()
        # The waiting task may have been cancelled; then the error does not matter.
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
        self._wire.send({**hello, "pickled": len(pickled)})
        self._wire.send_bytes(pickled)

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

    @property
    def is_idle(self) -> bool:
        """Whether no aborted segment is still to end here."""
        return self._aborted is None

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
                self.ready.set_exception(CannotImport(*rest))
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
        elif kind == NOTE:
            channel.note(*rest)
        elif kind == ATTACH:
            channel.attach(*rest)

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
            text = f"the objective's process {how} while importing it"
            error = CannotImport(text, self._output.tail, killed=returncode < 0)
            self.ready.set_exception(error if refused is None else refused)
        if self._done is not None and not self._done.done():
            began = self._begun is not None and self._begun.done()
            if self.group.lost:
                outcome = released(f"the process that watches over the objective's {how}", self._output.tail)
            elif began:
                # What broke the connection was written to it by the objective, and would be again.
                outcome = failed(f"the objective's process {how}", self._output.tail, crashed=not self._how)
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
