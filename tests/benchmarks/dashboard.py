"""What the dashboard costs its server: with many trials, and with many events a second.

    python tests/benchmarks/dashboard.py [--quick]

A run directory as ASHA leaves it: 16 workers, ten parameters, two metrics, 2.7 reports a trial on the mean. The server
is ``aiohpo dashboard`` in a process of its own, started anew for each size; the reader is this process. Nobody has read
the directory before ("first"), or somebody has, so that there is a cache of it ("again").

  start s      from the command until its address is printed; it begins to read the run then
  state s, CPU from the question for the state, asked then, until its first byte, and what that took the server
  MB           of the answer; "gzip": compressed, as a proxy might
  RSS MiB      of the server with the run in it
  views        CPU milliseconds of each picture's data, asked for once after the state

Then a worker writes events at a steady rate into the largest run while a reader listens to the stream:

  messages/s, kB/s   to the reader
  CPU %              of one core, of the server

Seconds by the clock are those of the machine only where others leave it alone; CPU seconds always are.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np

import aiohpo
from aiohpo.events.log import Log
from aiohpo.mesh.effects import Persist
from aiohpo.peer.recorder import Recorder
from aiohpo.plugin.objective import Objective
from aiohpo.storage.run_directory import RunDirectory
from aiohpo.view.view import View

SPACE = aiohpo.Space(
    **{f"x{i}": aiohpo.Float(0.0, 1.0) for i in range(6)},
    lr=aiohpo.Float(1e-5, 1e-1, log=True),
    layers=aiohpo.Int(1, 8),
    kind=aiohpo.Categorical(["a", "b", "c"]),
    momentum=aiohpo.Float(0.0, 0.99, when={"kind": "a"}),
)
RUNGS = (1, 3, 9, 27)
WORKERS = 16
BEGAN = 1_750_000_000.0
VIEWS = ("curves", "curves?metric=size", "timeline", "activity", "failures", "trials/17")


class Writers:
    """Workers that write into a run directory what a search by ASHA would."""

    def __init__(self, path: Path) -> None:
        study = aiohpo.Study(
            None, SPACE, metric="loss", max_steps=27, searcher="random", scheduler="asha", directory=path
        )
        self.directory = RunDirectory(path, study._definition.as_dict())
        self.view, self.log = View(SPACE, Objective("loss", "min"), 27), Log()
        self.workers = [Recorder(f"{i:012x}", self.view, self.log, self.directory.id) for i in range(WORKERS)]
        self.journals = [self.directory.journal(worker.me) for worker in self.workers]
        self.rng = np.random.default_rng(0)
        self.time = BEGAN
        for rank, worker in enumerate(self.workers):
            worker.begin(self.time, "host", os.getpid(), rank)

    def trials(self, n: int) -> None:
        """Write ``n`` more trials, and then what they made of events."""
        for i in range(n):
            self.trial()
            if i % 500 == 499:
                self.write()
        self.write()

    def trial(self) -> None:
        """One trial, from its proposal to where it pauses, fails or ends."""
        rng = self.rng
        top = int(np.searchsorted([1 / 3, 1 / 9, 1 / 27], rng.random(), side="right"))  # 0 where no fraction is reached
        top = sum(rng.random() < 1 / 3 for _ in range(3)) if top else 0
        values = SPACE.pack(SPACE.decode(rng.random((1, SPACE.dim)))[0])
        worker = self.workers[int(rng.integers(WORKERS))]
        self.time += 0.1
        base, step, segment = float(rng.random()), 0, None
        for level in range(top + 1):
            to = RUNGS[level]
            goal = to if to < 27 else None
            if segment is None:
                segment = worker.propose(self.time, values, goal)
            else:
                segment = worker.record_claim(self.time + level, segment.row, goal)
            if level == 0 and rng.random() < 0.01:
                worker.end(
                    segment, "failed", step=0, seconds=1.0, error=f"ValueError: {int(rng.integers(5))}", detail="…"
                )
                return
            while step < to:
                step += 1
                if step <= 3 or step % 3 == 0:
                    worker.report(segment, step, base + 1 / step, {"size": base * step})
            worker.end(
                segment,
                "paused" if goal else "finished",
                step=step,
                seconds=1.5,
                value=None if goal else base + 1 / step,
            )

    def write(self) -> None:
        for worker, journal in zip(self.workers, self.journals, strict=True):
            journal.append([effect.batch for effect in worker.drain() if isinstance(effect, Persist)])

    def close(self) -> None:
        for journal in self.journals:
            journal.close()


class Server:
    """``aiohpo dashboard`` of a directory."""

    def __init__(self, path: Path) -> None:
        began = time.perf_counter()
        command = [sys.executable, "-m", "aiohpo", "dashboard", str(path), "--port", "0", "--no-browser"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.started = time.perf_counter() - began
        found = re.search(r"(http://\S+/)\?token=(\S+)", line)
        assert found, line
        self.base, self.token = f"{found[1]}api/runs/{path.name}/", found[2]

    @property
    def cpu(self) -> float:
        """Seconds that it has used (Linux)."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def resident(self) -> float:
        """MiB that it holds (Linux)."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def open(self, path: str):
        request = urllib.request.Request(self.base + path, headers={"Authorization": f"Bearer {self.token}"})
        return urllib.request.urlopen(request, timeout=300)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


def first_view(path: Path, label: str) -> None:
    server = Server(path)
    try:
        cpu, began = server.cpu, time.perf_counter()
        with server.open("state") as answer:
            first = answer.read(1)
            seconds, used = time.perf_counter() - began, server.cpu - cpu
            body = first + answer.read()
        whole = time.perf_counter() - began
        total = json.loads(body)["trials"]["total"]
        views = []
        for name in VIEWS:
            cpu = server.cpu
            with server.open(name) as answer:
                size = len(answer.read())
            views.append(f"{name} {1000 * (server.cpu - cpu):.0f} ms, {size / 1e3:.0f} kB")
        packed, size = len(gzip.compress(body, 6)) / 1e6, len(body) / 1e6
        print(
            f"{total:>8,} {label:6} {server.started:8.2f} {seconds:8.2f} {used:6.2f} {whole:8.2f} {size:7.1f} "
            f"{packed:6.1f} {server.resident:8.0f}   {'; '.join(views)}",
            flush=True,
        )
    finally:
        server.close()


def stream(path: Path, writers: Writers, rate: int, seconds: float) -> None:
    server = Server(path)
    counts = {"messages": 0, "bytes": 0}
    with server.open("timeline") as answer:  # for which it reads everything that there is
        answer.read()
    with server.open("state") as answer:
        known = json.loads(answer.read())["id"]

    def listen() -> None:
        with server.open(f"events?after={known}") as answer:
            for line in answer:
                if line.startswith(b"event: failure"):
                    raise RuntimeError(answer.readline())
                if line.startswith(b"data: "):
                    counts["messages"] += 1
                    counts["bytes"] += len(line)

    reader = threading.Thread(target=listen, daemon=True)
    reader.start()
    time.sleep(2.0)
    cpu, began = server.cpu, time.perf_counter()
    before, events = dict(counts), writers.log.size
    while (at := time.perf_counter() - began) < seconds:
        while writers.log.size - events < rate * at:
            writers.trial()
        writers.write()
        time.sleep(0.05)
    took = time.perf_counter() - began
    used = server.cpu - cpu
    events = writers.log.size - events
    messages, size = (counts[name] - before[name] for name in ("messages", "bytes"))
    print(
        f"{events / took:8,.0f} events/s: {messages / took:6.1f} messages/s, {size / took / 1e3:7.1f} kB/s, "
        f"server {100 * used / took:5.1f} % CPU",
        flush=True,
    )
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smaller runs, for a trial")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "run"
        writers = Writers(path)
        print("  trials        start s  state s    CPU  whole s      MB   gzip  RSS MiB   views", flush=True)
        known = 0
        for n in (1_000, 5_000) if quick else (1_000, 10_000, 100_000):
            writers.trials(n - known)
            known = n
            first_view(path, "first")
            first_view(path, "again")
        for rate in (0, 100, 1000):
            stream(path, writers, rate, 3.0 if quick else 15.0)
        writers.close()


if __name__ == "__main__":
    main()
