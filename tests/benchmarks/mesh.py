"""The exchange under load: propagation, its cost, a late joiner, and the overlay at sizes beyond this machine.

    python tests/benchmarks/mesh.py [--quick]

Propagation and cost are measured with real ZeroMQ workers on loopback, several to a process; objectives only
sleep, so what is left is the exchange. Degree and bytes at 16, 64 and 256 workers are measured in virtual time,
with the production worker on a simulated network.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from aiohpo import Float, Space, Study, Worker
from aiohpo.events.codec import encode_event
from aiohpo.events.schema import Batch, Ended, Proposed
from aiohpo.peer.limits import Limits
from aiohpo.plugin import Identity
from aiohpo.runtime.peer import Peer
from aiohpo.storage.journal import Journal
from aiohpo.testing import SimNetwork, run

SPACE = Space(**{f"x{i}": Float(0.0, 1.0) for i in range(10)})


def make_study(seconds: float, directory: Path | None = None) -> Study:
    rng = random.Random(0)

    async def sleep(trial):
        await asyncio.sleep(rng.uniform(0.1, 1.9) * seconds)
        return trial["x0"]

    return Study(sleep, SPACE, searcher="random", directory=directory)


# ------------------------------------------------------------------------------- propagation, real sockets
async def swarm_part(peers: Path, workers: int, seconds: float, duration: float) -> dict:
    """Run some workers of a swarm in this process; return when trials of others arrived, and the CPU used."""
    delays: list[float] = []

    async def watch(worker: Worker, since: float) -> None:
        async for trial in worker:
            if trial.worker != worker.id and trial.started > since:
                delays.append(time.time() - (trial.started + trial.seconds))

    swarm = [Worker(make_study(seconds), transport="zmq", join=[peers.as_uri()], time=duration) for _ in range(workers)]
    for worker in swarm:
        await worker.__aenter__()
    await asyncio.sleep(0.3 * duration)  # until everybody has met
    began, cpu = time.time(), time.process_time()
    tasks = [asyncio.create_task(watch(worker, began)) for worker in swarm]
    await asyncio.sleep(0.6 * duration)
    cpu = time.process_time() - cpu
    elapsed = time.time() - began
    for worker in swarm:
        worker.stop()
    for worker in swarm:
        await worker.__aexit__(None, None, None)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {"delays": delays, "cpu": cpu / elapsed / workers, "seconds": elapsed}


def propagation(workers: int, duration: float) -> None:
    peers = Path(tempfile.mkdtemp(prefix="aiohpo-bench-"))
    processes = max(1, workers // 8)
    seconds = workers / 10.0  # ten observations a second in all
    command = [sys.executable, __file__, "--part", str(peers), str(workers // processes), str(seconds), str(duration)]
    try:
        children = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(processes)]
        parts = [json.loads(child.communicate(timeout=10 * duration + 60)[0]) for child in children]
    finally:
        shutil.rmtree(peers)
    delays = np.array([d for part in parts for d in part["delays"]]) * 1e3
    cpu = np.mean([part["cpu"] for part in parts])
    median, high = np.percentile(delays, [50, 99])
    print(
        f"{workers:>4} workers over ZeroMQ, 10 observations/s: to all peers median {median:.1f} ms, p99 {high:.1f} ms "
        f"({len(delays)} arrivals); {cpu:.2%} of a core a worker, everything included"
    )


# ------------------------------------------------------------------------------------------- a late joiner
def write_history(directory: Path, study: Study, trials: int) -> None:
    (directory / "journal").mkdir(parents=True)
    rng = np.random.default_rng(0)
    writers = 8
    for w in range(writers):
        origin = f"writer{w}"
        raws = []
        for n in range(w, trials, writers):
            values = tuple(rng.random(10).tolist())
            raws.append(encode_event(Proposed(2 * n + 1, 1e9 + n, values)))
            raws.append(encode_event(Ended(2 * n + 2, len(raws), 0, "finished", 0, values[0], 1.0)))
        journal = Journal(directory / "journal" / f"{origin}.log")
        journal.append(Batch(origin, i + 1, tuple(raws[i : i + 64])) for i in range(0, len(raws), 64))
        journal.close()


async def late_joiner(trials: int) -> None:
    root = Path(tempfile.mkdtemp(prefix="aiohpo-bench-"))
    try:
        veteran_study = make_study(0.05, root / "veteran")
        write_history(root / "veteran", veteran_study, trials)
        began = time.perf_counter()
        async with Worker(veteran_study, transport="zmq", time=120) as veteran:
            loaded = time.perf_counter() - began
            before = veteran._peer.state.ended_here
            await asyncio.sleep(1.0)
            rate = veteran._peer.state.ended_here - before
            joiner = Worker(
                make_study(0.05, root / "joiner"),
                transport="zmq",
                key=root / "veteran" / "study.key",
                join=[veteran.address],
                time=120,
            )
            before, began = veteran._peer.state.ended_here, time.perf_counter()
            async with joiner:
                while joiner._peer.view.n_observed < trials and time.perf_counter() - began < 60:
                    await asyncio.sleep(0.01)
                caught_up = time.perf_counter() - began
                meanwhile = (veteran._peer.state.ended_here - before) / caught_up
        print(
            f"{trials:,} trials: loaded from the journal in {loaded:.2f} s; a late joiner in the same process has them "
            f"after {caught_up:.2f} s; the veteran's rate {rate:.0f}/s before, {meanwhile:.0f}/s meanwhile"
        )
    finally:
        shutil.rmtree(root)


# ------------------------------------------------------------------------------- the overlay, virtual time
def overlay(workers: int, seconds: float) -> None:
    network = SimNetwork(seed=1, delay=(0.001, 0.01))

    async def main() -> None:
        study = make_study(workers / 10.0)
        loop = asyncio.get_running_loop()
        peers = []
        for rank in range(workers):
            identity = Identity(f"{rank:012x}", rank, workers)
            services = study._services(
                limits=Limits(seconds=seconds),
                transport=network.endpoint(identity.worker),
                join=[p.services.transport.address for p in peers[:2]],
                identity=identity,
            )
            peer = Peer(replace(services, wall=loop.time))
            await peer.start()
            peers.append(peer)
        tasks = [asyncio.create_task(peer.run()) for peer in peers]
        await asyncio.sleep(seconds / 2)
        before = {p.id: network.traffic[p.services.transport.address].sent_bytes for p in peers}
        degree = [network.degree(p.services.transport.address) for p in peers]
        await asyncio.sleep(seconds / 3)
        sent = [network.traffic[p.services.transport.address].sent_bytes - before[p.id] for p in peers]
        print(
            f"{workers:>4} workers in virtual time, 10 observations/s: degree {min(degree)} to {max(degree)}, "
            f"{np.mean(sent) / (seconds / 3) / 1e3:.1f} kB/s out of each"
        )
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run(main, seed=1, timeout=3600.0, max_callbacks=200_000_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--part", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        peers, workers, seconds, duration = options.part
        print(json.dumps(asyncio.run(swarm_part(Path(peers), int(workers), float(seconds), float(duration)))))
        return
    propagation(8, 10.0 if options.quick else 20.0)
    propagation(32, 20.0 if options.quick else 40.0)
    asyncio.run(late_joiner(20_000 if options.quick else 100_000))
    for workers in (16, 64) if options.quick else (16, 64, 256):
        overlay(workers, 40.0)


if __name__ == "__main__":
    main()
