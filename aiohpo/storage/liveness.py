"""Is this journal's writer gone?

A worker holds a lock on its journal for as long as it lives, and the kernel releases the lock however the process ends.
But a lock tells only about this machine: whether a file system carries locks from one machine to another depends on
how it was mounted, so a lock that looks free here says nothing about a worker that runs elsewhere. Hence:

    ========================  ================  =========
    lock, seen from here      worker's machine  the worker
    ========================  ================  =========
    held                      any               alive
    free                      this one          dead
    free                      another, unknown  unknown
    cannot be told            any               unknown
    ========================  ================  =========

A worker that recorded that it left has left, whatever its lock looks like. Everything that depends on whether a worker
is gone asks here: whether its trial is lost, whether the torn end of its journal may be cut off, what displays say.
"""

from __future__ import annotations

import fcntl
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from ..view.view import View

WriterState = Literal["alive", "dead", "left", "unknown"]


def lock_is_held(journal: Path) -> bool | None:
    """Say whether some process holds this journal's lock; None where there is no such file or no lock to ask."""
    try:
        with journal.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False


def has_ended(held: bool | None, host: str | None) -> bool:
    """Say whether a writer that runs, or ran, on ``host`` has certainly ended, if its lock is or is not ``held``."""
    return held is False and host == platform.node()


def locks_in(directory: Path) -> dict[str, bool | None]:
    """The locks of a run directory's journals: {worker: held}."""
    return {file.stem: lock_is_held(file) for file in sorted((directory / "journal").glob("*.log"))}


def writer_state(worker: str, held: bool | None, view: View) -> WriterState:
    """Say what is known of a worker whose journal's lock is or is not ``held``."""
    info = view.workers.get(worker)
    if info is not None and info.left is not None:
        return "left"
    if held:
        return "alive"
    return "dead" if has_ended(held, view.host_of(worker)) else "unknown"


class Writers:
    """The workers that write to a run directory; ``view`` says on which machines they run and which of them left."""

    def __init__(self, directory: Path, view: View) -> None:
        self._directory = directory
        self._view = view

    def states(self) -> dict[str, WriterState]:
        """What is known now of every worker that ever began."""
        return states_of(locks_in(self._directory), self._view)

    def is_gone(self, worker: str) -> bool:
        """Say whether this worker has certainly ended, in good order or not."""
        held = lock_is_held(self._directory / "journal" / f"{worker}.log")
        return writer_state(worker, held, self._view) in ("dead", "left")

    def __repr__(self) -> str:
        return f"<Writers of {self._directory}>"


def states_of(locks: Mapping[str, bool | None], view: View) -> dict[str, WriterState]:
    """What is known of every worker that began, given the locks of journals."""
    began = [name for name, info in view.workers.items() if info.started is not None]
    return {name: writer_state(name, locks.get(name), view) for name in began}
