"""A program in a session of its own, which is noticed when it ends and ends when the worker does.

Its own session keeps the terminal's Ctrl-C away from it and makes it and its descendants one process group,
so that they can be killed together.

When the worker itself is killed nobody is left to do that, and the program may be busy in C code or ignorant
of us. On Linux the kernel does it: a pipe whose write end only the worker holds, and whose read end,
inherited by the program, was told to send SIGKILL to the whole group when something happens to it (fcntl(2):
F_SETOWN, F_SETSIG, O_ASYNC). Nothing ever does, until the worker dies and its end is closed. This reaches
grandchildren, which PR_SET_PDEATHSIG does not, and needs nothing from the program. Measured: the group is
gone within 10 ms.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from ...keys import without_key

# Seconds between looks at a process where the platform has no pidfd to wait on.
_POLL = 0.02


class ProcessGroup:
    """One program and its descendants. ``on_exit(returncode)`` is called once, on the loop.

    ``append_lifeline`` passes the descriptor of the lifeline's read end as the program's last argument.
    """

    def __init__(
        self,
        command: Sequence[str],
        on_exit: Callable[[int], None],
        *,
        pass_fds: Sequence[int] = (),
        append_lifeline: bool = False,
        **options: Any,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_exit = on_exit
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self.returncode: int | None = None
        self._pidfd: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        line, self._lifeline = os.pipe()
        if append_lifeline:
            command = [*command, str(line)]
        try:
            options["env"] = without_key(options.get("env", os.environ))
            self._process = subprocess.Popen(command, start_new_session=True, pass_fds=(*pass_fds, line), **options)
            self.pid = self._process.pid
            _tie(line, self.pid)
        except BaseException:
            os.close(self._lifeline)
            raise
        finally:
            os.close(line)
        self._watch()

    def __repr__(self) -> str:
        state = "running" if self.returncode is None else describe_exit(self.returncode)
        return f"<ProcessGroup {self.pid}: {state}>"

    def _watch(self) -> None:
        try:
            self._pidfd = os.pidfd_open(self.pid)
        except (AttributeError, OSError):
            self._timer = self._loop.call_later(_POLL, self.look)
        else:
            self._loop.add_reader(self._pidfd, self.look)

    def look(self) -> None:
        """Notice if the program has ended. Called whenever there is reason to; cheap."""
        if self.returncode is not None:
            return
        if not self._exited():
            if self._pidfd is None:
                self._timer = self._loop.call_later(_POLL, self.look)
            return
        # Before the leader is reaped: until then nobody else can be given the group's number.
        self.kill()
        self.returncode = self._process.wait()
        self._release()
        if not self._gone.done():
            self._gone.set_result(None)
        self._on_exit(self.returncode)

    def _exited(self) -> bool:
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True  # somebody else reaped it
        except AttributeError:
            return self._process.poll() is not None

    def _release(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    def kill(self, sig: int = signal.SIGKILL) -> None:
        """Signal the whole group; nothing happens if it is gone."""
        if self.returncode is None:
            try:
                os.killpg(self.pid, sig)
            except (ProcessLookupError, PermissionError):
                pass  # PermissionError: how macOS says that only a zombie is left

    async def wait(self, timeout: float) -> bool:
        """Wait until the program has ended; False if it has not within ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        if self.returncode is None:
            await asyncio.wait({self._gone}, timeout=max(0.0, deadline - time.monotonic()))
        return self.returncode is not None


def _tie(line: int, group: int) -> None:
    """Have the kernel kill ``group`` when the other end of ``line`` is closed (Linux only)."""
    if sys.platform != "linux":
        return
    try:
        fcntl.fcntl(line, fcntl.F_SETOWN, -group)
        fcntl.fcntl(line, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(line, fcntl.F_SETFL, fcntl.fcntl(line, fcntl.F_GETFL) | os.O_ASYNC)
    except OSError:
        pass  # the program is gone already, or a sandbox's kernel does not know this; all else still works


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
