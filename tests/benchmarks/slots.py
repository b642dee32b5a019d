"""A worker of many slots: how busy it keeps them, what it finds and what it costs, beside others with as many threads.

    python tests/benchmarks/slots.py [--quick]

1. 1,000 evaluations of N(1 s, .25 s) at a time for 30 s, Ackley-10: aiohpo with adbo, tpe and random; DeepHyper's CBO
   with 1,000 threads, as in its documentation's example of this problem; Optuna's TPE with ``n_jobs=1000``. *busy* is
   the time that evaluations ran until the end, those that it cut off included, divided by slots times duration; *done*
   is completed evaluations times their mean duration, divided by the same.
2. Trials per second of CPU with an objective that does nothing: 256 slots beside one.
3. How late the loop of a service is that searches with 200 slots and answers requests meanwhile, from before the worker
   is made, when nothing that the search needs is imported, until after it has left. How long its thread computes in
   one go depends least on what else the machine does; the most is a garbage collection.
4. Memory of 16 process slots whose objective's module holds 200 MB, beside one: that of the worker is there once.
5. Whether suggestions made together crowd: distances to the nearest simultaneous suggestion where one fit answers
   all of them, where the model is fitted anew for each, and of random search; and how many are repeated.

Each measurement has a process of its own. DeepHyper is installed into an environment in the user's cache directory the
first time; where that is not possible it is left out, and it is said why. The share of the machine that others take
shows in the first line: rates by the clock are those of the machine only where it is small.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import random
import resource
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import aiohpo
from aiohpo import Float

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parent))

from support.thread_peers import BOUND, DIMENSIONS, ackley  # noqa: E402

DEEPHYPER = "deephyper==0.13.2"
NAMES = [f"x{i}" for i in range(DIMENSIONS)]
# A search begins with the defaults, else with the middle of the space: here that would be the minimum.
SPACE = aiohpo.Space({name: Float(-BOUND, BOUND, default=0.6 * BOUND) for name in NAMES})
MEAN, DEVIATION = 1.0, 0.25
SERVICE = {
    "late": "the loop is late by",
    "answer": "a request is answered in",
    "held": "its thread computes in one go for (CPU)",
}


def value(trial: aiohpo.Trial) -> float:
    return ackley([trial[name] for name in NAMES])


def resources() -> dict[str, float]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {"cpu": usage.ru_utime + usage.ru_stime, "rss": usage.ru_maxrss / 1024}


# ------------------------------------------------------------------------------------------- what a child measures
def fill(searcher: str, slots: int, seconds: float) -> dict[str, float]:
    """Search with so many slots for so long."""
    if searcher != "random":
        sys.modules["pandas"] = None  # type: ignore[assignment]  # no dependency, but scikit-learn loads it where it is
        sys.modules["pyarrow"] = None  # type: ignore[assignment]
    rng = random.Random(42)
    end = math.inf
    busy, done = 0.0, [math.inf]

    async def objective(trial: aiohpo.Trial) -> float:
        nonlocal busy
        began = time.perf_counter()
        try:
            await asyncio.sleep(max(rng.gauss(MEAN, DEVIATION), 0.0))
        finally:
            ended = time.perf_counter()
            busy += max(min(ended, end) - began, 0.0)
        found = value(trial)
        if ended <= end:
            done.append(found)
        return found

    async def search() -> None:
        nonlocal end
        end = time.perf_counter() + seconds
        await study.arun(time=seconds, slots=slots, grace=0.0)

    study = aiohpo.Study(objective, SPACE, searcher=searcher, seed=42)
    study.ask()  # imports what the searcher needs, as the others have imported theirs when their clock starts
    study = aiohpo.Study(objective, SPACE, searcher=searcher, seed=42)
    asyncio.run(search())
    return {"completed": len(done) - 1, "busy": busy / (slots * seconds), "best": min(done), **resources()}


def idle(slots: int, trials: int) -> dict[str, float]:
    """Run trials that do nothing."""

    async def objective(trial: aiohpo.Trial) -> float:
        return trial["x0"]

    study = aiohpo.Study(objective, SPACE, searcher="random", seed=0)
    began = time.process_time()
    asyncio.run(study.arun(trials, slots=slots))
    return {"rate": trials / (time.process_time() - began)}


def serve(searcher: str, slots: int, seconds: float) -> dict[str, float]:
    """Search within a service that is asked for the best trial a hundred times a second; nothing is imported before."""
    from aiohttp import web
    from aiohttp.test_utils import TestClient, TestServer

    late: list[float] = []
    answers: list[float] = []
    held: list[float] = []

    class Selector(selectors.DefaultSelector):
        """Notes how long the loop's thread has computed since it looked for events last."""

        since = time.thread_time()

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            held.append(time.thread_time() - self.since)
            found = super().select(timeout)
            self.since = time.thread_time()
            return found

    async def objective(trial: aiohpo.Trial) -> float:
        await asyncio.sleep(max(random.gauss(MEAN, DEVIATION), 0.0))
        return value(trial)

    async def tick() -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + 0.001
            await asyncio.sleep(0.001)
            late.append(loop.time() - due)

    async def main() -> None:
        study = aiohpo.Study(objective, SPACE, searcher=searcher, seed=0)
        async with aiohpo.Worker(study, slots=slots, time=seconds, grace=0.0) as worker:

            async def best(request: web.Request) -> web.Response:
                found = worker.best
                return web.json_response(found and {"value": found.value, "config": found.config})

            async def ask(client: TestClient) -> None:
                while True:
                    began = time.perf_counter()
                    await (await client.get("/best")).json()
                    answers.append(time.perf_counter() - began)
                    await asyncio.sleep(0.01)

            app = web.Application()
            app.router.add_get("/best", best)
            async with TestClient(TestServer(app)) as client, asyncio.TaskGroup() as group:
                asking = group.create_task(ask(client))
                async for _ in worker:
                    pass
                asking.cancel()

    async def watched() -> None:
        ticking = asyncio.create_task(tick())
        await asyncio.sleep(0.01)
        held.clear()
        await main()
        await asyncio.sleep(0.01)
        ticking.cancel()

    _ = aiohpo.Study, aiohpo.Worker  # imports that a program does when it begins
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(Selector())) as runner:
        runner.run(watched())
    found = {}
    for kind, seconds_of in (("late", late), ("answer", answers), ("held", held)):
        for name, at in (("p50", 50), ("p99", 99), ("max", 100)):
            found[f"{kind} {name}"] = 1e3 * float(np.percentile(seconds_of, at))
    return found


