"""The dashboard's server in a thread of the test, so that it can be stopped and started again at its address."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from aiohttp import web

from aiohpo.web.access import Access
from aiohpo.web.actions import Door
from aiohpo.web.runs import DirectoryRuns
from aiohpo.web.server import Dashboard

TOKEN = "a-token-of-the-test"


class Served:
    """Shows a directory at :attr:`url`; :meth:`stop` and :meth:`start` restart it at the same address."""

    def __init__(self) -> None:
        self.port = 0
        self._path: Path | None = None
        self._runner: web.AppRunner | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The address of the page, with its token."""
        return f"http://127.0.0.1:{self.port}/?token={TOKEN}"

    def start(self, path: Path | None = None, token: str = TOKEN) -> str:
        """Serve ``path``, or what was served before; return the address."""
        self._path = path or self._path
        self._do(self._start(token))
        return self.url

    async def _start(self, token: str) -> None:
        assert self._path is not None
        dashboard = Dashboard(
            DirectoryRuns(self._path), Access("127.0.0.1", token), lambda run: Door(run.source.directory)
        )
        self._runner = web.AppRunner(dashboard.app(), access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    def halt(self) -> None:
        """End the server, as Ctrl-C does."""
        if self._runner is not None:
            self._do(self._runner.cleanup())
            self._runner = None

    def stop(self) -> None:
        """End the server and its thread."""
        self.halt()
        self._do(_cancel_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(60)


async def _cancel_others() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
