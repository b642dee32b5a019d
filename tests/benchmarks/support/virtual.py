"""Searches by production workers in virtual time: an objective that sleeps the real seconds of each step.

Everything but the network, the clock and the searcher's wrapper (:mod:`support.deferred`) is what users run. Each
worker has a blob store of its own, so that a trial that is resumed elsewhere fetches its checkpoint over the mesh.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from aiohpo import Study, Trial
from aiohpo.mesh.timing import Pace, Suspicion, Timing
from aiohpo.peer.limits import Limits
from aiohpo.plugin import Identity
from aiohpo.plugin.registry import create
from aiohpo.runtime import peer as worker_module
from aiohpo.runtime.peer import Peer
from aiohpo.simulation.memory import MemoryBlobs
from aiohpo.testing import SimNetwork, run

from .anytime import Trace
from .curves import Curve, CurveTask
from .deferred import timed

DELAY = (0.005, 0.05)  # seconds that a frame travels
FIT = (0.05, 0.2)  # virtual seconds that a fit takes


def timing(seconds: float, workers: int, interval: float | None = None) -> Timing:
    """Return the timing of a swarm whose complete trainings take ``seconds``.

    Nobody dies here, so nobody needs watching every second: signs of life and digests would be most of the cost of
    the simulation. News leaves within 20 ms as usual, in a large swarm within a hundredth of a training, at most
    half a second: it travels in fewer, larger frames (two fifths of the cost at 64 workers, and slower is harder).
    """
    slow = max(1.0, seconds / 100.0)
    if interval is None:
        interval = 0.02 if workers <= 16 else min(0.5, seconds / 100.0)
    pace = Pace(interval=interval, digest=20.0 * slow, repair_timeout=5.0)
    return Timing(pace, Suspicion(ping=30.0 * slow, suspect=300.0 * slow, dead=300.0 * slow, probe_dead=3000.0 * slow))


@contextmanager
def _tidying_rarely(every: float) -> Iterator[None]:
    """Look for needless checkpoints less often: they cost nothing here, and looking was two thirds of ASHA's cost."""
    usual = worker_module._TIDY_EVERY
    worker_module._TIDY_EVERY = every
    try:
        yield
    finally:
        worker_module._TIDY_EVERY = usual


class Diverged(Exception):
    """The training that the curve comes from failed here."""


class Bench:
    """One search of one task."""

    def __init__(
        self,
        task: CurveTask,
        searcher: str,
        scheduler: str,
        workers: int,
        horizon: float,
        seed: int,
        interval: float | None = None,
    ) -> None:
        self.task = task
        self.searcher = searcher
        self.scheduler = scheduler
        self.workers = workers
        self.horizon = horizon
        self.seed = seed
        self.timing = timing(task.measure().seconds, workers, interval)
        self.trace = Trace()
        self.peers: list[Peer] = []
        self.segments: list[tuple[str, int, float, float, int, int]] = []  # trial, worker, begin, end, from, to
        self._curve_of = task.curves()
        self._curves: dict[str, Curve] = {}

    def play(self) -> Trace:
        """Run the search and return what it found by when."""
        with _tidying_rarely(self.horizon / 20):
            run(self._main, seed=self.seed, timeout=self.horizon + 1000.0, executor_delay=FIT, max_callbacks=10**9)
        return self.trace.close(self.horizon, self.workers)

    async def _main(self) -> None:
        network = SimNetwork(seed=self.seed, delay=DELAY)
        for rank in range(self.workers):
            await self._start(network, rank)
        running = [asyncio.create_task(peer.run(), name=f"worker {i}") for i, peer in enumerate(self.peers)]
        await asyncio.gather(*running)
        await asyncio.gather(*(peer.aclose() for peer in self.peers))

    async def _start(self, network: SimNetwork, rank: int) -> None:
        worker = hashlib.blake2b(f"{self.seed}/{rank}".encode(), digest_size=6).hexdigest()
        study = Study(
            self._objective(rank),
            self.task.space,
            max_steps=self.task.max_steps,
            searcher=Lend(timed(create("searchers", self.searcher), self.trace)),
            scheduler=self.scheduler,
            seed=self.seed,
        )
        services = study._services(
            limits=Limits(seconds=self.horizon),
            transport=network.endpoint(worker),
            join=[p.services.transport.address for p in self.peers[:1]],
            identity=Identity(worker, rank, self.workers),
            timing=self.timing,
        )
        services = replace(
            services,
            searcher=services.searcher.lent,
            blobs=MemoryBlobs(),
            # Each rank has a study of its own; they resume from each other's checkpoints all the same.
            program=replace(services.program, secret=b"one for all"),
            wall=asyncio.get_running_loop().time,
        )
        peer = Peer(services)
        await peer.start()
        self.peers.append(peer)

    def _objective(self, rank: int) -> Any:
        async def objective(trial: Trial) -> None:
            await self._train(trial, rank)

        return objective

    def _curve(self, trial: Trial) -> Curve:
        curve = self._curves.get(trial.id)
        if curve is None:
            curve = self._curves[trial.id] = self._curve_of(trial.config)
            self.trace.trials += 1
        return curve

    async def _train(self, trial: Trial, rank: int) -> None:
        trace, curve = self.trace, self._curve(trial)
        loop = asyncio.get_running_loop()
        begin = now = loop.time()
        restored = trial.restore()
        start = at = int(restored) if restored is not None else 0
        trace.resumed += start > 0
        try:
            for step in trial.steps():
                done = float(curve.seconds[at - 1]) if at else 0.0
                if step > len(curve.loss):
                    if not curve.fails:
                        break  # a training may be complete before max_steps
                    await self._sleep(curve.crash)
                    trace.failed += 1
                    raise Diverged
                await self._sleep(float(curve.seconds[step - 1]) - done)
                now, at, loss = loop.time(), step, float(curve.loss[step - 1])
                last = not curve.fails and step == len(curve.loss)
                trace.finished += last
                trace.step(now, trial.id, step, loss, last)
                trial.report(loss)
            # One checkpoint where the segment ends, which is where it may be resumed from: nobody is killed here.
            trial.save(str(at).encode())
        finally:
            self.segments.append((trial.id, rank, begin, loop.time(), start, at))

    async def _sleep(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        try:
            await asyncio.sleep(seconds)
        finally:
            self.trace.busy += loop.time() - begin


class Lend:
    """Carries a searcher unharmed through the study's copying: each worker here has a study of its own."""

    def __init__(self, lent: Any) -> None:
        self.lent = lent
        self.setup, self.ask = lent.setup, lent.ask

    def __deepcopy__(self, memo: Any) -> Lend:
        return self
