"""``aiohpo dashboard``: a search, or a folder of them, as a live page in the browser."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import UsageError
from .common import DEFAULT_TRANSPORT, DONE, check_directory, command, key_option
from .terminal import say
from .watch import is_address, key_for

if TYPE_CHECKING:
    from ..keys import StudyKey
    from ..web.access import Access
    from ..web.actions import Door
    from ..web.runs import OpenRun, Runs

    _Opened = Callable[[AsyncExitStack], Awaitable[tuple[Runs, Door]]]

PORT = 8787


@command(
    "dashboard",
    example="""
aiohpo dashboard runs/train
aiohpo dashboard runs --port 9000
aiohpo dashboard tcp://node1:5555 --key study.key
""",
)
@click.argument("target", metavar="DIR|ADDR")
@click.option("--bind", default="127.0.0.1", show_default=True, metavar="HOST", help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    help=f"The port; 0: any free port. Default: {PORT}, or any free port if that is in use.",
)
@click.option("--browser/--no-browser", default=None, help="Open the page in a browser. Default: only on a desktop.")
@click.option("--join", multiple=True, metavar="ADDR", help="Further addresses to try if the first does not answer.")
@key_option
@click.option("--insecure", is_flag=True, help="The workers at ADDR were started with --insecure: there is no key.")
@click.option(
    "--transport", default=DEFAULT_TRANSPORT, show_default=True, metavar="T", help="The transport of the peers at ADDR."
)
def dashboard(
    target: str,
    bind: str,
    port: int | None,
    browser: bool | None,
    join: tuple[str, ...],
    key: Path | None,
    insecure: bool,
    transport: str,
) -> int:
    """Show a search live in the browser: its workers, what each evaluates, every trial and curve.

    DIR is a run directory, or a folder with run directories to choose from; ADDR the address of any worker, which is
    watched as by "aiohpo watch". The page is read-only, but for two buttons: end the search, and retry failed trials.
    It is served to this machine alone unless --bind says otherwise, and only to those who have the address that is
    printed: the token in it is made anew each time. Ends with Ctrl-C.
    """
    import asyncio

    check_aiohttp()
    from ..keys import find_key
    from ..web.access import Access

    access = Access(bind)
    if is_address(target, transport):
        found = key_for([target, *join], transport, key, insecure)
        opened: _Opened = partial(_join, [target, *join], transport, found)
    elif join or insecure:
        raise click.UsageError(
            f"--join and --insecure go with an address; {target!r} is a directory, which needs neither"
        )
    else:
        path = Path(target)
        if not any(path.glob("*/study.json")):
            check_directory(path)
        opened = partial(_follow, path, None if key is None else find_key(key))
    if browser is None:
        browser = _has_desktop()
    asyncio.run(_serve(opened, access, port, browser))
    return DONE


def check_aiohttp() -> None:
    """Raise ``UsageError`` where the extra is not installed."""
    try:
        import aiohttp  # noqa: F401  # whether it is there
    except ImportError:
        raise UsageError("the dashboard needs aiohttp: pip install 'aiohpo[dashboard]'") from None


async def _follow(path: Path, key: StudyKey | None, _: AsyncExitStack) -> tuple[Runs, Door]:
    from ..web.actions import Door
    from ..web.runs import DirectoryRuns

    return DirectoryRuns(path), Door(key=key)


async def _join(addresses: list[str], transport: str, key: StudyKey | None, stack: AsyncExitStack) -> tuple[Runs, Door]:
    from ..report.sources import join_mesh
    from ..web.actions import Door
    from ..web.runs import MeshRun

    def notice(text: str) -> None:
        say(f"aiohpo: {' '.join(text.split())}", err=True)

    source = await stack.enter_async_context(join_mesh(addresses, transport, key, notice, once=False))
    return MeshRun(source, addresses[0]), Door(addresses=addresses, transport=transport, key=key)


async def _serve(opened: _Opened, access: Access, port: int | None, browser: bool) -> None:
    import asyncio

    from aiohttp import web

    from ..web.server import Dashboard

    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    task = asyncio.current_task()
    assert task is not None
    serving = False

    def interrupt() -> None:
        stop.set()
        if not serving:
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    async with AsyncExitStack() as stack:
        runs, door = await opened(stack)

        def door_of(run: OpenRun) -> Door:
            return replace(door, directory=run.source.directory)

        runner = web.AppRunner(Dashboard(runs, access, door_of).app(), access_log=None, shutdown_timeout=2.0)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        bound = await _listen(runner, access.host, port)
        serving = True
        url = address_of(access, bound)
        say(f"dashboard of {runs.title}: {url}")
        if not access.is_local:
            say(
                "aiohpo: anyone who has this address can see the search and end it; the connection is not encrypted",
                err=True,
            )
        reading = asyncio.create_task(runs.prepare())
        stack.callback(reading.cancel)
        if browser:
            import webbrowser

            await asyncio.to_thread(webbrowser.open, url)
        await stop.wait()


async def _listen(runner: object, host: str, port: int | None) -> int:
    """Listen, and return the port. Raises ``UsageError`` where that is not possible."""
    from aiohttp import web

    assert isinstance(runner, web.AppRunner)
    for wanted in (PORT, 0) if port is None else (port,):
        site = web.TCPSite(runner, host.strip("[]"), wanted)
        try:
            await site.start()
        except OSError as error:
            if port is None and wanted:
                continue
            why = error.strerror or str(error)
            raise UsageError(
                f"cannot listen on {host} port {wanted}: {why}; choose another port with --port (0: any that is free), "
                "or another address with --bind"
            ) from None
        return int(runner.addresses[0][1])
    raise AssertionError


def address_of(access: Access, port: int) -> str:
    """The address of the page, with its token."""
    import socket

    host = access.host
    if host in ("0.0.0.0", "::", "[::]"):
        host = socket.gethostname()
    elif ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return f"http://{host}:{port}/?token={access.token}"


def _has_desktop() -> bool:
    """Whether a browser that is opened here appears before the person who typed the command."""
    import sys

    if not sys.stdout.isatty() or "SSH_CONNECTION" in os.environ:
        return False
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
