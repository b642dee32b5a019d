"""What starts workers as processes somewhere: on this machine, in a batch system, on a cluster."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class WorkerExit:
    """A worker process that ended.

    rank   its place among those that the launcher started, from 0
    place  where it ran, for people, such as "pid 4242" or "job 17 on node3"
    code   its exit code, negative for the signal that killed it, as in :mod:`subprocess`
    """

    rank: int
    place: str
    code: int

    def __str__(self) -> str:
        if self.code >= 0:
            return f"worker {self.rank} ({self.place}) ended with exit code {self.code}"
        try:
            name = signal.Signals(-self.code).name
        except ValueError:
            name = f"signal {-self.code}"
        return f"worker {self.rank} ({self.place}) was killed by {name}"


@runtime_checkable
class Launcher(Protocol):
    """Starts worker processes, says how they are, and ends them.

    It holds no part of the search: the workers find each other and have all that is known, so a launcher that dies
    takes no worker and no result with it. Used from one thread; no method but :meth:`start` and :meth:`kill` waits for
    anything.
    """

    def start(self) -> None:
        """Start all workers, once. Raises ``UsageError`` if that is impossible, and leaves none behind then."""
        ...

    @property
    def alive(self) -> int:
        """How many workers run, as of the last :meth:`poll`."""
        ...

    def poll(self) -> Sequence[WorkerExit]:
        """Return the workers that ended since the last call."""
        ...

    def lines(self) -> Sequence[tuple[int, str]]:
        """Return (rank, line) for each complete line that the workers wrote since the last call."""
        ...

    def interrupt(self) -> None:
        """Ask every worker to leave in good order, as Ctrl-C does. May be called in a signal handler."""
        ...

    def kill(self) -> None:
        """End every worker without delay and wait, a bounded time, until they are gone."""
        ...
