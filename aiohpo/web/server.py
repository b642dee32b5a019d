"""The server of the page: its files, what they ask for, and the stream of what changes.

Everything is read-only but two requests, which need a header that names what is to happen. See
:mod:`aiohpo.web.access` for who is let in, :mod:`aiohpo.web.data.feed` for what is sent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from importlib.resources.abc import Traversable
from typing import Any

from aiohttp import web

from ..errors import AiohpoError, UsageError
from ..result import path_of_file
from ..storage.blob_store import DirectoryBlobs
from .access import CONFIRM, HEADERS, Access
from .actions import Door, end_search, retry_failed
from .assets import page_files
from .data.activity import activity
from .data.columns import to_json
from .data.curves import curves
from .data.feed import Feed
from .data.findings import compared, ensemble, importance
from .data.timeline import timeline
from .data.trial_page import failures, trial_page, with_output, with_outputs
from .runs import OpenRun, Runs

_logger = logging.getLogger(__name__)
_KEEP_AWAKE = 15.0  # seconds without news after which a stream says that it is still there
_MOST_RETRIED = 100_000
_TYPES = {
    ".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".txt": "text/plain",
    ".md": "text/plain", ".json": "application/json", ".png": "image/png", ".ico": "image/x-icon",
}  # fmt: skip
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Dashboard:
    """Serves ``runs`` to those whom ``access`` lets in. ``door`` says where the workers of a run are met."""

    def __init__(self, runs: Runs, access: Access, door: Callable[[OpenRun], Door]) -> None:
        self.runs = runs
        self.access = access
        self._door = door
        self._ending = asyncio.Event()
        self._acting = asyncio.Lock()

    def app(self) -> web.Application:
        """The application, for a runner or a test."""
        app = web.Application(middlewares=[self._guard], client_max_size=1 << 22)
        routes: list[tuple[str, _Handler]] = [
            ("/api/runs", self._list),
            ("/api/runs/{run}/state", self._state),
            ("/api/runs/{run}/events", self._events),
            ("/api/runs/{run}/curves", self._answer(lambda feed, request: curves(feed, request.query.get("metric")))),
            ("/api/runs/{run}/timeline", self._answer(_timeline)),
            ("/api/runs/{run}/activity", self._answer(lambda feed, _: activity(feed))),
            ("/api/runs/{run}/failures", self._failures),
            ("/api/runs/{run}/importance", self._importance),
            ("/api/runs/{run}/ensemble", self._ensemble),
            ("/api/runs/{run}/trials/{trial}", self._trial),
            ("/api/runs/{run}/trials/{trial}/files/{name}", self._trial_file),
            ("/{file:.*}", self._file),
        ]
        app.add_routes([web.get(path, handler) for path, handler in routes])
        app.add_routes([web.post("/api/runs/{run}/stop", self._stop), web.post("/api/runs/{run}/retry", self._retry)])
        app.on_shutdown.append(self._shut)
        return app

    async def _shut(self, _: web.Application) -> None:
        self._ending.set()
        self.runs.close()

    # ------------------------------------------------------------------------------------------ letting in
    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            response = await self._admit(request, handler)
        except web.HTTPException as error:
            response = _failed(error.status, error.reason)
        except KeyError as error:
            response = _failed(404, str(error.args[0]) if error.args else "not found")
        except AiohpoError as error:
            response = _failed(409, " ".join(str(error).split()))
        except Exception:
            _logger.exception("%s could not be answered", request.path)
            response = _failed(500, "this is a fault of aiohpo: its terminal says more; please report it")
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    async def _admit(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        if not self.access.knows(request.headers.get("Host")):
            return _failed(
                403, "the server does not answer to this address: open the one that 'aiohpo dashboard' printed"
            )
        inner = request.path.startswith("/api/") or request.path in ("/", "/index.html")
        if inner and not self.access.admits(request.headers.get("Authorization"), request.query.get("token")):
            text = "the token is missing or wrong: open the whole address that 'aiohpo dashboard' printed"
            return _failed(403, text) if request.path.startswith("/api/") else web.Response(status=403, text=text)
        return await handler(request)

    # ----------------------------------------------------------------------------------------- answering
    async def _file(self, request: web.Request) -> web.StreamResponse:
        found: Traversable = page_files()
        parts = [part for part in request.match_info["file"].split("/") if part] or ["index.html"]
        for part in parts:
            if part.startswith(".") or "\\" in part or not found.is_dir():
                raise web.HTTPNotFound
            found = found / part
        suffix = "." + parts[-1].rpartition(".")[2]
        if suffix not in _TYPES or not found.is_file():
            raise web.HTTPNotFound
        body = await asyncio.to_thread(found.read_bytes)
        kept = "private, max-age=3600" if parts[0] == "vendor" else "no-cache"
        return web.Response(body=body, content_type=_TYPES[suffix], charset="utf-8", headers={"Cache-Control": kept})

    async def _list(self, request: web.Request) -> web.StreamResponse:
        return _json({"runs": await self.runs.entries(), "folder": self.runs.is_folder, "title": self.runs.title})

    async def _open(self, request: web.Request) -> OpenRun:
        id = request.match_info["run"]
        try:
            return await self.runs.open(id)
        except KeyError:
            raise KeyError(f"there is no run {id!r}") from None

    def _answer(self, question: Callable[[Feed, web.Request], Any]) -> _Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            run = await self._open(request)
            return _sent(await run.ask(lambda feed: to_json(question(feed, request))))

        return answer

    async def _failures(self, request: web.Request) -> web.StreamResponse:
        run = await self._open(request)
        found = await run.ask(failures)
        return _json(await asyncio.to_thread(with_outputs, found, run.source.directory))

    async def _trial(self, request: web.Request) -> web.StreamResponse:
        run = await self._open(request)
        page = await run.ask(lambda feed: trial_page(feed, feed.row_of(request.match_info["trial"])))
        return _json(await asyncio.to_thread(with_output, page, run.source.directory))

    async def _trial_file(self, request: web.Request) -> web.StreamResponse:
        """A file of a trial, to be saved: what is in it is a stranger's, so no browser is to show it."""
        run = await self._open(request)
        record = await run.ask(lambda feed: feed.view.record(feed.row_of(request.match_info["trial"])))
        directory = run.source.directory
        blobs = None if directory is None else DirectoryBlobs(directory / "blobs")
        path = await asyncio.to_thread(path_of_file, record, request.match_info["name"], blobs)
        headers = {"Content-Disposition": f'attachment; filename="{request.match_info["name"]}"'}
        return web.FileResponse(path, headers={**headers, "Content-Type": "application/octet-stream"})

    async def _importance(self, request: web.Request) -> web.StreamResponse:
        run = await self._open(request)
        records, n = await run.ask(compared)
        return _json(await asyncio.to_thread(importance, run.source.view, records, n))

    async def _ensemble(self, request: web.Request) -> web.StreamResponse:
        source = (await self._open(request)).source
        return _json(await asyncio.to_thread(ensemble, source.directory, source.ensemble(), source.study))

    async def _state(self, request: web.Request) -> web.StreamResponse:
        run = await self._open(request)
        briefly = request.query.get("summary") == "1"  # a comparison of runs needs no trials
        return _sent(await run.ask(lambda feed: to_json(feed.since(None) | ({"trials": None} if briefly else {}))))

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Send what changes, from where the reader says that it is."""
        run = await self._open(request)
        known = request.headers.get("Last-Event-ID") or request.query.get("after")
        response = web.StreamResponse(headers={**HEADERS, "Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        response.content_type = "text/event-stream"
        await response.prepare(request)
        await response.write(b"retry: 2000\n\n")
        ending = asyncio.create_task(self._ending.wait())
        run.readers += 1
        try:
            while not self._ending.is_set():
                news = run.news()
                if run.failure is not None:
                    await response.write(b"event: failure\ndata: " + to_json({"error": run.failure}) + b"\n\n")
                    break
                delta, any_ = await run.tell(known)
                if any_:
                    known = delta["id"]
                    await response.write(f"id: {known}\nevent: news\ndata: ".encode() + to_json(delta) + b"\n\n")
                waiting = asyncio.create_task(news.wait())
                try:
                    done, _ = await asyncio.wait(
                        (waiting, ending), timeout=_KEEP_AWAKE, return_when=asyncio.FIRST_COMPLETED
                    )
                finally:
                    waiting.cancel()
                if not done:
                    await response.write(b": still here\n\n")
        except ConnectionResetError:
            pass  # the reader went away
        finally:
            run.readers -= 1
            ending.cancel()
        return response

    # -------------------------------------------------------------------------------------------- acting
    async def _stop(self, request: web.Request) -> web.StreamResponse:
        run = await self._confirmed(request, "stop")
        async with self._acting:
            return _json(await end_search(self._door(run)))

    async def _retry(self, request: web.Request) -> web.StreamResponse:
        run = await self._confirmed(request, "retry")
        async with self._acting:
            return _json(await retry_failed(self._door(run), await _named(request), run.source.name))

    async def _confirmed(self, request: web.Request, what: str) -> OpenRun:
        if request.headers.get(CONFIRM) != what:
            raise web.HTTPPreconditionRequired(reason=f"this takes the header '{CONFIRM}: {what}'")
        return await self._open(request)


async def _named(request: web.Request) -> list[str]:
    """The trials that a request names."""
    wrong = UsageError('a retry names its trials as {"trials": ["ID", ...]}; without it, all failed trials are retried')
    try:
        given = await request.json() if request.can_read_body else {}
    except ValueError:
        raise wrong from None
    names = (given.get("trials") or []) if isinstance(given, dict) else given
    if not isinstance(names, list) or len(names) > _MOST_RETRIED or not all(isinstance(name, str) for name in names):
        raise wrong
    return names


def _timeline(feed: Feed, request: web.Request) -> dict[str, Any]:
    return timeline(feed, _number(request, "from"), _number(request, "to"))


def _number(request: web.Request, name: str) -> float | None:
    text = request.query.get(name)
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if number - number != 0:
        raise UsageError(f"{name}={text!r:.40} is not a number of seconds")
    return number


def _sent(body: bytes, status: int = 200) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


def _json(value: Any, status: int = 200) -> web.Response:
    return _sent(to_json(value), status)


def _failed(status: int, text: str) -> web.Response:
    return _json({"error": text}, status)
