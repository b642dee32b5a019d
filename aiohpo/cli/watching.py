"""What ``aiohpo watch`` does: looks at a source now and then and shows what it sees."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

import click

from ..errors import UsageError
from ..report.screen import as_line, draw
from ..report.snapshot import Snapshot, Source, Tally
from .common import check_directory, print_json
from .terminal import plain_console, say

if TYPE_CHECKING:
    from ..events.schema import Seen
    from ..keys import StudyKey
    from ..view.view import View

_DESERTED_FOR = 3.0  # seconds without any worker after which there is nothing more to see


# ---------------------------------------------------------------------------------------------- sources
class Directory:
    """A run directory as a :class:`~aiohpo.report.snapshot.Source`: journals are followed, their locks tell who
    lives."""

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        from ..storage.follower import Follower

        check_directory(path)
        self._follower = Follower(path)
        self._say = say
        self._said = False
        self.name = str(path)

    @property
    def study(self) -> Mapping[str, Any]:
        return self._follower.study

    @property
    def view(self) -> View:
        return self._follower.view

    def poll(self) -> list[Seen]:
        new = self._follower.poll()
        if (skipped := self._follower.log.skipped) and not self._said:
            self._said = True
            self._say(f"{self.name}: {skipped}")
        return new

    def states(self) -> dict[str, str]:
        return dict(self._follower.states())

    def health(self) -> None:
        """There is no mesh to be seen."""


@asynccontextmanager
async def directory(path: Path, say: Callable[[str], None]) -> AsyncIterator[Source]:
    """Follow a run directory."""
    yield Directory(path, say)


def key_for(addresses: Sequence[str], transport: str, file: Path | None, insecure: bool) -> StudyKey | None:
    """The key of the mesh at ``addresses``; None if it has none. Raises ``UsageError`` where it is missing."""
    from ..keys import find_key, kept_key
    from ..launch.addresses import takes_key
    from ..launch.cards import directory_of, keeps_key

    if insecure and file is not None:
        raise click.UsageError("--insecure means that there is no key: leave out one of --insecure and --key")
    if file is not None:
        return find_key(file)
    if insecure or not takes_key(transport):
        return None
    for address in addresses:
        if (place := directory_of(address)) is not None and (key := kept_key(keeps_key(place))) is not None:
            return key
    raise UsageError(
        f"watching {addresses[0]} takes its study's key: copy the key file of the first worker to this machine (there "
        "it is study.key in the run directory, or what --key named) and give it with --key FILE (AIOHPO_KEY); "
        "--insecure if those workers were started with that"
    )


@asynccontextmanager
async def mesh(
    addresses: Sequence[str], transport: str, key: StudyKey | None, say: Callable[[str], None], once: bool
) -> AsyncIterator[Source]:
    """Join a mesh as an observer; with ``once``, wait until all is here."""
    from ..launch.cards import Rendezvous, cards_of, directory_of
    from ..runtime.spectator import Observer, observer_id, observer_transport

    worker = observer_id()
    cards = [Rendezvous(cards_of(directory), worker) for a in addresses if (directory := directory_of(a)) is not None]
    plain = [address for address in addresses if directory_of(address) is None]
    carrier = observer_transport(transport, worker, key)
    observer = Observer(carrier, worker, lambda: [*plain, *(a for card in cards for a in card.others())], notice=say)
    await observer.start()
    try:
        if once:
            await observer.catch_up()
        yield observer
    finally:
        await observer.aclose()


# --------------------------------------------------------------------------------------------- watching
def run(opened: AbstractAsyncContextManager[Source], show: Display, interval: float, once: bool) -> None:
    """Show what there is to see until somebody or nobody wants it any more."""
    asyncio.run(_watch(opened, show, interval, once))


async def _watch(opened: AbstractAsyncContextManager[Source], show: Display, interval: float, once: bool) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    task = asyncio.current_task()
    assert task is not None
    joined = False

    def interrupt() -> None:
        stop.set()
        if not joined:
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        async with opened as source:
            joined = True
            tally = Tally(source)
            with show:
                await _keep_looking(tally, show, interval, once, stop)
    except asyncio.CancelledError:
        if not stop.is_set():
            raise


async def _keep_looking(tally: Tally, show: Display, interval: float, once: bool, stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    deserted: float | None = None
    due = loop.time()
    while True:
        snapshot = tally.look(time.time())
        show.update(snapshot)
        if once:
            return
        if not snapshot.deserted:
            deserted = None
        elif deserted is None:
            deserted = loop.time()
        elif loop.time() - deserted >= _DESERTED_FOR:
            show.say("no worker is left")
            return
        due = max(due + interval, loop.time())
        try:
            async with asyncio.timeout_at(due):
                await stop.wait()
            return
        except TimeoutError:
            pass


# ---------------------------------------------------------------------------------------------- showing
class Display(Protocol):
    """Where snapshots go. ``say`` is for lines in between."""

    def __enter__(self) -> object: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def update(self, snapshot: Snapshot) -> None: ...
    def say(self, text: str) -> None: ...


class _Plain:
    def __enter__(self) -> object:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def say(self, text: str) -> None:
        say(f"aiohpo: {' '.join(text.split())}", err=True)


class JsonLines(_Plain):
    """One document per line, for programs."""

    def update(self, snapshot: Snapshot) -> None:
        print_json(snapshot.as_dict(), indent=None)


class Lines(_Plain):
    """One line of text per look, for logs."""

    def update(self, snapshot: Snapshot) -> None:
        say(as_line(snapshot))


class Page(_Plain):
    """Everything once, one screen wide and as long as it takes."""

    def update(self, snapshot: Snapshot) -> None:
        console = plain_console(None if sys.stdout.isatty() else 160)
        console.print(draw(snapshot, console.width, None))


class Screen:
    """A screen of its own that is drawn again and again; what was last seen stays when it is closed."""

    def __init__(self) -> None:
        from rich.live import Live

        self._console = plain_console()
        self._live = Live(console=self._console, screen=True, auto_refresh=False)
        self._last: Snapshot | None = None
        self._said: list[str] = []

    def __enter__(self) -> object:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:

        self._live.stop()
        if self._last is not None:
            width, height = self._console.size
            self._console.print(draw(self._last, width, height, self._said))

    def update(self, snapshot: Snapshot) -> None:

        self._last = snapshot
        width, height = self._console.size
        self._live.update(draw(snapshot, width, height, self._said), refresh=True)

    def say(self, text: str) -> None:
        if not self._live.is_started:
            say(f"aiohpo: {' '.join(text.split())}", err=True)
        self._said.append(" ".join(text.split()))
