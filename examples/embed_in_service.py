"""A web service that tunes: the search runs inside the service's own event loop, which stays free to answer.

    pip install aiohttp
    python examples/embed_in_service.py --port 8080

    curl -X POST 'http://127.0.0.1:8080/search?trials=40'   # start a search (and later: go on with 40 more)
    curl -N http://127.0.0.1:8080/events                    # each trial as it ends, as server-sent events
    curl http://127.0.0.1:8080/best                         # the best configuration so far, as JSON
    curl -X DELETE http://127.0.0.1:8080/search             # stop

or open http://127.0.0.1:8080/ and watch. ``--once`` does all that by itself, as a client of its own, and ends. With
``--dir`` the service remembers its trials when it is started again.

The objective is an ordinary function, so it runs in a process of its own (the default), and the searcher learns in a
thread; what is left for the loop is microseconds to milliseconds at a time.
"""

import argparse
import asyncio
import json
import tempfile
from contextlib import suppress

from aiohttp import ClientSession, web
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

import aiohpo
from aiohpo import Categorical, Float, Int, Space

space = Space(
    components=Int(4, 64, log=True),
    kernel=Categorical(["rbf", "poly"]),
    C=Float(1e-2, 1e3, log=True),
    gamma=Float(1e-5, 1e-1, log=True),
    degree=Int(2, 4, when={"kernel": "poly"}),
)


def train(trial):
    """Return the accuracy of a support vector machine on a part of the digits."""
    X, y = load_digits(return_X_y=True)
    model = SVC(C=trial["C"], gamma=trial["gamma"], kernel=trial["kernel"], degree=trial.config.get("degree", 3))
    pipeline = make_pipeline(PCA(trial["components"], random_state=0), model)
    return cross_val_score(pipeline, X[:600], y[:600], cv=3).mean()


class Tuner:
    """A study, the search that may be running, and its listeners."""

    def __init__(self, directory):
        self.study = aiohpo.Study(train, space, metric="accuracy", mode="max", directory=directory, seed=0)
        self.known = {trial.id for trial in self.study.result.trials}
        self.best = self.study.result.best
        self._search = self._worker = None
        self._listeners = set()

    @property
    def running(self):
        """Whether a search is going on."""
        return self._search is not None and not self._search.done()

    def start(self, trials):
        """Search for ``trials`` more trials, in the background."""
        self._worker = aiohpo.Worker(self.study, trials=len(self.known) + trials)
        self._search = asyncio.create_task(self._run())

    async def _run(self):
        try:
            async with self._worker as worker:
                async for trial in worker:  # those of earlier searches first
                    if trial.id not in self.known:
                        self.known.add(trial.id)
                        self.best = worker.best
                        self._tell({"trial": trial.number, "value": trial.value, "config": trial.config})
        finally:
            self._tell(None)

    async def stop(self):
        """End the search in good order; what was found stays."""
        if self.running:
            self._worker.stop()
            await self._search

    async def events(self):
        """Yield what happens from now on, until the search is over."""
        queue = asyncio.Queue()
        self._listeners.add(queue)
        try:
            while self.running and (event := await queue.get()) is not None:
                yield event
        finally:
            self._listeners.discard(queue)

    def _tell(self, event):
        for queue in self._listeners:
            queue.put_nowait(event)


# -------------------------------------------------------------------------------------------------------- the service
TUNER = web.AppKey("tuner", Tuner)
routes = web.RouteTableDef()


@routes.post("/search")
async def start(request):
    """Start a search, unless one is running."""
    tuner = request.app[TUNER]
    trials = request.query.get("trials", "30")
    if not trials.isdecimal() or not 0 < int(trials) <= 100_000:
        raise web.HTTPBadRequest(text=f"trials must be a number from 1 to 100000, not {trials!r}\n")
    if tuner.running:
        raise web.HTTPConflict(text="a search is running; DELETE /search ends it\n")
    tuner.start(int(trials))
    return web.json_response({"started": int(trials)}, status=202)


@routes.delete("/search")
async def stop(request):
    """Stop the search."""
    await request.app[TUNER].stop()
    return web.json_response({"stopped": True})


@routes.get("/best")
async def best(request):
    """The best configuration so far."""
    tuner = request.app[TUNER]
    found = tuner.best
    return web.json_response(
        {
            "running": tuner.running,
            "trials": len(tuner.known),
            "best": found and {"trial": found.number, "value": found.value, "config": found.config},
        }
    )


@routes.get("/events")
async def events(request):
    """Stream trials as they end (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    with suppress(ConnectionResetError):  # the listener went away, which is its good right
        async for event in request.app[TUNER].events():
            await response.write(f"event: trial\ndata: {json.dumps(event)}\n\n".encode())
        await response.write(b"event: end\ndata: {}\n\n")
    return response


@routes.get("/")
async def page(request):
    """A page that shows the search."""
    return web.Response(text=PAGE, content_type="text/html")


def make_app(directory):
    """Put the service together; ``directory`` is where the study is kept."""
    app = web.Application()
    app.add_routes(routes)
    app[TUNER] = Tuner(directory)

    async def stop_search(app):
        await app[TUNER].stop()

    app.on_shutdown.append(stop_search)
    return app


PAGE = """<!doctype html><title>aiohpo</title><body style="font: 14px sans-serif; margin: 2em">
<button onclick="go()">search</button> <b id="best"></b> <pre id="log"></pre>
<script>
async function go() {
  await fetch("/search?trials=30", {method: "POST"});
  const events = new EventSource("/events"), log = document.getElementById("log");
  events.addEventListener("trial", async event => {
    const {trial, value, config} = JSON.parse(event.data);
    log.prepend(`${trial}  ${value?.toFixed(4)}  ${JSON.stringify(config)}\\n`);
    const {best} = await (await fetch("/best")).json();
    document.getElementById("best").textContent = `best ${best.value.toFixed(4)}`;
  });
  events.addEventListener("end", () => events.close());
}
</script>"""


# ------------------------------------------------------------------------------------------------------- running it
async def serve(host, port, directory, once):
    """Serve until Ctrl-C; or, with ``once`` a number of trials, until they are done."""
    runner = web.AppRunner(make_app(directory))
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        url = f"http://{host}:{runner.addresses[0][1]}"
        print(f"serving on {url}", flush=True)
        if once is None:
            await asyncio.Event().wait()
        await watch(url, once)
    finally:
        await runner.cleanup()


async def watch(url, trials):
    """Use the service as a client would."""
    async with ClientSession() as client:
        print(await (await client.post(f"{url}/search", params={"trials": trials})).json())
        best = 0.0
        async with client.get(f"{url}/events") as response:
            async for line in response.content:
                if line.startswith(b'data: {"'):
                    trial = json.loads(line.removeprefix(b"data: "))
                    if trial["value"] is not None and trial["value"] > best:
                        best = trial["value"]
                        print(f"trial {trial['trial']:>3}: accuracy {best:.4f} with {trial['config']}")
        print(json.dumps(await (await client.get(f"{url}/best")).json(), indent=2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A web service that tunes.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--dir", help="where to keep the trials; forgotten at the end if not given")
    parser.add_argument("--once", type=int, metavar="TRIALS", help="search, print what a client sees, and end")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, suppress(KeyboardInterrupt):
        port = 0 if options.once else options.port
        asyncio.run(serve(options.host, port, options.dir or scratch, options.once))
