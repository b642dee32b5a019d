"""A swarm of production workers in virtual time, for users: what would happen with so many of them?

Each worker is the :class:`~aiohpo.runtime.peer.Peer` that users run, with the searcher, the scheduler, the claims and
the exchange that it has anywhere. What is simulated is around it: the loop, the network, the evaluator, the blob
store. Each worker has a machine of its own, and no journal. A worker that crashes is gone without a word; one that is
started in its place is a new one, which hears from its peers what is known.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import random
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..peer.ending import SearchEnd
from ..peer.limits import Limits
from ..plugin import Identity
from ..plugin.registry import make_plugin
from ..runtime.assembly.replica import copy_log
from ..runtime.assembly.services import Services
from ..runtime.notices import Logged
from ..runtime.peer import Peer
from .charging import charged, fit_seconds
from .evaluator import Evaluation, SimEvaluator
from .figures import PRODUCTION
from .loop import SimLoop, run
from .memory import MemoryBlobs
from .network import SimNetwork
from .probe import Probe, ProbedView, met_after
from .rehearsal import Rehearser

if TYPE_CHECKING:
    from ..evaluate.program import Program
    from ..runtime.assembly.definition import StudyDefinition
    from ..study import Study
    from ..view.view import View
    from .costs import Costs
    from .durations import EvaluationTimes

_MOST_SAMPLES = 1_000_000  # arrivals of events that are noted
_LOOK_FOR_STARTED = 1.0  # seconds
_LOOKS = 2_000  # times that the progress of a simulation may be looked at


class Crashed(Exception):
    """A simulated worker was killed, or the simulation is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is simulated.

    workers, slots  how many workers there are, and how many trials each runs at a time
    times           of a full evaluation
    costs           of the searcher's decisions
    latency         the mean time that a frame travels, in seconds; from half to one and a half of it, uniformly
    crash_rate      crashes per worker and hour
    restart_after   seconds after which a crashed worker's place is taken by a new worker; None: never
    seconds         when the simulation ends, unless the search is over before; infinite: when the search is over
    trials          the search's budget
    seed            decides everything that is drawn
    """

    workers: int
    times: EvaluationTimes
    costs: Costs
    slots: int = 1
    latency: float = 0.0005
    crash_rate: float = 0.0
    restart_after: float | None = None
    seconds: float = math.inf
    trials: int | None = None
    seed: int = 0


@dataclass(slots=True)
class Crash:
    """A worker died at ``time`` (virtual seconds); it was replaced ``after`` seconds, if at all."""

    time: float
    place: int
    after: float | None = None


def program_of(study: StudyDefinition) -> Program:
    """The objective, as a simulation calls it. Raises ``UsageError`` if there is none."""
    if study.program.function is None:
        raise UsageError(
            "this study has no Python objective that a simulation could call for values; give it a function"
        )
    return replace(study.program, secret=b"simulation")


def worker_name(seed: int, start: int) -> str:
    """The id of the worker that starts as number ``start``, from 1, by either way of simulating."""
    return hashlib.blake2b(f"{seed}/{start}".encode(), digest_size=6).hexdigest()


class Sent(NamedTuple):
    """What all workers together have sent up to ``time``, and how many of the frames did not arrive."""

    time: float
    frames: int
    bytes: int
    lost: int


class Swarm:
    """Plays a scenario with production workers. Read what is in it when :meth:`play` has returned.

    ``watch`` is called now and then with the swarm, and ends the simulation by returning True.
    """

    way = PRODUCTION

    def __init__(self, study: Study, scenario: Scenario, watch: Callable[[Swarm], bool] = lambda swarm: False) -> None:
        study._fulfil()  # configurations to try first, and past trials
        self.scenario = scenario
        self.definition: StudyDefinition = study._definition
        self.network = SimNetwork(scenario.seed, delay=(scenario.latency / 2, scenario.latency * 1.5))
        self.diary: list[Evaluation] = []
        self.crashes: list[Crash] = []
        self.peers: list[Peer | None] = [None] * scenario.workers  # by place; None: crashed
        self.notices: dict[str, int] = {}
        self.now = 0.0
        self.interrupted = False
        self.end: SearchEnd | None = None
        self._replica = study._replica
        self._watch = watch
        self._program = program_of(self.definition)
        self._rehearser = Rehearser(self._program, scenario.seed)
        expected = self._expected_events()
        self.probe = Probe(scenario.seed, scenario.workers, max(int(_MOST_SAMPLES / (scenario.workers * expected)), 2))
        self._evaluators: dict[int, SimEvaluator] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._starts = 0
        self._met = Sent(0.0, 0, 0, 0)
        self._restarting = 0  # places that are empty for now

    def _expected_events(self) -> float:
        """About how many events a worker records."""
        rng = random.Random(f"{self.scenario.seed}/mean")
        s = self.scenario
        mean = sum(s.times.draw(rng) for _ in range(100)) / 100
        trials = s.trials / s.workers if s.trials is not None else math.inf
        if math.isfinite(s.seconds) and mean > 0:
            trials = min(trials, s.slots * (s.seconds / mean + 1))
        per_trial = 2 + (self.definition.max_steps or 0)
        return per_trial * trials if math.isfinite(trials) else 1000.0

    def play(self) -> Swarm:
        """Simulate to the end; return itself. Raises what broke a worker."""
        run(
            self._main,
            seed=self.scenario.seed,
            timeout=math.inf,
            executor_seconds=fit_seconds(self.scenario.costs),
            max_callbacks=1 << 62,
        )
        return self

    # ------------------------------------------------------------------------------------------ for figures
    def known_together(self) -> View:
        """The view of everything that the living workers have recorded or heard of."""
        log, view = self.definition.empty()
        for peer in self.peers:
            if peer is not None:
                copy_log(peer.services.log, log, view)
        return view

    def news(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """When events were recorded and how long they took to arrive, for each that arrived somewhere, in seconds."""
        crashed = {crash.place for crash in self.crashes}
        return self.probe.delays(self.now, self.scenario.workers - 1 - len(crashed))

    def traffic(self) -> dict[str, float]:
        """Frames and bytes that a worker sends in a second, and the part of the frames that is lost, from when the
        swarm has met."""
        before, now = self._met, self._sent()
        seconds = max(self.scenario.workers * (now.time - before.time), 1e-9)
        return {
            "frames_per_worker_second": (now.frames - before.frames) / seconds,
            "bytes_per_worker_second": (now.bytes - before.bytes) / seconds,
            "lost": (now.lost - before.lost) / max(now.frames - before.frames, 1),
        }

    def _sent(self) -> Sent:
        each = self.network.traffic.values()
        return Sent(
            self.now,
            sum(traffic.sent for traffic in each),
            sum(traffic.sent_bytes for traffic in each),
            sum(traffic.lost for traffic in each),
        )

    def _has_met(self) -> None:
        self.now = asyncio.get_running_loop().time()
        self._met = self._sent()

    # ----------------------------------------------------------------------------------------------- inside
    async def _main(self) -> None:
        s, loop = self.scenario, asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        loop.call_later(met_after(s.seconds), self._has_met)
        for place in range(s.workers):
            await self._start(place)
        faults = asyncio.create_task(self._crash_now_and_then(), name="crashes")
        looks = asyncio.create_task(self._look(), name="looks")
        try:
            await self._until_over(looks, faults)
        finally:
            self.now = loop.time()
            self.diary = [copy(note) for note in self.diary]  # as it stands now: those that run will be cancelled
            faults.cancel()
            looks.cancel()
            for peer in self.peers:
                if peer is not None:
                    self.end = self.end or peer.end
                    peer.exchange.fail(Crashed())  # nothing that they would still do counts

    async def _until_over(self, looks: asyncio.Task[None], faults: asyncio.Task[None]) -> None:
        loop, end = asyncio.get_running_loop(), self.scenario.seconds
        while True:
            left = end - loop.time() if math.isfinite(end) else None
            running = [task for task in self._tasks.values() if not task.done()]
            if looks.done() or not (running or self._restarting) or (left is not None and left <= 0):
                break
            if self._restarting:  # what starts meanwhile has to be waited for, too
                left = _LOOK_FOR_STARTED if left is None else min(left, _LOOK_FOR_STARTED)
            await asyncio.wait([*running, looks], timeout=left, return_when=asyncio.FIRST_COMPLETED)
            for task in self._tasks.values():
                if task.done():
                    task.result()
        for helper in (looks, faults):
            if helper.done() and not helper.cancelled():
                helper.result()

    async def _look(self) -> None:
        """Let the caller look at the progress, and end the simulation if asked to."""
        s = self.scenario
        every = s.seconds / _LOOKS if math.isfinite(s.seconds) else 1.0
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(every)
            self.now = loop.time()
            if self._watch(self):
                self.interrupted = True
                return

    async def _start(self, place: int) -> None:
        s = self.scenario
        self._starts += 1
        worker = worker_name(s.seed, self._starts)
        identity = Identity.of_worker(worker, place, s.workers, s.slots)
        self.probe.admit(place, worker)
        evaluator = self._evaluators[place] = SimEvaluator(worker, self._rehearser, s.times, s.seed, self.diary)
        peer = Peer(self._services(identity, evaluator))
        await peer.start()
        self.peers[place] = peer
        self._tasks[place] = asyncio.create_task(peer.run(), name=f"worker {place}")

    def _services(self, identity: Identity, evaluator: SimEvaluator) -> Services:
        s, study = self.scenario, self.definition
        log, _ = study.empty()
        view = ProbedView(study.space, study.objective, study.max_steps, identity.worker, self.probe)
        if self._starts == 1:
            copy_log(self._replica.log, log, view)
        blobs = MemoryBlobs()
        alive = [peer.services.transport.address for peer in self.peers if peer is not None]
        notice = Logged(self._note)
        return Services(
            identity=identity,
            program=self._program,
            searcher=charged(make_plugin("searchers", study.searcher), s.costs, evaluator, notice),
            scheduler=make_plugin("schedulers", study.scheduler),
            evaluator=evaluator,
            transport=self.network.endpoint(identity.worker),
            view=view,
            log=log,
            study_hash=study.mesh_hash,
            seed=s.seed,
            blobs=blobs,
            notice=notice,
            join=alive[:1],
            expects_peers=s.workers > 1,
            limits=Limits(trials=s.trials),
            max_failures=study.max_failures,
            retries=study.retries,
            wall=asyncio.get_running_loop().time,
            keep=study.keep,
            targets={name: blobs.put(data) for name, data in study.targets.items()},
        )

    def _note(self, text: str) -> None:
        self.notices[text] = self.notices.get(text, 0) + 1

    # ---------------------------------------------------------------------------------------------- crashes
    async def _crash_now_and_then(self) -> None:
        s = self.scenario
        if not s.crash_rate:
            return
        rng = random.Random(f"{s.seed}/crashes")
        async with asyncio.TaskGroup() as group:
            for place in range(s.workers):
                group.create_task(self._crash_in(place, random.Random(rng.random())))

    async def _crash_in(self, place: int, rng: random.Random) -> None:
        s = self.scenario
        while True:
            await asyncio.sleep(rng.expovariate(s.crash_rate / 3600.0))
            peer = self.peers[place]
            if peer is None or self._tasks[place].done():
                return
            self._restarting += s.restart_after is not None
            await self._crash(place, peer)
            if s.restart_after is None:
                return
            await asyncio.sleep(s.restart_after)
            await self._start(place)
            self._restarting -= 1

    async def _crash(self, place: int, peer: Peer) -> None:
        """``kill -9``: nothing more leaves this worker."""
        self.crashes.append(Crash(asyncio.get_running_loop().time(), place, self.scenario.restart_after))
        self._evaluators[place].crashed = True
        self.network.crash(peer.services.transport.address)
        self.peers[place] = None
        peer.exchange.fail(Crashed())
        task = self._tasks.pop(place)
        await asyncio.wait([task])
        task.exception()

    def __repr__(self) -> str:
        return f"<Swarm of {self.scenario.workers} at {self.now:.1f} s: {len(self.diary)} evaluations begun>"
