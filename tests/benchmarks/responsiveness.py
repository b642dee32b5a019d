"""How late the event loop of a service is while adbo searches in it, and how soon its requests are answered.

    python tests/benchmarks/responsiveness.py [--quick]

Measured on two busy cores, 24,000 ticks during 60 trials: late by 0.1 ms in the median, 3.9 ms at the 99th
percentile, 18 ms at worst; /best took 10 ms at worst. A fit on the loop would cost tens of milliseconds at every
result, an evaluation hundreds.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import aiohttp
import numpy as np
from aiohttp.test_utils import TestClient, TestServer

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))


async def lateness(period: float = 0.001) -> list[float]:
    """Sleep again and again, until cancelled; return how much too late (seconds) each sleep ended."""
    loop, late = asyncio.get_running_loop(), []
    try:
        while True:
            due = loop.time() + period
            await asyncio.sleep(period)
            late.append(loop.time() - due)
    except asyncio.CancelledError:
        return late


async def measure(directory: Path, trials: int) -> tuple[list[float], list[float]]:
    """Search in a service; return how late its loop was at each tick and how long each answer took, in seconds."""
    import embed_in_service

    loop, answers = asyncio.get_running_loop(), []
    async with TestClient(TestServer(embed_in_service.make_app(directory))) as client:
        await client.post("/search", params={"trials": trials})
        ticker = asyncio.create_task(lateness())
        async with client.get("/events", timeout=aiohttp.ClientTimeout(total=None)) as events:
            async for line in events.content:
                if line.startswith(b'data: {"trial"'):
                    began = loop.time()
                    await (await client.get("/best")).json()
                    answers.append(loop.time() - began)
        ticker.cancel()
        return await ticker, answers


def main() -> None:
    """Print quantiles of both."""
    parser = argparse.ArgumentParser(description="Measure how responsive a service is that searches.")
    parser.add_argument("--quick", action="store_true", help="fewer trials")
    trials = 30 if parser.parse_args().quick else 200
    with tempfile.TemporaryDirectory() as directory:
        late, answers = asyncio.run(measure(Path(directory), trials))
    print(f"{trials} trials, {len(late)} ticks; milliseconds:  median   99 %   worst")
    for name, seconds in (("the loop is late by", late), ("/best answers in", answers)):
        median, high, worst = np.percentile(seconds, [50, 99, 100]) * 1e3
        print(f"{name:<44}{median:6.1f} {high:6.1f} {worst:7.1f}")


if __name__ == "__main__":
    main()
