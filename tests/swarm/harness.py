"""Swarms of production workers in virtual time, and the invariants that must hold whatever happens to them.

A scenario is a function of one seed: how many workers, how bad the network, who crashes when, who comes back
from a journal, when the swarm is cut in two and healed. ``run_scenario(seed)`` plays it and checks; a failure
names the seed, and the same seed plays the same scenario again, bit for bit.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import numpy as np

from aiohpo import Categorical, Float, Int, Space, Study, Trial
from aiohpo.events.lifecycle import COMPLETING, Status
from aiohpo.events.log import Log
from aiohpo.events.schema import Batch, Ended, TrialId, trial_of
from aiohpo.peer.eligibility import Eligibility
from aiohpo.peer.ending import find_end, has_work
from aiohpo.peer.limits import Limits
from aiohpo.peer.patience import PATIENCE
from aiohpo.plugin import Identity
from aiohpo.plugin.objective import Objective
from aiohpo.runtime.peer import Peer
from aiohpo.testing import MemoryBlobs, SimNetwork, run
from aiohpo.view.view import View
from tests.support.unavailable import SometimesUnavailable

SPACE = Space(
    x=Float(-1.0, 1.0),
    depth=Int(1, 9),
    kind=Categorical(["a", "b"]),
    rate=Float(1e-4, 1e-1, log=True, when={"kind": "b"}),
)


SCHEDULERS = (
    "asha:eta=3",
    "asha:eta=3",
    "asha:type=stopping",
    "hyperband:eta=3",
    "sha:eta=3",
    "pbt:population=6,interval=3",
)


Version = Callable[[int], AbstractContextManager[object]]
Beside = Callable[["Swarm"], Coroutine[None, None, None]]

SCHEDULED = 1_000_000  # scenarios from this seed on always have a scheduler that pauses or stops trials
TROUBLED = 2_000_001  # from this one on, evaluators are unavailable now and then as well
SLOTTED = 3_000_000  # from this one on, workers have one, four or sixteen slots instead


class RandomSearcher:
    """Uniform draws; the swarm is what is tested here."""

    def setup(self, space: Space, seed: int, identity: Identity) -> None:
        self.space = space

    def ask(self, view: object, rng: np.random.Generator, slots: Sequence[int]) -> list[dict[str, object]]:
        return self.space.decode(self.space.sample(rng, len(slots)))


class Crash(Exception):
    """The simulated ``kill -9``."""


class MemoryJournal:
    """A journal in memory: what a worker wrote survives its crash."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def append(self, batches: Iterable[Batch]) -> None:
        self.batches += batches

    def sync(self) -> None:
        pass

    def close(self) -> None:
        pass