def spread(batch: int, seed: int) -> dict[str, list[float]]:
    """Ask adbo for many suggestions in two ways, and random once; return distances to the nearest of the others."""
    from aiohpo.plugin import Identity
    from aiohpo.plugin.registry import create
    from aiohpo.testing import StaticView

    rng = np.random.default_rng(seed)

    def loss(rows: np.ndarray) -> np.ndarray:
        return np.array([ackley([config[name] for name in NAMES]) for config in SPACE.decode(rows)])

    def made(identity: Identity):
        searcher = create("searchers", "adbo")
        searcher.setup(SPACE, seed, identity)
        return searcher

    rows = SPACE.sample(rng, 200)
    searcher = made(Identity("w", 0, batch, slots=batch))
    slots = list(range(batch))
    for _ in range(12):
        view = StaticView(SPACE, rows, loss(rows))
        searcher.adopt(searcher.fit(view.observations()))
        rows = np.concatenate([rows, SPACE.encode(searcher.ask(view, rng, slots))])
    losses = loss(rows)
    view = StaticView(SPACE, rows, losses)
    searcher.adopt(searcher.fit(view.observations()))
    together = SPACE.encode(searcher.ask(view, rng, slots))
    # While a fit is outdated: four times, the earlier ones running.
    outdated = together
    for _ in range(3):
        view = StaticView(SPACE, rows, losses, pending=outdated)
        outdated = np.concatenate([outdated, SPACE.encode(searcher.ask(view, rng, slots))])
    apart = np.empty((0, DIMENSIONS))
    for slot in slots:
        view = StaticView(SPACE, rows, losses, pending=apart)
        searcher.adopt(searcher.fit(view.observations()))
        apart = np.concatenate([apart, SPACE.encode(searcher.ask(view, rng, [slot]))])

    def nearest(X: np.ndarray) -> list[float]:
        square = ((X[:, None] - X[None]) ** 2).mean(axis=2)
        np.fill_diagonal(square, np.inf)
        return np.sqrt(square.min(axis=1)).tolist()

    found = {"together": nearest(together), "outdated": nearest(outdated[-batch:]), "apart": nearest(apart)}
    return found | {"random": nearest(SPACE.sample(rng, batch)), "all outdated": nearest(outdated)}


