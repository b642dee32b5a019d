"""Starting workers as processes of this machine and watching them; nothing more.

Each worker gets a session of its own. So a Ctrl-C at the terminal reaches only the launcher, which passes on
exactly one signal to each worker, and a launcher that dies takes no worker with it. For the
same reason a worker's output goes to a file and not through a pipe, which would break with its reader.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import UsageError
from ..files import open_regular, open_to_write, read_at
from ..plugin import WorkerExit

_AT_MOST = 1 << 22  # bytes of a log that are read at a time


class LocalLauncher:
    """A :class:`aiohpo.plugin.Launcher` that runs one process of this machine per command.

    ``logs[i]`` is the file that gets the output of ``commands[i]``."""

    def __init__(self, commands: Sequence[Sequence[str]], logs: Sequence[Path], env: Mapping[str, str]) -> None:
        self._commands = commands
        self._logs = [_Tail(path) for path in logs]
        self._env = dict(env)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._ended: set[int] = set()

    def start(self) -> None:
        """Start all workers. Raises ``UsageError`` if that is impossible, and leaves none behind then."""
        try:
            for command, log in zip(self._commands, self._logs, strict=True):
                with os.fdopen(open_to_write(log.path, os.O_WRONLY | os.O_APPEND), "ab") as output:
                    self._processes.append(
                        subprocess.Popen(
                            list(command),
                            stdin=subprocess.DEVNULL,
                            stdout=output,
                            stderr=output,
                            env=self._env,
                            start_new_session=True,
                        )
                    )
        except OSError as error:
            self.kill()
            where = f" ({error.filename})" if error.filename else ""
            raise UsageError(f"cannot start {len(self._commands)} workers: {error.strerror or error}{where}") from None
        except BaseException:
            self.kill()
            raise

    @property
    def alive(self) -> int:
        """How many workers run, as of the last :meth:`poll`."""
        return len(self._processes) - len(self._ended)

    @property
    def pids(self) -> list[int]:
        """The process ids by rank."""
        return [process.pid for process in self._processes]

    def poll(self) -> list[WorkerExit]:
        """The workers that ended since the last call."""
        new = []
        for rank, process in enumerate(self._processes):
            if rank not in self._ended and (code := process.poll()) is not None:
                self._ended.add(rank)
                new.append(WorkerExit(rank, f"pid {process.pid}", code))
        return new

    def lines(self) -> list[tuple[int, str]]:
        """(rank, line) for each complete line that the workers wrote since the last call."""
        return [(rank, line) for rank, log in enumerate(self._logs) for line in log.read()]

    def interrupt(self) -> None:
        """Ask every worker to stop in good order. Safe in a signal handler."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """End every worker at once and wait until they are gone."""
        self._signal(signal.SIGKILL)
        deadline = time.monotonic() + 5
        for process in self._processes:
            try:
                process.wait(max(deadline - time.monotonic(), 0.01))
            except subprocess.TimeoutExpired:
                pass  # stuck in the kernel (a dead network mount): nothing more can be done

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes:
            process.send_signal(number)  # does nothing to a process known to have ended

    def __repr__(self) -> str:
        return f"<LocalLauncher {self.alive} of {len(self._commands)} workers alive>"


class _Tail:
    """Reads the lines that are appended to a file from now on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._offset = path.stat().st_size
        except OSError:
            self._offset = 0

    def read(self) -> list[str]:
        try:
            descriptor = open_regular(self.path)
            try:
                data = read_at(descriptor, self._offset, _AT_MOST)
            finally:
                os.close(descriptor)
        except OSError:
            return []
        end = data.rfind(b"\n") + 1 or (len(data) if len(data) == _AT_MOST else 0)
        self._offset += end
        return data[:end].decode("utf-8", "replace").splitlines()
