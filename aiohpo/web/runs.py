"""The runs that a server shows: one directory, the directories in a folder, or a mesh that it has joined.

A run is read when it is asked for and as long as it is looked at. What is read from a disk is read in a
thread; what arrives over a mesh arrives on the event loop, and is read there.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ..errors import UsageError
from ..report.sources import FollowedDirectory, ProgressSource
from ..storage.run_directory import read_study
from .data.feed import Feed

T = TypeVar("T")

_SOONEST = 0.2  # seconds between two looks at a run
_SHARE = 4.0  # a look that took long is followed by a pause of so many times the CPU time that it took
_MOST_OPEN = 12  # runs that are kept in memory though no page shows them
_FACTS = ("metric", "mode", "searcher", "scheduler", "max_steps", "created")


class OpenRun:
    """A run that is read. ``kind`` says from where: directory or mesh."""

    def __init__(self, id: str, source: ProgressSource, *, threaded: bool) -> None:
        self.id = id
        self.kind = "directory" if threaded else "mesh"
        self.readers = 0
        self.used = time.monotonic()
        self.failure: str | None = None
        self._threaded = threaded
        self._source = source
        self._feed: Feed | None = None
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None

    @property
    def source(self) -> ProgressSource:
        return self._source

    async def ask(self, question: Callable[[Feed], T]) -> T:
        """Answer a question about the run as it is now."""
        async with self._turn:
            self.used = time.monotonic()
            return await self._do(lambda: question(self._look()[0]))

    async def tell(self, id: str | None) -> tuple[dict[str, Any], bool]:
        """What a reader lacks who knows everything up to ``id``, without another look; and whether that is anything."""

        def since() -> tuple[dict[str, Any], bool]:
            delta = (self._feed or self._look()[0]).since(id)
            news = delta["trials"] is not None or delta["summary"] is not None or "names" in delta
            return delta, news or delta["complete"]

        async with self._turn:
            return await self._do(since)

    def news(self) -> asyncio.Event:
        """What is set once something more became known, or the run cannot be read any more (``failure``). While there
        are ``readers`` the run is looked at again and again."""
        if self.failure is None and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self._keep_looking())
        return self._news

    def close(self) -> None:
        """Look no more."""
        if self._looking is not None:
            self._looking.cancel()

    async def _keep_looking(self) -> None:
        pause = _SOONEST
        while self.readers:
            await asyncio.sleep(pause)
            took = 0.0
            try:
                async with self._turn:
                    news, took = await self._do(self._timed_look)
            except Exception as error:  # the directory vanished, or a spectator broke
                self.failure = f"can no longer read {self.source.name}: {error}"
                news = True
            pause = max(_SOONEST, _SHARE * took)
            if news:
                told, self._news = self._news, asyncio.Event()
                told.set()
            if self.failure is not None:
                return

    def _timed_look(self) -> tuple[bool, float]:
        began = time.thread_time()
        news = self._look()[1]
        return news, time.thread_time() - began

    def _look(self) -> tuple[Feed, bool]:
        if self._feed is None:
            self._feed = Feed(self._source)
        return self._feed, self._feed.look(time.time())

    async def _do(self, work: Callable[[], T]) -> T:
        return await _in_background(work) if self._threaded else work()

    def __repr__(self) -> str:
        return f"<OpenRun {self.id}: {self._feed!r}, {self.readers} readers>"


class Runs(Protocol):
    """What a server shows. ``title`` names it to people, ``is_folder`` says whether there is a choice."""

    title: str
    is_folder: bool

    async def entries(self) -> list[dict[str, Any]]:
        """All runs, as ``api/runs`` tells of them."""
        ...

    async def open(self, id: str) -> OpenRun:
        """The run of this id. Raises ``KeyError``; ``UsageError`` if it cannot be read."""
        ...

    async def prepare(self) -> None:
        """Read in advance what is going to be asked for first."""
        return

    def close(self) -> None:
        """Look at none any more."""
        ...


class DirectoryRuns(Runs):
    """A run directory, or a folder with run directories in it."""

    def __init__(self, path: Path) -> None:
        self.title = str(path)
        self._path = path
        self.is_folder = not (path / "study.json").exists()
        self._open: dict[str, OpenRun] = {}

    def _paths(self) -> dict[str, Path]:
        if not self.is_folder:
            return {_name_of(self._path): self._path}
        return {file.parent.name: file.parent for file in sorted(self._path.glob("*/study.json"))}

    async def entries(self) -> list[dict[str, Any]]:
        return await asyncio.to_thread(self._entries)

    def _entries(self) -> list[dict[str, Any]]:
        return [self._entry(id, path) for id, path in self._paths().items()]

    def _entry(self, id: str, path: Path) -> dict[str, Any]:
        opened = self._open.get(id)
        feed = None if opened is None else opened._feed
        entry = {"id": id, "name": id, "kind": "directory", "error": None, **dict.fromkeys(_FACTS)}
        try:
            study = read_study(path)
        except UsageError as error:
            return {**entry, "trials": None, "progress": None, "error": str(error)}
        entry |= {name: study.get(name) for name in _FACTS}
        return {**entry, "trials": feed and feed.view.goal and feed.view.goal[1], "progress": feed and feed.progress()}

    async def open(self, id: str) -> OpenRun:
        opened = self._open.get(id)
        if opened is None or opened.failure is not None:
            paths = await asyncio.to_thread(self._paths)
            source = await asyncio.to_thread(FollowedDirectory, paths[id])
            opened = self._open.get(id)
            if opened is None or opened.failure is not None:  # else another request was faster
                opened = self._open[id] = OpenRun(id, source, threaded=True)
            self._forget()
        return opened

    async def prepare(self) -> None:
        if not self.is_folder:
            try:
                await (await self.open(_name_of(self._path))).ask(lambda feed: None)
            except UsageError:
                pass  # which is told to those who ask

    def _forget(self) -> None:
        idle = sorted((run for run in self._open.values() if not run.readers), key=lambda run: run.used)
        for run in idle[: max(len(idle) - _MOST_OPEN, 0)]:
            del self._open[run.id]

    def close(self) -> None:
        for run in self._open.values():
            run.close()


class MeshRun(Runs):
    """The one run that a spectator watches."""

    is_folder = False

    def __init__(self, source: ProgressSource, title: str) -> None:
        self.title = title
        self._run = OpenRun("mesh", source, threaded=False)

    async def entries(self) -> list[dict[str, Any]]:
        study, feed = self._run.source.study, self._run._feed
        entry = {"id": "mesh", "name": self.title, "kind": "mesh", "error": None}
        entry |= {name: study.get(name) for name in _FACTS}
        goal = self._run.source.view.goal
        return [{**entry, "trials": goal and goal[1], "progress": feed and feed.progress()}]

    async def open(self, id: str) -> OpenRun:
        if id != self._run.id:
            raise KeyError(id)
        return self._run

    def close(self) -> None:
        self._run.close()


async def _in_background(work: Callable[[], T]) -> T:
    """Do it in a thread that is not waited for at the end: the first reading of a long run may take a while, and Ctrl-C
    should not."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = work()
        except Exception as error:
            deliver(partial(future.set_exception, error))
        else:
            deliver(partial(future.set_result, result))

    def deliver(give: Callable[[], None]) -> None:
        try:
            loop.call_soon_threadsafe(lambda: None if future.done() else give())
        except RuntimeError:
            pass  # the loop is closed: the server has ended

    threading.Thread(target=run, name="aiohpo reads a run", daemon=True).start()
    return await future


def _name_of(path: Path) -> str:
    return path.name or path.resolve().name or "run"
