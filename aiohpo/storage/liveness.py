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
    there are no locks        this one          see below
    there are no locks        another, unknown  unknown
    ========================  ================  =========

Some file systems have no locks at all (Lustre mounted without ``-o flock``, NFS without its lock service). There a
worker touches its journal once a second, and what is known of one on this machine follows from its process and from
when the journal was last touched:

    ===================  =======================  =========
    a process of its id  touched                  the worker
    ===================  =======================  =========
    runs                 within SILENCE           alive
    runs                 before                   unknown (it is suspended, or another process has its number)
    is not there         within SILENCE           unknown (it may run in another container of this name)
    is not there         before                   dead
    ===================  =======================  =========

A worker that recorded that it left has left, whatever its lock looks like. Everything that depends on whether a worker
is gone asks here: whether its trial is lost, whether the torn end of its journal may be cut off, what displays say.
"""

from __future__ import annotations

import fcntl
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..events.schema import Started
from ..files import open_regular
from ..view.view import View
from .journal import journals_in

WriterState = Literal["alive", "dead", "left", "unknown"]

# Seconds. A worker touches a journal that it cannot lock every second, unless the file system or the machine hangs.
SILENCE = 15.0


@dataclass(frozen=True, slots=True)
class Sign:
    """What can be seen of a journal's writer: whether it holds the lock (None: there is no file, or there are no
    locks), and how many seconds ago the file was touched (None: there is no file)."""

    held: bool | None
    touched_ago: float | None


def sign_of(journal: Path) -> Sign:
    """Look at a journal's lock, and at when it was touched."""
    try:
        descriptor = open_regular(journal)
    except OSError:
        return Sign(None, None)
    try:
        touched_ago = time.time() - os.fstat(descriptor).st_mtime
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return Sign(True, touched_ago)
    except OSError:
        return Sign(None, touched_ago)
    finally:
        os.close(descriptor)
    return Sign(False, touched_ago)


def signs_in(directory: Path) -> dict[str, Sign]:
    """The signs of life in a run directory's journals, by worker."""
    return {file.stem: sign_of(file) for file in journals_in(directory)}


def is_running(sign: Sign | None, started: Started | None) -> bool | None:
    """Say whether a writer that began as ``started`` says certainly runs or has certainly ended; None: neither."""
    if sign is None or sign.touched_ago is None:
        return None
    if sign.held:
        return True
    if started is None or started.host != platform.node():
        return None
    if sign.held is False:
        return False
    recent = sign.touched_ago < SILENCE
    return recent if _process_exists(started.pid) == recent else None


def writer_state(worker: str, sign: Sign | None, view: View) -> WriterState:
    """Say what is known of a worker of whose journal this was seen."""
    info = view.workers.get(worker)
    if info is not None and info.left is not None and not (sign and sign.held):  # else others wrote that in its name
        return "left"
    running = is_running(sign, None if info is None else info.started)
    return "unknown" if running is None else "alive" if running else "dead"


class Writers:
    """The workers that write to a run directory; ``view`` says on which machines they run and which of them left."""

    def __init__(self, directory: Path, view: View) -> None:
        self._directory = directory
        self._view = view

    def states(self) -> dict[str, WriterState]:
        """What is known now of every worker that ever began."""
        return states_of(signs_in(self._directory), self._view)

    def is_gone(self, worker: str) -> bool:
        """Say whether this worker has certainly ended, in good order or not."""
        sign = sign_of(self._directory / "journal" / f"{worker}.log")
        return writer_state(worker, sign, self._view) in ("dead", "left")

    def has_ended(self, worker: str, sign: Sign | None) -> bool:
        """Say whether the process of which this was seen has certainly ended, whatever it recorded."""
        info = self._view.workers.get(worker)
        return is_running(sign, None if info is None else info.started) is False

    def __repr__(self) -> str:
        return f"<Writers of {self._directory}>"


def states_of(signs: Mapping[str, Sign], view: View) -> dict[str, WriterState]:
    """What is known of every worker that began, given what was seen of the journals."""
    began = [name for name, info in view.workers.items() if info.started is not None]
    return {name: writer_state(name, signs.get(name), view) for name in began}


def _process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True  # another user's
    except (OSError, OverflowError):
        return False
    return pid > 0