# --------------------------------------------------------------------------------------------- what is measured how
def child(command: list[str], timeout: float) -> dict[str, float]:
    """Return what a process prints as JSON on its last line."""
    with tempfile.TemporaryDirectory(prefix="aiohpo-bench-") as scratch:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=scratch,
            env=os.environ | {"AIOHPO_BENCH_SCRATCH": scratch},
        )
    if done.returncode:
        raise RuntimeError(f"{command[1:]} failed:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def ours(name: str, *arguments: object, timeout: float = 300.0) -> dict[str, float]:
    return child([sys.executable, str(HERE), "--child", name, *map(str, arguments)], timeout)


def deephyper_python() -> str:
    """Return the interpreter of an environment with DeepHyper, made the first time. Raises ``OSError``."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = cache / "aiohpo-benchmarks" / DEEPHYPER.replace("==", "-")
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        print(f"installing {DEEPHYPER} into {home} …", flush=True)
        for command in ([sys.executable, "-m", "venv", str(home)], [str(python), "-m", "pip", "install", DEEPHYPER]):
            try:
                subprocess.run(command, check=True, capture_output=True, text=True, timeout=900)
            except (subprocess.SubprocessError, OSError) as error:
                last = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[-1:]
                raise OSError(f"{DEEPHYPER} cannot be installed: {' '.join(last)}") from None
        (home / "ready").touch()
    return str(python)


def optuna_python() -> str:
    import optuna as _  # noqa: F401

    return sys.executable


def memory(pid: int) -> float:
    """Return the memory of a process in MB, less what it shares with others (Linux); 0 if it has ended."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_")) / 1024


def children_of(pid: int) -> list[int]:
    """Return the child processes of a process (Linux)."""
    try:
        return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in _words(task / "children")]
    except OSError:
        return []


def _words(file: Path) -> list[str]:
    return file.read_text().split()


