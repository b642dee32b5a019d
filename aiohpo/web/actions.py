"""The two things that the page can do: end a search, and have failed trials tried again.

Both are events. Where workers can be reached, a :class:`~aiohpo.web.visitor.Visitor` records them among them, so
that those that run hear of it at once; where none can, a retry is written into the directory, as ``aiohpo retry`` does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..events.schema import TrialId, trial_name
from ..keys import StudyKey, kept_key
from ..launch.addresses import make_transport, takes_key
from ..launch.cards import Card, cards_of
from ..peer.retrying import choose_failed
from ..runtime.ask_tell import retry_in_directory
from ..runtime.assembly.services import new_worker_id
from ..storage.run import open_run
from ..storage.run_directory import RunDirectory, read_study
from .visitor import Visitor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ..view.view import View

ENDED_BY_HAND = "the search was ended from the dashboard"
DEFAULT_TRANSPORT = "zmq"


@dataclass(frozen=True, slots=True)
class Door:
    """Where the workers of a search are met: by their run ``directory``, or at ``addresses``. Their ``key``, if it is
    not in the directory."""

    directory: Path | None = None
    addresses: Sequence[str] = ()
    transport: str = DEFAULT_TRANSPORT
    key: StudyKey | None = field(default=None, repr=False)

    def found(self, worker: str) -> list[str]:
        """The addresses that may answer."""
        if self.directory is None:
            return list(self.addresses)
        return Card(cards_of(self.directory), worker).others()


async def end_search(door: Door) -> dict[str, Any]:
    """Tell all workers that the search is over. Raises ``UsageError`` if none can be reached."""
    async with _visit(door) as visitor:
        if visitor is None:
            raise UsageError(
                "no worker of this search can be reached: none is left, or it runs within one process (where Ctrl-C or "
                "Study.stop() ends it), or the workers use a key that is not in the run directory (give it with --key)"
            )
        told = at_work(visitor)
        await visitor.say(lambda state: state.record_call_off(ENDED_BY_HAND, told))
    # Not others who came in for a moment, as this visitor did.
    n = sum(name in visitor.state.view.workers for name in told)
    words = "the worker has been" if n == 1 else f"{n} workers have been"
    return {"stopped": n, "message": f"{words} told that the search is over"}


def at_work(visitor: Visitor) -> list[str]:
    """All workers that may be there: those that the mesh knows, and those of the log that have neither left nor are
    known to be dead. A visitor that has just come in may not have heard of all members yet."""
    state = visitor.state
    gone = {name for name, believed in state.states().items() if believed in ("dead", "left")} | visitor.gone
    began = [name for name, info in state.view.workers.items() if info.started is not None and info.left is None]
    return sorted({*began, *state.present} - gone - {state.me})


async def retry_failed(door: Door, names: Sequence[str], where: str) -> dict[str, Any]:
    """Queue the configurations of these failed trials, or of all of them, again. Raises ``UsageError`` as ``aiohpo
    retry`` does, and for an address that does not answer."""

    def choose(view: View) -> list[int]:
        return choose_failed(view, names, where)

    async with _visit(door, choose) as visitor:
        if visitor is not None:
            state = visitor.state
            rows = choose(state.view)
            new: list[TrialId] = []
            await visitor.say(lambda state: new.extend(state.queue_retry(time.time(), row) for row in rows))
            pairs = [(row, state.view.row_of(trial_name(trial))) for row, trial in zip(rows, new, strict=True)]
            return _retried(state.view, pairs, "the running workers will pick them up")
    if door.directory is None:
        raise UsageError(f"no answer from {', '.join(door.addresses)}")
    return await asyncio.to_thread(_retry_on_disk, door.directory, names, where)


def _retry_on_disk(path: Path, names: Sequence[str], where: str) -> dict[str, Any]:
    run = open_run(path)
    pairs = retry_in_directory(run, names, where)
    here = "workers that are running do not notice this; " if "alive" in run.loaded.states.values() else ""
    return _retried(run.view, pairs, f"{here}the command that started the search runs them")


def _retried(view: View, pairs: Sequence[tuple[int, int]], next_: str) -> dict[str, Any]:
    trials = [
        {"of": trial_name(view.id(row)), "id": trial_name(view.id(new)), "number": view.number(new)}
        for row, new in pairs
    ]
    words = "1 trial is" if len(trials) == 1 else f"{len(trials)} trials are"
    return {"retried": trials, "message": f"{words} queued to be tried again: {next_}"}


@asynccontextmanager
async def _visit(door: Door, check: Callable[[View], object] = lambda view: None) -> AsyncIterator[Visitor | None]:
    """Meet the workers; None if there are none. What ``check`` raises of what is in the directory, it raises before it
    has come in."""
    worker = new_worker_id()
    if not door.found(worker):
        yield None
        return
    key, journal, known, gone = door.key, None, None, frozenset[str]()
    if door.directory is not None:
        path = door.directory
        run = await asyncio.to_thread(open_run, path)
        if "alive" not in run.loaded.states.values() and "unknown" not in run.loaded.states.values():
            yield None  # cards of workers that were killed are left behind
            return
        check(run.view)
        known = run.log, run.view
        gone = frozenset(name for name, state in run.loaded.states.items() if state in ("dead", "left"))
        if key is None and takes_key(door.transport):
            key = kept_key(path, share=True)
        directory = RunDirectory(path, read_study(path))
        make: Callable[[], Any] = partial(directory.journal, worker)
        journal = make, directory.id
    visitor = Visitor(
        make_transport(door.transport, worker=worker, key=key),
        worker,
        partial(door.found, worker),
        notice=lambda text: None,
        known=known,
        journal=journal,
        gone=gone,
    )
    try:
        yield visitor if await _meet(visitor, door) else None
    finally:
        await visitor.aclose()


async def _meet(visitor: Visitor, door: Door) -> bool:
    """Meet the workers; say whether one let the visitor in. Raises ``UsageError`` if there is no directory instead."""
    try:
        await visitor.meet()
    except UsageError:
        if door.directory is None:
            raise
        return False  # they listen elsewhere, or have a key that is not in the directory
    return True