@dataclass
class Scenario:
    """What happens, drawn from the seed."""

    seed: int
    workers: int
    trials: int
    mean_seconds: float
    loss: float
    duplicate: float
    reorder: float
    delay: tuple[float, float]
    crashes: list[tuple[float, int]]
    restart_after: float | None
    partition: tuple[float, float] | None
    shared_directory: bool
    fails: float
    steps: int | None
    scheduler: str
    slots: list[int]  # of each worker
    retries: list[tuple[float, int]]  # when somebody retries all failed trials that it knows of
    unavailable: dict[int, list[tuple[float, float]]]

    @classmethod
    def draw(cls, seed: int) -> Scenario:
        rng = random.Random(f"scenario {seed}")
        workers = rng.choice([2, 3, 4, 4, 5, 6, 8, 8, 12, 20]) if seed % 300 else 64
        mean = rng.choice([0.05, 0.5, 2.0])
        slots = [1] * workers
        if seed >= SLOTTED:
            workers = min(workers, 6)
            slots = [rng.choice([1, 4, 16]) for _ in range(workers)]
        trials = rng.randint(2 * sum(slots), 6 * sum(slots))
        span = trials * mean / sum(slots)
        crashes = []
        if rng.random() < 0.6:
            victims = rng.sample(range(workers), rng.randint(1, max(1, workers // 2)))
            crashes = sorted((rng.uniform(0.0, span), victim) for victim in victims)
        partition = None
        if rng.random() < 0.4:
            start = rng.uniform(0.0, span)
            partition = (start, start + rng.choice([1.0, 5.0, 30.0]))
        return cls(
            seed=seed,
            workers=workers,
            trials=trials,
            mean_seconds=mean,
            loss=rng.choice([0.0, 0.01, 0.1, 0.3]),
            duplicate=rng.choice([0.0, 0.0, 0.1]),
            reorder=rng.choice([0.0, 0.0, 0.1]),
            delay=rng.choice([(0.0005, 0.002), (0.01, 0.05), (0.001, 0.5)]),
            crashes=crashes,
            restart_after=rng.choice([None, 0.5, 20.0]),
            partition=partition,
            shared_directory=rng.random() < 0.5,
            fails=rng.choice([0.0, 0.1]),
            steps=(steps := 9 if seed >= SCHEDULED else rng.choice([None, None, 4, 9, 9])),
            scheduler=rng.choice(SCHEDULERS) if steps == 9 else "fifo",
            slots=slots,
            retries=[(rng.uniform(0.2, 1.0) * span, rng.randrange(workers)) for _ in range(rng.choice([0, 3, 6]))],
            unavailable=_troubles(seed, workers, span),
        )


def _troubles(seed: int, workers: int, span: float) -> dict[int, list[tuple[float, float]]]:
    """When which workers can run nothing, by no fault of the objective; only in the scenarios that are about that."""
    if not TROUBLED <= seed < SLOTTED:
        return {}
    rng = random.Random(f"troubles {seed}")
    victims = rng.sample(range(workers), rng.randint(1, workers))
    return {
        victim: [(start := rng.uniform(0.0, span), start + rng.choice([0.1, 1.0, PATIENCE / 2])) for _ in range(3)]
        for victim in victims
    }


@dataclass
class Swarm:
    """A running scenario."""

    scenario: Scenario
    network: SimNetwork
    study: Study
    alive: dict[int, Peer] = field(default_factory=dict)
    blobs: dict[str, MemoryBlobs] = field(default_factory=dict)
    resumed: int = 0
    broken: list[str] = field(default_factory=list)
    journals: dict[str, MemoryJournal] = field(default_factory=dict)
    directory: dict[str, set[str]] = field(default_factory=dict)  # journal id -> worker ids
    tasks: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    crashed: list[Peer] = field(default_factory=list)
    starts: int = 0
    evaluations: int = 0
    retried: int = 0
    troubled: list[SometimesUnavailable] = field(default_factory=list)
    version: Version = lambda place: nullcontext()

    async def start(self, place: int, join: list[str], journal_id: str | None = None) -> None:
        """Start a worker in ``place``, from what is in its directory."""
        s = self.scenario
        self.starts += 1
        worker = hashlib.blake2b(f"{s.seed}/{place}/{self.starts}".encode(), digest_size=6).hexdigest()
        with self.version(place):
            services = self.study._services(
                limits=Limits(trials=s.trials),
                transport=self.network.endpoint(worker),
                join=join,
                identity=Identity(worker, sum(s.slots[:place]), sum(s.slots), s.slots[place]),
            )
        where = journal_id or ("shared" if s.shared_directory else f"own-{place}")
        inhabitants = self.directory.setdefault(where, set())
        for other in sorted(inhabitants):
            load(self.journals[other].batches, services.log, services.view)
        live = {p.id for p in self.alive.values()}
        gone = frozenset(inhabitants - live)
        inhabitants.add(worker)
        journal = self.journals[worker] = MemoryJournal()
        evaluator = services.evaluator
        if place in s.unavailable:
            evaluator = SometimesUnavailable(evaluator, s.unavailable[place])
            self.troubled.append(evaluator)
        peer = Peer(
            replace(
                services,
                gone=gone,
                journal=journal,
                journal_id=where,
                blobs=self.blobs.setdefault(where, MemoryBlobs()),
                recover=lambda dead: list(self.journals[dead].batches) if dead in inhabitants else [],
                read_again=lambda present: [
                    batch for worker in sorted(inhabitants - present) for batch in self.journals[worker].batches
                ],
                wall=asyncio.get_running_loop().time,
                evaluator=evaluator,
            )
        )
        await peer.start()
        self.alive[place] = peer
        self.tasks[place] = asyncio.create_task(peer.run(), name=f"worker {place}")

    async def crash(self, place: int) -> None:
        """``kill -9``: nothing more leaves this worker, not even to its journal."""
        peer = self.alive.pop(place, None)
        if peer is None:
            return
        self.network.crash(peer.services.transport.address)
        peer.exchange.fail(Crash())
        task = self.tasks.pop(place)
        await asyncio.wait([task])
        task.exception()  # it was meant to fail
        self.crashed.append(peer)

    def retry(self, place: int) -> None:
        """Try again what has failed as far as the worker in ``place`` knows, if it is still at work."""
        peer = self.alive.get(place)
        if peer is None or peer._ending or peer._has_worked:
            return
        view = peer.view
        known = {view.retry_of(row) for row in range(view.n_rows)}
        for row in range(view.n_rows):
            if view.status(row) is Status.FAILED and view.id(row) not in known:
                peer.state.queue_retry(0.0, row)
                self.retried += 1
        peer.exchange.carry_out()

    def addresses(self) -> list[str]:
        return [peer.services.transport.address for peer in self.alive.values()]


def load(batches: Iterable[Batch], log: Log, view: View) -> None:
    for batch in batches:
        for origin, seq, event in log.merge(batch) or ():
            view.apply(origin, seq, event)


def play(
    seed: int,
    trace: bool = False,
    *,
    version: Version | None = None,
    beside: Beside | None = None,
    saves_first: bool = False,
    out_of_memory: float = 0.0,
) -> tuple[Swarm, str]:
    """Play a scenario and check the invariants; return the swarm and a fingerprint of all that happened.

    ``version(place)`` is entered while a worker is put together, so that not all need be of one version of aiohpo;
    ``beside`` runs beside the search. With ``saves_first`` the objective saves a step, goes on for a while and only
    then reports the step, so that workers crash in between. With ``out_of_memory`` so many of the objective's
    evaluations, or steps, have no memory, after which a trial is tried again twice.
    """
    scenario = Scenario.draw(seed)
    out: list[Swarm] = []

    async def main() -> None:
        await _play(scenario, out, trace, version, beside, saves_first, out_of_memory)

    try:
        run(main, seed=seed, timeout=3000.0)
    except Exception as error:
        given = ", saves_first=True" if saves_first else ""
        given += f", out_of_memory={out_of_memory}" if out_of_memory else ""
        error.add_note(f"reproduce with: harness.play({seed}{given})  # {scenario}")
        raise
    swarm = out[0]
    logs = sorted(peer.services.log.hash() for peer in swarm.alive.values())
    return swarm, hashlib.sha256(repr((logs, swarm.network.trace)).encode()).hexdigest()


async def _play(
    s: Scenario,
    out: list[Swarm],
    trace: bool,
    version: Version | None,
    beside: Beside | None,
    saves_first: bool,
    out_of_memory: float,
) -> None:
    network = SimNetwork(seed=s.seed, delay=s.delay, loss=s.loss, duplicate=s.duplicate, reorder=s.reorder, trace=trace)
    loop = asyncio.get_running_loop()
    rng = random.Random(f"objective {s.seed}")

    async def objective(trial: Trial) -> float:
        swarm.evaluations += 1
        config = trial.config
        if s.steps is not None:
            return await stepwise(trial)
        await asyncio.sleep(rng.expovariate(1.0 / s.mean_seconds))
        if rng.random() < s.fails:
            raise RuntimeError("this configuration does not train")
        if out_of_memory and rng.random() < out_of_memory:
            raise MemoryError("as others use it")
        return float(config["x"] ** 2 + config["depth"])

    async def stepwise(trial: Trial) -> float:
        saved = trial.restore()
        done = saved[0] if saved is not None else 0
        swarm.resumed += bool(done)
        if trial.start != done:
            swarm.broken.append(f"{trial.id} starts after step {trial.start} with a checkpoint of step {done}")
        for step in trial.steps():
            await asyncio.sleep(rng.expovariate(s.steps / s.mean_seconds))
            if s.fails and rng.random() < s.fails / s.steps:
                raise RuntimeError("this configuration does not train")
            if out_of_memory and rng.random() < out_of_memory:
                raise MemoryError("as others use it")
            if saves_first:
                trial.save(bytes([step]))
                await asyncio.sleep(rng.expovariate(s.steps / s.mean_seconds))
            trial.report(trial["x"] ** 2 + trial["depth"] / step)
            if not saves_first:
                trial.save(bytes([step]) + bytes(rng.choice([10, 200_000])))
        return float(trial["x"] ** 2 + trial["depth"])

    study = Study(
        objective,
        SPACE,
        searcher=RandomSearcher(),
        scheduler=s.scheduler,
        seed=s.seed,
        max_steps=s.steps,
        retries=2 if out_of_memory else 0,
    )
    swarm = Swarm(s, network, study)
    if version is not None:
        swarm.version = version
    out.append(swarm)
    for place in range(s.workers):
        await swarm.start(place, swarm.addresses()[:1])
    begun = loop.time()
    meeting = asyncio.create_task(_meet(swarm))
    script = asyncio.create_task(_faults(swarm, begun))
    others = [] if beside is None else [asyncio.create_task(beside(swarm))]
    while not script.done() or any(not task.done() for task in swarm.tasks.values()):
        pending = [script, *swarm.tasks.values()]
        await asyncio.wait([t for t in pending if not t.done()], return_when=asyncio.FIRST_COMPLETED)
        for task in swarm.tasks.values():
            if task.done():
                task.result()
    script.result()
    for other in others:
        other.cancel()
    network.heal()
    network.loss = min(network.loss, 0.1)
    await asyncio.sleep(90.0)  # quiet: probes of the dead every ~10 s, digests every ~2 s
    meeting.cancel()
    check(swarm)
    await asyncio.gather(*(peer.aclose() for peer in swarm.alive.values()))


async def _meet(swarm: Swarm) -> None:
    """Join by directory, as ``aiohpo run`` does: cards of the dead stay behind, those of strangers get greeted."""
    while True:
        await asyncio.sleep(1.0)
        cards = [peer.services.transport.address for peer in (*swarm.alive.values(), *swarm.crashed)]
        for peer in swarm.alive.values():
            peer.exchange.join(cards)


async def _faults(swarm: Swarm, begun: float) -> None:
    s, loop = swarm.scenario, asyncio.get_running_loop()
    events: list[tuple[float, str, int]] = [(t, "crash", place) for t, place in s.crashes]
    if s.restart_after is not None:
        events += [(t + s.restart_after, "restart", place) for t, place in s.crashes]
    if s.partition is not None:
        events += [(s.partition[0], "partition", 0), (s.partition[1], "heal", 0)]
    events += [(t, "retry", place) for t, place in s.retries]
    for when, what, place in sorted(events):
        await asyncio.sleep(max(0.0, begun + when - loop.time()))
        if what == "crash" and len(swarm.alive) > 1:
            await swarm.crash(place)
        elif what == "retry":
            swarm.retry(place)
        elif what == "restart" and place not in swarm.alive:
            await swarm.start(place, swarm.addresses()[:2])
        elif what == "partition":
            addresses = swarm.addresses()
            half = len(addresses) // 2
            swarm.network.partition(addresses[:half], addresses[half:])
        elif what == "heal":
            swarm.network.heal()


def contents(log: Log) -> dict[str, bytes]:
    """All events of each origin, as they are written."""
    found: dict[str, bytes] = {}
    for batch in log.missing({}, 1 << 62):
        found[batch.origin] = found.get(batch.origin, b"") + b"".join(batch.raws)
    return found


def completions(log: Log) -> dict[TrialId, list[Ended]]:
    """Every event that says that a trial is complete, by trial."""
    found: dict[TrialId, list[Ended]] = {}
    for origin in log.origins:
        for _, _, event in log.events(origin):
            if isinstance(event, Ended) and event.how in COMPLETING:
                found.setdefault(trial_of(origin, event.trial), []).append(event)
    return found


def best(view: View) -> object:
    """The best trial; rows are numbered in each replica's own order."""
    return None if view.best is None else view.id(view.best)


def check_end(peer: Peer) -> None:
    """The search is over by all that is known after quiet, too."""
    scheduler, claims = peer.services.scheduler, Eligibility(peer.view, None, lambda digest: True)

    def is_work_left() -> bool:
        return has_work(peer.view, scheduler, claims, np.random.default_rng(0))

    end = find_end(peer.view, workers=(peer.id,), target=None, is_work_left=is_work_left)
    assert end is not None, f"{peer.id} ended ({peer.end}) and there is work left"


def check(swarm: Swarm) -> None:
    """The invariants of a healed and quiet swarm."""
    s = swarm.scenario
    peers = list(swarm.alive.values())
    first = peers[0]
    vectors = {peer.id: peer.services.log.vector() for peer in peers}
    reference = vectors[first.id]
    log, view = Log(), View(SPACE, Objective("loss", "min"))  # built from scratch, origin by origin
    load(list(first.services.log.missing({}, 1 << 62)), log, view)
    records, events = list(view.records()), contents(log)
    for peer in peers:
        assert peer.state.node.counters.faults == 0, "a frame could not be handled"
        assert vectors[peer.id] == reference, f"logs differ after quiet: {first.id} and {peer.id}"
        assert contents(peer.services.log) == events, f"logs of equal length differ: {first.id} and {peer.id}"
        assert list(peer.view.records()) == records, "the order of arrival changed the view"
        assert best(peer.view) == best(view), "the order of arrival changed which trial is best"
    survivors = {peer.id for peer in peers}
    for worker, journal in swarm.journals.items():
        # Within reach: written by a survivor, or in a survivor's directory by somebody it had met. What a worker
        # wrote that died before anybody met it stays in its journal for the next reader.
        in_reach = worker in survivors or any(
            worker in inhabitants
            and inhabitants & survivors
            and first.state.node.mesh.membership.state(worker) is not None
            for inhabitants in swarm.directory.values()
        )
        for batch in journal.batches:
            held = first.services.log.count(batch.origin)
            if in_reach:
                assert held >= batch.last, f"events of {batch.origin} in {worker}'s journal are lost"
    assert not swarm.broken, swarm.broken[0]
    for record in records:
        if record.status == "finished" and s.steps is not None:
            since = 0 if record.parent is None else record.parent[1]
            assert set(range(since + 1, s.steps + 1)) <= record.curve.keys(), (
                f"a step of {record.id} was never reported"
            )
    if s.fails == 0.0:
        assert not [r.id for r in records if r.status == "failed" and not r.crashes], (
            "a trial failed that was nobody's fault"
        )
    # What a worker has written down and nobody has heard when it dies is not known before its directory is read.
    told = s.shared_directory or not s.crashes
    if s.partition is None and told and s.workers <= 16:  # where everybody is linked to everybody
        twice = {trial: ends for trial, ends in completions(first.services.log).items() if len(ends) > 1}
        assert not twice, f"completed more than once: {twice}"
    assert not first.view.running, f"still running: {[r.id for r in records if r.status == 'running']}"
    done = [r for r in records if r.status in ("finished", "failed", "stopped", "paused")]
    ended = [r for r in done if not first.view.is_retried(first.view.row_of(r.id))]
    assert len(ended) == first.view.n_counted - len(first.view.beyond_line())
    unheard = first.view.counts[Status.QUEUED] > 0 and bool(s.crashes or s.partition)  # by anybody still at work
    surplus = [r for r in records if r.status == "surplus"]
    if s.scheduler.startswith("pbt") or unheard:
        assert len(ended) <= s.trials
    else:
        assert len(ended) == s.trials, f"{len(ended)} trials of {s.trials}"
    crashed = {peer.id for peer in swarm.crashed}
    # A dead worker's journal may tell later of the end of a trial beyond the line, which no worker waits for, or of
    # trials that no other worker had heard of and that push others beyond the line. Either can make one more trial good
    # enough to be promoted.
    late = bool(surplus) and any(crashed & {r.id.split("-")[0], r.worker} for r in records)
    for peer in peers:
        assert peer.end is not None, f"{peer.id} ended without a reason"
        if s.partition is None and not late:  # the halves of a cut swarm end without each other's results
            check_end(peer)
    at_most = 4 * s.workers + (0 if s.partition is None else s.trials)
    fast = s.mean_seconds < 10 * (s.delay[1] + 0.02)
    if not fast and s.loss <= 0.01:
        assert len(surplus) <= at_most, f"{len(surplus)} surplus trials"
    results = sum(
        isinstance(seen.event, Ended) and seen.event.how in ("finished", "failed", "stopped", "paused")
        for origin in first.services.log.origins
        for seen in first.services.log.events(origin)
    )
    partial = [r for r in surplus if r.ended_as is None]  # withdrawn, with reports that are kept
    assert all(r.curve for r in partial)
    assert results >= len(ended) + len(surplus) - len(partial)
    if first.view.is_settled:
        assert not [r.id for r in records if r.status == "lost"], "lost in a search that is over"