def descendants_of(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that these have, and so on."""
    found = children_of(pid)
    return found + [further for child in found for further in descendants_of(child)]


DATA_MB = 200
PROCESS_STUDY = f"""
import time
import numpy as np
import aiohpo

DATA = np.ones({DATA_MB * 125_000})

def objective(trial):
    time.sleep(0.5)
    return trial["x"] + DATA[0]

study = aiohpo.Study(objective, aiohpo.Space(x=aiohpo.Float(0, 1)), searcher="adbo")
"""


def process_slots(slots: int) -> tuple[float, float, float]:
    """Return the memory in MB of a worker whose process slots are all busy, that of what belongs to each slot, and that
    of all processes together."""
    with tempfile.TemporaryDirectory(prefix="aiohpo-bench-") as scratch:
        (Path(scratch) / "big.py").write_text(PROCESS_STUDY)
        command = [sys.executable, "-m", "aiohpo", "run", "big.py", "--time", "10m", "--workers", "1"]
        running = subprocess.Popen(
            [*command, "--slots", str(slots), "--dir", "run"],
            cwd=scratch,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            most, deadline, settled = 0.0, time.monotonic() + 300.0, 0
            while settled < 10:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"the memory of {slots} process slots does not settle: {most:.0f} MB so far")
                time.sleep(1.0)
                below = [process for child in children_of(running.pid) for process in descendants_of(child)]
                now = sum(map(memory, below))
                loaded = sum(memory(process) > DATA_MB for process in below)
                settled = settled + 1 if loaded == slots and now <= 1.02 * most else 0
                most = max(most, now)
            [worker] = children_of(running.pid)
            own = memory(worker)
            return own, now / slots, memory(running.pid) + own + now
        finally:
            running.terminate()
            running.wait(60)


def others_share(seconds: float = 2.0) -> float:
    """Return the share of the machine's cores that other processes use (Linux)."""

    def idle_ticks() -> float:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
        return float(fields[3]) + float(fields[4])

    before, began = idle_ticks(), time.perf_counter()
    time.sleep(seconds)
    spent = (idle_ticks() - before) / os.sysconf("SC_CLK_TCK") / (time.perf_counter() - began)
    return max(1.0 - spent / (os.cpu_count() or 1), 0.0)


def compare_fill(slots: int, seconds: float) -> None:
    print(f"\n{slots} evaluations at a time, N({MEAN:g} s, {DEVIATION:g} s), Ackley-{DIMENSIONS}, {seconds:g} s")
    print(f"{'':28}{'completed':>10}{'busy':>7}{'done':>7}{'best':>8}{'CPU s':>8}{'ms/trial':>9}{'RSS MiB':>9}")
    peers: list[tuple[str, Callable[[], dict[str, float]]]] = []
    for searcher in ("adbo", "tpe", "random"):
        peers.append((f"aiohpo, {searcher}", lambda s=searcher: ours("fill", s, slots, seconds)))
    script = str(HERE.parent / "support" / "thread_peers.py")
    for library, python in (("deephyper", deephyper_python), ("optuna", optuna_python)):

        def run(library: str = library, python: Callable[[], str] = python) -> dict[str, float]:
            command = [python(), script, library, slots, seconds, MEAN, DEVIATION]
            return child(list(map(str, command)), seconds + 300.0)

        peers.append((f"{library}, {slots} threads", run))
    for name, measure in peers:
        try:
            m = measure()
        except (OSError, ImportError, RuntimeError, subprocess.TimeoutExpired) as error:
            print(f"{name:28} left out: {error}", flush=True)
            continue
        share = m["completed"] * MEAN / (slots * seconds)
        each = 1e3 * m["cpu"] / max(m["completed"], 1)
        print(
            f"{name:28}{m['completed']:>10,.0f}{m['busy']:>7.3f}{share:>7.3f}{m['best']:>8.2f}{m['cpu']:>8.1f}"
            f"{each:>9.2f}{m['rss']:>9.0f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer slots, shorter, and without DeepHyper's thousand")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        name, *arguments = options.child
        if name in ("fill", "serve"):
            measure = {"fill": fill, "serve": serve}[name]
            found: object = measure(arguments[0], int(arguments[1]), float(arguments[2]))
        else:
            found = {"idle": idle, "spread": spread}[name](*map(int, arguments))  # type: ignore[operator]
        print(json.dumps(found))
        return
    quick: bool = options.quick
    print(f"other processes use {others_share():.0%} of {os.cpu_count()} cores")
    compare_fill(*((200, 8.0) if quick else (1000, 30.0)))

    trials = 4000 if quick else 20000
    rates = {slots: ours("idle", slots, trials)["rate"] for slots in (1, 256)}
    print("\ntrials per second of CPU, an objective that does nothing:")
    print(", ".join(f"{slots} slots {rate:,.0f}" for slots, rate in rates.items()), f"({rates[256] / rates[1]:.2f})")

    print("\na service that searches with 200 slots, milliseconds:           median   99 %   worst")
    for searcher in ("adbo", "tpe"):
        m = ours("serve", searcher, 200, 6 if quick else 20)
        for kind, words in SERVICE.items():
            print(f"{f'{searcher}: {words}':<60}{m[f'{kind} p50']:8.1f}{m[f'{kind} p99']:7.1f}{m[f'{kind} max']:8.1f}")

    print(f"\nmemory, MB, of process slots whose objective's module holds {DATA_MB} MB, adbo:")
    print(f"{'':20}{'the worker':>12}{'each slot':>12}{'in all':>10}")
    for slots in (1, 4) if quick else (1, 16):
        own, each, total = process_slots(slots)
        print(f"{f'{slots} process slots':20}{own:>12.0f}{each:>12.0f}{total:>10.0f}", flush=True)

    batch = 32 if quick else 64
    distances: dict[str, list[float]] = {}
    for seed in range(1 if quick else 3):
        for name, values in ours("spread", batch, seed, timeout=600.0).items():
            distances.setdefault(name, []).extend(values)  # type: ignore[arg-type]
    print(f"\ndistance to the nearest of {batch} simultaneous suggestions, adbo after {200 + 12 * batch} evaluations")
    print(f"{'':44}{'10 %':>8}{'50 %':>8}{'90 %':>8}{'repeated':>10}")
    words = {
        "together": "asked together",
        "outdated": "asked together, the fit three rounds old",
        "all outdated": "all that runs then",
        "apart": "fitted anew for each",
        "random": "random search",
    }
    for name, text in words.items():
        low, middle, high = np.percentile(distances[name], [10, 50, 90])
        repeated = np.mean(np.array(distances[name]) == 0.0)
        print(f"{text:44}{low:8.4f}{middle:8.4f}{high:8.4f}{repeated:10.3f}")


if __name__ == "__main__":
    main()
