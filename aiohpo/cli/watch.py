"""``aiohpo watch``: a search as it goes, from its run directory or from anywhere in its mesh."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

import click
from click.core import ParameterSource

from ..errors import UsageError
from .common import DEFAULT_TRANSPORT, DONE, check_directory, command, key_option, print_json
from .terminal import plain_console, say

if TYPE_CHECKING:
    import asyncio
    from contextlib import AbstractAsyncContextManager

    from ..keys import StudyKey
    from ..report.snapshot import Snapshot
    from ..report.sources import ProgressSource
    from ..report.tally import Tally

_LIVE_INTERVAL, _PLAIN_INTERVAL = 1.0, 10.0
_DESERTED_FOR = 3.0  # seconds without any worker after which there is nothing more to see


@command(
    "watch",
    example="""
aiohpo watch runs/train
aiohpo watch tcp://node1:5555 --key study.key
aiohpo watch runs/train --json --interval 10 | jq .study.ended
""",
)
@click.argument("target", metavar="DIR|ADDR")
@click.option("--join", multiple=True, metavar="ADDR", help="Further addresses to try if the first does not answer.")
@key_option
@click.option("--insecure", is_flag=True, help="The workers at ADDR were started with --insecure: there is no key.")
@click.option(
    "--transport", default=DEFAULT_TRANSPORT, show_default=True, metavar="T", help="The transport of the peers at ADDR."
)
@click.option("--once", is_flag=True, help="Print the current state and exit.")
@click.option("--json", "json_", is_flag=True, help="Print one JSON document per interval, each on a line.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.05),
    metavar="S",
    help=f"Seconds between updates; {_LIVE_INTERVAL:g}, or {_PLAIN_INTERVAL:g} for lines of text that go to a file.",
)
@click.pass_context
def watch(
    ctx: click.Context,
    target: str,
    join: tuple[str, ...],
    key: Path | None,
    insecure: bool,
    transport: str,
    once: bool,
    json_: bool,
    interval: float | None,
) -> int:
    """Show a search live: its workers, what each evaluates, how fast and how well it goes.

    DIR is a run directory; ADDR the address of any worker (tcp://host:port), or file:///dir where workers left
    theirs. By address it joins as a silent spectator: it records nothing, is not counted as a worker and does no harm
    when it leaves. An address needs the study's key (--key), which a directory holds. Ends with Ctrl-C, or when no
    worker is left.
    """
    import asyncio

    from ..report.sources import follow_directory, join_mesh

    show: WatchDisplay
    if json_:
        show = JsonLines()
    elif once:
        show = Page()
    elif sys.stdout.isatty():
        show = Screen()
    else:
        show = LogLines()
    if interval is None:
        interval = _PLAIN_INTERVAL if isinstance(show, LogLines) else _LIVE_INTERVAL
    if is_address(target, transport):
        found = key_for([target, *join], transport, key, insecure)
        opened = join_mesh([target, *join], transport, found, show.say, once)
    elif join or insecure or ctx.get_parameter_source("key") is ParameterSource.COMMANDLINE:
        raise click.UsageError(
            f"--join, --key and --insecure go with an address; {target!r} is a directory, which needs none of them"
        )
    else:
        check_directory(Path(target))
        opened = follow_directory(Path(target))
    asyncio.run(_watch(opened, show, interval, once))
    return DONE


def is_address(target: str, transport: str) -> bool:
    if "://" in target:
        return True
    host, colon, port = target.rpartition(":")
    if colon and host and port.isdecimal() and not Path(target).exists():
        from ..launch.addresses import transport_class

        form = transport_class(transport).address_form
        raise UsageError(f"there is no directory {target!r}; if it is a worker's address, write it as {form}")
    return False


def key_for(addresses: Sequence[str], transport: str, file: Path | None, insecure: bool) -> StudyKey | None:
    """The key of the mesh at ``addresses``; None if it has none. Raises ``UsageError`` where it is missing."""
    from ..keys import find_key, kept_key
    from ..launch.addresses import takes_key
    from ..launch.cards import directory_of, keeps_key

    if insecure and file is not None:
        raise click.UsageError("--insecure means that there is no key: give either --insecure or --key")
    if file is not None:
        return find_key(file)
    if insecure or not takes_key(transport):
        return None
    for address in addresses:
        place = directory_of(address)
        # Nothing that a group's peers could say to a spectator runs code here.
        if place is not None and (key := kept_key(keeps_key(place), share=True)) is not None:
            return key
    raise UsageError(
        f"watching {addresses[0]} needs its study's key: copy the key file of the first worker to this machine (there "
        "it is study.key in the run directory, or what --key named) and give it with --key FILE (AIOHPO_KEY); "
        "--insecure if those workers were started with it"
    )


# --------------------------------------------------------------------------------------------- watching
async def _watch(
    opened: AbstractAsyncContextManager[ProgressSource], show: WatchDisplay, interval: float, once: bool
) -> None:
    import asyncio

    from ..report.tally import Tally

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


async def _keep_looking(tally: Tally, show: WatchDisplay, interval: float, once: bool, stop: asyncio.Event) -> None:
    import asyncio

    loop = asyncio.get_running_loop()
    deserted: float | None = None
    told = False
    due = loop.time()
    while True:
        snapshot = tally.look(time.time())
        show.update(snapshot)
        if snapshot.skipped and not told:
            told = True
            show.say(snapshot.skipped)
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
class WatchDisplay(Protocol):
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


class LogLines(_Plain):
    """One line of text per look, for logs."""

    def update(self, snapshot: Snapshot) -> None:
        from ..report.plain import as_line

        say(as_line(snapshot))


class Page(_Plain):
    """Everything once, one screen wide and as long as it takes."""

    def update(self, snapshot: Snapshot) -> None:
        from ..report.screen import draw

        console = plain_console(None if sys.stdout.isatty() else 160)
        console.print(draw(snapshot, console.width, None))


class Screen:
    """A screen of its own that is drawn again and again; what was last seen stays when it is closed."""

    def __init__(self) -> None:
        from rich.live import Live

        from ..report.screen import draw

        self._draw = draw
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
            self._console.print(self._draw(self._last, width, height, self._said))

    def update(self, snapshot: Snapshot) -> None:
        self._last = snapshot
        width, height = self._console.size
        self._live.update(self._draw(snapshot, width, height, self._said), refresh=True)

    def say(self, text: str) -> None:
        if not self._live.is_started:
            say(f"aiohpo: {' '.join(text.split())}", err=True)
        self._said.append(" ".join(text.split()))
