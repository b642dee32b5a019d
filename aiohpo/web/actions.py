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
from ..events.schema import trial_name
from ..keys import StudyKey, kept_key
from ..launch.addresses import make_transport, takes_key
from ..launch.cards import Card, cards_of
from ..peer.retrying import choose_failed
from ..runtime.ask_tell import AskTell
from ..runtime.assembly.services import new_worker_id
from ..storage.run import open_run
from ..storage.run_directory import RunDirectory, read_study
from .visitor import Visitor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ..peer.state import PeerState
    from ..view.view import View

ENDED_BY_HAND = "it was ended from the dashboard"
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
        """The addresses at which somebody may answer."""
        if self.directory is None:
            return list(self.addresses)
        return Card(cards_of(self.directory), worker).others()


async def end_search(door: Door) -> dict[str, Any]:
    """Tell all workers that the search is over. Raises ``UsageError`` if none can be reached."""
    async with _visit(door) as visitor:
        if visitor is None:
            raise UsageError(
                "no worker of this search can be reached: either none is left, or it runs within one process, where "
                "Ctrl-C or Study.stop() ends it"
            )
        told = at_work(visitor)
        await visitor.say(lambda state: state.record_call_off(ENDED_BY_HAND, told))
    # Not others who came in for a moment, as this visitor did.
    n = sum(name in visitor.state.view.workers for name in told)
    words = "the worker is" if n == 1 else f"{n} workers are"
    return {"stopped": n, "message": f"{words} told that the search is over"}


def at_work(visitor: Visitor) -> list[str]:
    """All workers that may be there: those that the mesh knows, and those of the log that have neither left nor are
    known to be dead. Somebody who has just come in may not have heard of all members yet."""
    state = visitor.state
    gone = {name for name, believed in state.states().items() if believed in ("dead", "left")} | visitor.gone
    began = [name for name, info in state.view.workers.items() if info.started is not None and info.left is None]
    return sorted({*began, *state.present} - gone - {state.me})


async def retry_failed(door: Door, names: Sequence[str], where: str) -> dict[str, Any]:
    """Queue the configurations of these failed trials, or of all of them, again. Raises ``UsageError`` as ``aiohpo
    retry`` does, and for an address at which nobody answers."""

    def choose(view: View) -> list[int]:
        return choose_failed(view, names, where)

    async with _visit(door, choose) as visitor:
        if visitor is not None:
            state = visitor.state
            rows = choose(state.view)
            new: list[str] = []

            def queue(state: PeerState) -> None:
                new.extend(trial_name(state.queue_retry(time.time(), row)) for row in rows)

            await visitor.say(queue)
            return _retried(state.view, rows, new, "the workers that are running take them up")
    if door.directory is None:
        raise UsageError(f"nobody answers at {', '.join(door.addresses)}")
    return await asyncio.to_thread(_retry_on_disk, door.directory, names, where)


def _retry_on_disk(path: Path, names: Sequence[str], where: str) -> dict[str, Any]:
    run = open_run(path)
    rows = choose_failed(run.view, names, where)
    directory = RunDirectory(path, read_study(path))
    worker = new_worker_id()
    manual = AskTell(worker, run.view, run.log, 0, partial(directory.journal, worker), directory.id)
    try:
        new = [manual.retry(row) for row in rows]
    finally:
        manual.leave()
    return _retried(run.view, rows, new, "the command that began the search runs them")


def _retried(view: View, rows: Sequence[int], new: Sequence[str], next_: str) -> dict[str, Any]:
    trials = [
        {"of": trial_name(view.id(row)), "id": id, "number": view.number(view.row_of(id))}
        for row, id in zip(rows, new, strict=True)
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
        await visitor.meet()
        yield visitor
    finally:
        await visitor.aclose()
