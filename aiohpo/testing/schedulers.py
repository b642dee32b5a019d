"""The conformance check for schedulers: what :class:`aiohpo.plugin.Scheduler` promises, tried out.

First with views of a fixed content; then in a *rehearsal*, a search by production workers in virtual time, where
trials fail, report NaN, are resumed elsewhere, and a worker dies; last with the log of that search, replayed to fresh
views in different orders.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from aiohpo.plugin import Claims, Config, Identity, Idle, NewTrial, Scheduler, StudyView
from aiohpo.space.space import Float, Int, Space

from ..events.lifecycle import MOST_IDLE_PAUSES
from ..plugin.objective import Objective
from ..simulation.loop import SimDeadlock, SimLivelock, SimTimeout, run
from ..simulation.memory import MemoryBlobs
from ..simulation.network import SimNetwork
from .staticview import StaticView
from .witness import Witness, witness

if TYPE_CHECKING:
    from aiohpo import Trial
    from aiohpo.events.schema import Seen
    from aiohpo.runtime.peer import Peer
    from aiohpo.view.view import View as ReplicaView

WORKERS = 4
TRIALS = 30
LONGEST = 50.0  # virtual seconds; to evaluate everything completely takes ten
MOST_CALLBACKS = 10_000  # of the event loop; a search takes about a thousand
SPACE = Space(x=Float(0, 1), depth=Int(1, 4))
SOMEBODY = Identity("somebody")


class OpenClaims:
    """Every claim is open, there is room in the budget, and no checkpoint is at hand."""

    def may_start(self, *, suggested: bool = True) -> bool:
        return True

    def may_claim(self, trial: str) -> bool:
        return True

    def holds(self, trial: str, step: int | None = None) -> bool:
        return False

    def obtainable(self, trial: str, step: int) -> bool:
        return True


def check_scheduler(factory: Callable[[], Scheduler], *, claims: Claims | None = None) -> None:
    """Check a scheduler; raise AssertionError that names what is violated.

    Args:
        factory: called without arguments, gives a fresh scheduler.
        claims: what to pass to ``next`` while nothing can be claimed yet; by default everything is open.

    It is checked, for studies without steps and with 1, 9 and 27, that

    - ``setup`` serves the study or refuses it with a ValueError that says something;
    - a free worker in an empty study starts a new trial, to a step that the study has;
    - ``next`` is a function of the view and of ``rng``, and touches no global random state.

    Then four workers search together for something to minimise, and again, with one of them killed, for something to
    maximise; trials fail and report NaN. It is checked that

    - only paused trials are resumed, that may be claimed, and to a step beyond where they are, up to max_steps;
    - new trials have a valid step, bracket and configuration, and a parent's checkpoint that exists;
    - checkpoints that are kept exist;
    - the scheduler's memory is only a cache: a fresh one gives the same answers;
    - the search ends with exactly the number of trials in its budget (unless ``next`` returned Idle);
    - the order in which events arrived changes nothing.
    """
    assert isinstance(factory(), Scheduler), f"{factory()!r} lacks setup(), next() or on_report()"
    served: list[int | None] = []
    for max_steps in (None, 1, 9, 27):
        refusal = None
        try:
            factory().setup(max_steps, 0, SOMEBODY)
        except ValueError as error:
            refusal = str(error)
        assert refusal != "", f"setup(max_steps={max_steps}) refuses without saying why"
        if refusal is None:
            served.append(max_steps)
            _still(factory, max_steps, OpenClaims() if claims is None else claims)
    assert served, f"{factory()!r} serves none of max_steps None, 1, 9 and 27"
    max_steps = 9 if 9 in served else served[-1]
    for seed, mode in enumerate(("min", "max")):
        rehearsal = _Rehearsal(factory, max_steps, mode, seed, kills=mode == "max")
        rehearsal.play()
        rehearsal.replay()


def _still(factory: Callable[[], Scheduler], max_steps: int | None, claims: Claims) -> None:
    empty = StaticView(SPACE, max_steps=max_steps)
    busy = StaticView(SPACE, [[0.1, 0.1], [0.2, 0.4]], [1.0, 2.0], failed=[[0.3, 0.6]], pending=[[0.4, 0.9]])
    for view in (empty, busy):
        answers = []
        for _ in range(2):
            scheduler = Witness(factory, often=1)
            scheduler.setup(max_steps, 0, SOMEBODY)
            answers.append(scheduler.next(view, claims, np.random.default_rng(0)))
        where = f"next() with max_steps={max_steps} and {view!r}"
        assert answers[0] == answers[1], f"{where} gave {answers[0]} and {answers[1]} to equal questions"
        assert view is busy or isinstance(answers[0], NewTrial), f"{where} gave {answers[0]!r} to a free worker"


class _Uniform:
    """Random configurations: the scheduler is what is checked here."""

    def setup(self, space: Space, seed: int, identity: Identity) -> None:
        self._space = space

    def ask(self, view: StudyView, rng: np.random.Generator, slots: Sequence[int]) -> list[Config]:
        return self._space.decode(self._space.sample(rng, len(slots)))


class _Rehearsal:
    """One search in virtual time, and its log afterwards."""

    def __init__(
        self, factory: Callable[[], Scheduler], max_steps: int | None, mode: str, seed: int, kills: bool
    ) -> None:
        self.factory, self.max_steps, self.mode, self.seed, self.kills = factory, max_steps, mode, seed, kills
        self.witnesses: list[Witness] = []
        self.where = f"in a search (max_steps={max_steps}, mode={mode!r}, {WORKERS} workers, {TRIALS} trials)"

    def play(self) -> None:
        try:
            run(self._search, seed=self.seed, timeout=LONGEST, max_callbacks=MOST_CALLBACKS)
        except (SimTimeout, SimDeadlock, SimLivelock) as error:
            raise AssertionError(f"{self.where} the scheduler never ends: {error}") from error
        wrong = [error for seen in self.witnesses for error in seen.wrong]
        if wrong:
            raise wrong[0]
        view = self.peers[-1].view
        stuck = [trial.id for trial in view.records() if view.idle_pauses(view.row_of(trial.id)) >= MOST_IDLE_PAUSES]
        assert not stuck, f"{self.where} the scheduler never ends: it resumed {stuck} without a new step"
        counted = view.n_counted - len(view.beyond_line())
        idled = any(isinstance(seen.last, Idle) for seen in self.witnesses)
        assert not view.running, f"{self.where} trials were left running"
        assert idled or counted == TRIALS, f"{self.where} there were {counted} trials"

    async def _search(self) -> None:
        from aiohpo import Study

        sign = -1.0 if self.mode == "max" else 1.0

        async def objective(trial: Trial) -> float:
            return await _train(trial, sign)

        # One for all workers, which then have one key: they resume from each other's checkpoints.
        self.study = Study(
            objective,
            SPACE,
            mode=self.mode,
            max_steps=self.max_steps,
            searcher=_Uniform(),
            scheduler=self.factory(),
            seed=self.seed,
        )
        network = SimNetwork(seed=self.seed, delay=(0.001, 0.01))
        self.peers: list[Peer] = []
        for rank in range(WORKERS):
            self.peers.append(self._worker(network, rank))
            await self.peers[-1].start()
        tasks = [asyncio.create_task(peer.run()) for peer in self.peers]
        if self.kills:
            await asyncio.sleep(2.0)
            network.crash(self.peers[0].services.transport.address)
            self.peers[0].exchange.fail(_Killed())
            with contextlib.suppress(_Killed):
                await tasks.pop(0)
        await asyncio.gather(*tasks)
        await asyncio.sleep(5.0)  # until everybody has heard everything
        await asyncio.gather(*(peer.aclose() for peer in self.peers[self.kills :]))

    def _worker(self, network: SimNetwork, rank: int) -> Peer:
        from aiohpo.peer.limits import Limits
        from aiohpo.runtime.peer import Peer

        worker = hashlib.blake2b(f"{self.seed}/{rank}".encode(), digest_size=6).hexdigest()
        services = self.study._services(
            limits=Limits(trials=TRIALS),
            transport=network.endpoint(worker),
            join=[peer.services.transport.address for peer in self.peers[:1]],
            identity=Identity(worker, rank, WORKERS),
        )
        self.witnesses.append(witness(self.factory))
        return Peer(
            replace(
                services,
                scheduler=self.witnesses[-1],
                blobs=MemoryBlobs(),
                wall=asyncio.get_running_loop().time,
            )
        )

    def replay(self) -> None:
        """Ask fresh schedulers about the search as it was at several moments, its events having come in any order."""
        from aiohpo.events.schema import Reported, trial_name, trial_of

        log = self.peers[-1].services.log
        events = [list(log.events(origin)) for origin in sorted(log.origins)]
        last = max(seen.event.lamport for origin in events for seen in origin)
        for moment in np.linspace(0.1, 1.0, 10):
            known = [[seen for seen in origin if seen.event.lamport <= moment * last] for origin in events]
            views = [_view(self.max_steps, self.mode, known, seed) for seed in (None, 1)]
            answers: list[list[Any]] = []
            for view in views:
                scheduler = self.factory()
                scheduler.setup(self.max_steps, self.seed, SOMEBODY)
                answers.append([scheduler.next(view, OpenClaims(), np.random.default_rng(0))])
                for origin in known:
                    for seen in reversed(origin):
                        if isinstance(seen.event, Reported):
                            name = trial_name(trial_of(seen.origin, seen.event.trial))
                            answers[-1].append(scheduler.on_report(view, name, seen.event.step))
                            break
            assert answers[0] == answers[1], (
                f"{self.where} the order in which events arrive changes the answers: {answers[0]} and {answers[1]}"
            )


class _Killed(Exception):
    """The simulated ``kill -9``."""


async def _train(trial: Trial, sign: float) -> float:
    """Some configurations crash on the way, some diverge, the others get better step by step."""
    x, loss = trial["x"], 1.0
    trial.restore()
    for step in trial.steps():
        await asyncio.sleep(0.05 + 0.1 * x)
        if 0.8 < x < 0.9 and step >= 2:
            raise RuntimeError("this configuration crashes")
        loss = float("nan") if x > 0.9 else (x - 0.3) ** 2 + trial["depth"] / (step + 1)
        trial.report(sign * loss)
        trial.save(str(step).encode())
    return sign * loss


def _view(max_steps: int | None, mode: str, origins: Sequence[Sequence[Seen]], seed: int | None) -> ReplicaView:
    """A replica that heard these events origin by origin, or in an order drawn from ``seed`` (of each in order)."""
    from aiohpo.view.view import View

    view = View(SPACE, Objective("loss", "max" if mode == "max" else "min"), max_steps)
    order = [i for i, origin in enumerate(origins) for _ in origin]
    if seed is not None:
        random.Random(seed).shuffle(order)
    queues = [iter(origin) for origin in origins]
    for i in order:
        view.apply(*next(queues[i]))
    return view
