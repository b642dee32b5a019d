"""What looking for MPI messages costs, and how fast they are: two ranks of this machine.

    python tests/benchmarks/mpi_pump.py [--quick]

Prints CPU time of an idle endpoint as a share of one core, the same without any endpoint (the bare event loop,
with MPI initialised), the time that a frame and its answer take after a pause, and how much passes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

INSIDE = "AIOHPO_BENCHMARK_RANK"


def main() -> None:
    """Start the two ranks."""
    parser = argparse.ArgumentParser(description="Benchmark the MPI transport.")
    parser.add_argument("--quick", action="store_true", help="shorter, less precise")
    options = parser.parse_args()
    beside = Path(sys.executable).with_name("mpirun")
    mpirun = str(beside) if beside.exists() else shutil.which("mpirun")
    if mpirun is None:
        sys.exit("there is no mpirun; pip install 'aiohpo[mpi]' brings one")
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    subprocess.run(
        [mpirun, "-n", "2", sys.executable, __file__],
        env={
            **os.environ,
            **root,
            "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
            INSIDE: str(1 + options.quick),
        },
        check=True,
        timeout=120,
    )


async def rank(quick: bool) -> None:
    """Rank 1 answers, rank 0 measures."""
    from aiohpo_transports.mpi.transport import MPITransport

    random.seed(0)
    seconds = 2.0 if quick else 10.0
    transport = MPITransport(max_frame=32 << 20)
    bare = await idle(seconds)
    if transport.rank == 1:
        over = asyncio.Event()

        def answer(peer: str, frame: bytes) -> None:
            if frame == b"over":
                over.set()
            elif frame[:1] == b"?":
                transport.send(peer, frame)

        await transport.start(answer)
        await over.wait()
        await transport.aclose()
        return
    answers: asyncio.Queue[bytes] = asyncio.Queue()
    await transport.start(lambda _, frame: answers.put_nowait(frame))
    transport.connect("mpi://1")
    await trip(transport, answers, b"?")
    await asyncio.sleep(1.0)
    used = await idle(seconds)
    print(f"idle: {used:.2%} of a core (without an endpoint {bare:.2%})")
    trips = []
    for _ in range(50 if quick else 300):
        await asyncio.sleep(random.uniform(0.02, 0.06))
        trips.append(await trip(transport, answers, b"?" + bytes(200)))
    trips.sort()
    print(
        f"round trip of 200 bytes after a pause: median {statistics.median(trips) * 1e3:.1f} ms, "
        f"p99 {trips[int(0.99 * len(trips))] * 1e3:.1f} ms, worst {trips[-1] * 1e3:.1f} ms"
    )
    trips = [await trip(transport, answers, b"?" + bytes(200)) for _ in range(500)]
    print(f"round trip without pauses: median {statistics.median(trips) * 1e3:.2f} ms")
    trips = [await trip(transport, answers, b"?" + bytes(16 << 20)) for _ in range(5)]
    print(f"round trip of 16 MiB: median {statistics.median(trips) * 1e3:.0f} ms")
    began, total = time.perf_counter(), 20_000
    for number in range(total):
        while not transport.send("mpi://1", b"." + bytes(199)):
            await asyncio.sleep(0)
        if number % 100 == 99:
            await asyncio.sleep(0)
    while not transport.send("mpi://1", b"?"):
        await asyncio.sleep(0)
    await answers.get()
    print(f"one way: {total / (time.perf_counter() - began):,.0f} frames of 200 bytes a second")
    transport.send("mpi://1", b"over")
    await transport.aclose()


async def trip(transport: object, answers: asyncio.Queue[bytes], frame: bytes) -> float:
    """Seconds from sending a frame until its answer is here."""
    began = time.perf_counter()
    transport.send("mpi://1", frame)  # type: ignore[attr-defined]  # imported where MPI is started
    async with asyncio.timeout(20):
        await answers.get()
    return time.perf_counter() - began


async def idle(seconds: float) -> float:
    """The share of a core that this process takes while it has nothing to do."""
    began, used = time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    return (time.process_time() - used) / (time.perf_counter() - began)


if __name__ == "__main__":
    if INSIDE in os.environ:
        asyncio.run(rank(os.environ[INSIDE] == "2"))
    else:
        main()
