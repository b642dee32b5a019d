"""A program and its descendants, which is noticed when it ends and all of which ends when the worker does.

The program runs in a session of its own, which keeps the terminal's Ctrl-C away from it, below a supervisor
(:mod:`aiohpo.evaluate.process.supervisor`): a small process that ends the program and everything that it has started,
also in further sessions, when it is told to, when the program ends and when the worker is gone.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from ...keys import without_key
from . import supervisor
from .job_signals import JOB_SIGNALS, KEYS

_SUPERVISOR = os.path.abspath(supervisor.__file__)
_CHUNK = 1 << 12
GONE_WITHIN = 30.0  # seconds for a program that was killed, before the next one starts or its evaluator is closed


class ProcessGroup:
    """One program and its descendants. ``on_exit(returncode)`` is called once, on the loop, when all are gone.

    started     its process id, once it runs; ``OSError`` if it could not be started
    returncode  None while it runs
    lost        whether its supervisor was killed, so that nothing is known of its end
    """

    def __init__(
        self, command: Sequence[str], on_exit: Callable[[int], None], *, pass_fds: Sequence[int] = (), **options: Any
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_exit = on_exit
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self.started: asyncio.Future[int] = self._loop.create_future()
        # The waiting task may have been cancelled; then the error does not matter.
        self.started.add_done_callback(lambda started: started.cancelled() or started.exception())
        self.pid = 0
        self.returncode: int | None = None
        self.lost = False
        self._code: int | None = None
        self._heard = b""
        self._control, theirs = socket.socketpair()
        self._control.setblocking(False)
        lists = [",".join(map(str, numbers)) for numbers in (pass_fds, map(int, (*JOB_SIGNALS, *KEYS)))]
        words = [sys.executable, "-I", "-S", _SUPERVISOR, str(theirs.fileno()), *lists, *command]
        environment = without_key(options.pop("env", os.environ))
        environment[supervisor.MARK] = secrets.token_hex(8)
        try:
            self._process = subprocess.Popen(
                words, start_new_session=True, pass_fds=(*pass_fds, theirs.fileno()), env=environment, **options
            )
        except BaseException:
            self._control.close()
            raise
        finally:
            theirs.close()
        self._loop.add_reader(self._control.fileno(), self.look)

    def __repr__(self) -> str:
        state = "running" if self.returncode is None else describe_exit(self.returncode)
        return f"<ProcessGroup {self.pid or 'to be'}: {state}>"

    def look(self) -> None:
        """Notice if the program has ended. Called whenever there is reason to; cheap."""
        while self.returncode is None:
            try:
                data = self._control.recv(_CHUNK)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data = b""
            if not data:
                self._end()
                return
            *lines, self._heard = (self._heard + data).split(b"\n")
            for line in lines:
                self._take(line.decode())

    def _take(self, line: str) -> None:
        word, _, number = line.partition(" ")
        if word == "started":
            self.pid = int(number)
        elif word == "refused":
            self._refuse(OSError(int(number), os.strerror(int(number))))
        elif word == "ended":
            self._code = int(number)
        if word != "refused" and not self.started.done():
            self.started.set_result(self.pid)

    def _refuse(self, error: OSError) -> None:
        if not self.started.done():
            self.started.set_exception(error)

    def _end(self) -> None:
        self._loop.remove_reader(self._control.fileno())
        self._control.close()
        exited = self._process.wait()  # it closed its end of the socket by exiting
        self.lost = self._code is None
        if self.lost and self.pid:
            try:  # what is left of it; the program itself ended with its supervisor where the kernel sees to that
                os.killpg(self.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
        self.returncode = exited if self._code is None else self._code
        self._refuse(OSError(f"its supervisor {describe_exit(self.returncode)}"))
        if not self._gone.done():
            self._gone.set_result(None)
        self._on_exit(self.returncode)

    def terminate(self) -> None:
        """Send SIGTERM to the program's process group; nothing happens if it is gone."""
        self._tell(b"terminate\n")

    def kill(self) -> None:
        """End the program and all its descendants; nothing happens if they are gone."""
        self._tell(b"end\n")

    def _tell(self, word: bytes) -> None:
        if self.returncode is None:
            try:
                self._control.send(word)
            except OSError:
                pass  # it is gone, or is just going

    async def wait(self, timeout: float) -> bool:
        """Wait until the program has ended; False if it has not within ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        if self.returncode is None:
            await asyncio.wait({self._gone}, timeout=max(0.0, deadline - time.monotonic()))
        return self.returncode is not None


def describe_exit(returncode: int) -> str:
    """Say in words how a program ended."""
    if returncode >= 0:
        return f"exited with code {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    if name == "SIGKILL":
        return "was killed by SIGKILL (out of memory, perhaps)"
    return f"was killed by {name}"
