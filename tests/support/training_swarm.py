"""A swarm that trains toy models, for the tests of schedulers whose trials inherit from each other.

Everybody has a replica of the production view, a scheduler and claims of its own. In one :meth:`Swarm.tick` each
worker that is free asks its scheduler, each other one trains one step; then what was said travels to everybody whom
it reaches. So workers that become free in the same tick race, and :attr:`Swarm.islands` cuts the network.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aiohpo import Space
from aiohpo.events.lifecycle import Status
from aiohpo.events.schema import (
    Claimed,
    Ended,
    Event,
    Goal,
    Lost,
    Parent,
    Proposed,
    Reported,
    Saved,
    parse_trial,
    trial_name,
)
from aiohpo.peer.eligibility import Eligibility
from aiohpo.plugin import Config, Decision, Identity, Idle, NewTrial, Resume, Scheduler
from aiohpo.plugin.objective import Objective
from aiohpo.view.view import View

# (weights before, configuration, step) -> (weights after, the metric); raises ArithmeticError to fail
Train = Callable[[Any, Config, int], tuple[Any, float]]


@dataclass
class _Segment:
    row: int
    trial: tuple[str, int]
    attempt: int
    to_step: int | None
    step: int
    weights: Any


@dataclass
class _Worker:
    name: str
    view: View
    scheduler: Scheduler
    rng: np.random.Generator
    blobs: dict[str, Any] = field(default_factory=dict)
    said: list[Event] = field(default_factory=list)
    heard: dict[str, int] = field(default_factory=dict)
    segment: _Segment | None = None
    alive: bool = True
    over: bool = False

    def __post_init__(self) -> None:
        self.claims = Eligibility(self.view, None, self.blobs.__contains__)


class Swarm:
    """``workers`` workers that train by ``train``; with ``saves=False`` they never save a checkpoint.

    islands  names of the workers that hear each other; empty: everybody hears everybody
    trained  steps that were trained by all of them
    """

    def __init__(
        self,
        space: Space,
        max_steps: int,
        scheduler: Callable[[], Scheduler],
        train: Train,
        *,
        workers: int = 4,
        mode: str = "min",
        seed: int = 0,
        trials: int | None = None,
        saves: bool = True,
    ) -> None:
        self.max_steps, self.train, self.saves = max_steps, train, saves
        self.islands: list[set[str]] = []
        self.trained = 0
        self._clock = 0
        self._rng = np.random.default_rng([seed, 99])
        self.workers: list[_Worker] = []
        for rank in range(workers):
            view = View(space, Objective("loss", "max" if mode == "max" else "min"), max_steps)
            worker = _Worker(f"w{rank}", view, scheduler(), np.random.default_rng([seed, rank]))
            worker.scheduler.setup(max_steps, seed, Identity(worker.name, rank, workers))
            self.workers.append(worker)
        if trials is not None:
            self._say(self.workers[0], Goal(self._now(), trials))
            self.spread()

    # ---------------------------------------------------------------------------------------------- time
    def run(self, ticks: int = 10_000) -> None:
        """Until everybody has nothing to do any more, at most ``ticks``."""
        for _ in range(ticks):
            if all(worker.over for worker in self.workers if worker.alive):
                return
            self.tick()
        raise AssertionError(f"not over after {ticks} ticks: {[w.segment for w in self.workers]}")

    def tick(self) -> None:
        for at in self._rng.permutation(len(self.workers)):
            worker = self.workers[at]
            if worker.alive:
                self._turn(worker)
        self.spread()

    def spread(self) -> None:
        """Everybody hears what was said on the same island."""
        for one in self.workers:
            for other in self.workers:
                if one is not other and one.alive and self._reaches(other, one):
                    known = one.heard.get(other.name, 0)
                    for seq, event in enumerate(other.said[known:], known + 1):
                        one.view.apply(other.name, seq, event)
                    one.heard[other.name] = len(other.said)

    def sweep(self) -> None:
        """Delete every checkpoint that nobody needs any more, as the workers of a run do in time."""
        needed: set[str] = set()
        for worker in self.workers:
            keeps = getattr(worker.scheduler, "keeps", None)
            if not worker.alive or keeps is None:
                continue
            for row in range(worker.view.n_rows):
                state, digests = worker.view.state(row), worker.view.digests(row)
                steps = set(keeps(worker.view, state))
                if state.status in ("running", "lost"):
                    steps.update(state.checkpoints[:1])
                needed.update(digests[step] for step in steps)
        for worker in self.workers:
            for digest in worker.blobs.keys() - needed:
                del worker.blobs[digest]

    def kill(self, worker: _Worker) -> None:
        """Its events stay, what only it had is gone; the others learn that it is dead."""
        worker.alive = False
        worker.segment = None
        worker.blobs.clear()

    def _reaches(self, source: _Worker, target: _Worker) -> bool:
        return not self.islands or any({source.name, target.name} <= island for island in self.islands)

    # ----------------------------------------------------------------------------------------- one worker
    def _turn(self, worker: _Worker) -> None:
        worker.over = False
        self._declare_lost(worker)
        segment = worker.segment
        if segment is not None and worker.view.owner_of(segment.row) not in (worker.name, None):
            worker.segment = segment = None  # somebody else's by now
        if segment is None:
            self._choose(worker)
        else:
            self._step(worker, segment)

    def _declare_lost(self, worker: _Worker) -> None:
        view = worker.view
        for other in self.workers:
            if other.alive and self._reaches(other, worker):
                continue
            for row in sorted(view.running):
                if view.owner_of(row) == other.name:
                    self._say(worker, Lost(self._now(), view.id(row), view.attempt(row)))

    def _choose(self, worker: _Worker) -> None:
        view = worker.view
        lost = [row for row in sorted(view.waiting) if view.status(row) is Status.LOST]
        if lost:
            self._claim(worker, lost[0], view.to_step(lost[0]))
            return
        choice = worker.scheduler.next(view, worker.claims, worker.rng)
        if isinstance(choice, Resume):
            row = view.row(parse_trial(choice.trial))
            assert row is not None
            self._claim(worker, row, choice.to_step)
        elif isinstance(choice, NewTrial):
            assert worker.claims.may_start(suggested=choice.config is None), f"{choice} cannot be carried out"
            self._propose(worker, choice)
        else:
            assert isinstance(choice, Idle)
            worker.over = not view.running

    def _propose(self, worker: _Worker, new: NewTrial) -> None:
        view, parent = worker.view, None
        if new.parent is not None:
            row = view.row(parse_trial(new.parent.trial))
            saved = None if row is None else view.checkpoint(row, new.parent.step)
            assert saved is not None, f"{new.parent} was never saved"
            if not self._fetch(worker, saved[1]):
                worker.claims.missed(saved[1])
                return
            parent = Parent(parse_trial(new.parent.trial), *saved)
        config = new.config or view.space.decode(view.space.sample(worker.rng, 1))[0]
        values = view.space.pack(config)
        seq = self._say(worker, Proposed(self._now(), 0.0, values, 0, new.to_step, new.bracket, parent))
        row = view.row((worker.name, seq))
        assert row is not None
        self._begin(worker, row, 0, new.to_step)

    def _claim(self, worker: _Worker, row: int, to_step: int | None) -> None:
        attempt = worker.view.attempt(row) + 1
        self._say(worker, Claimed(self._now(), 0.0, worker.view.id(row), attempt, to_step))
        self._begin(worker, row, attempt, to_step)

    def _begin(self, worker: _Worker, row: int, attempt: int, to_step: int | None) -> None:
        saved = worker.view.checkpoint(row)
        step, weights = 0, None
        if saved is not None and self._fetch(worker, saved[1]):
            step, weights = saved[0], worker.blobs[saved[1]]
        worker.segment = _Segment(row, worker.view.id(row), attempt, to_step, step, weights)

    def _step(self, worker: _Worker, segment: _Segment) -> None:
        view, name = worker.view, trial_name(segment.trial)
        segment.step += 1
        self.trained += 1
        try:
            segment.weights, value = self.train(segment.weights, view.config(segment.row), segment.step)
        except ArithmeticError as error:
            self._end(worker, segment, "failed", error=str(error))
            return
        step = segment.step
        self._say(worker, Reported(self._now(), segment.trial, segment.attempt, step, value))
        if worker.scheduler.on_report(view, name, step) is Decision.STOP:
            self._end(worker, segment, "stopped", value)
        elif step == self.max_steps:
            self._end(worker, segment, "finished", value)
        elif step == segment.to_step:
            if self.saves:
                text = json.dumps([segment.weights, step])
                digest = hashlib.sha256(text.encode()).hexdigest()
                worker.blobs[digest] = segment.weights
                self._say(worker, Saved(self._now(), segment.trial, segment.attempt, step, digest, len(text)))
            self._end(worker, segment, "paused")

    def _end(
        self, worker: _Worker, segment: _Segment, how: Any, value: float | None = None, error: str | None = None
    ) -> None:
        worker.segment = None
        self._say(
            worker,
            Ended(self._now(), segment.trial, segment.attempt, how, segment.step, value, 1.0, None, error),
        )

    def _fetch(self, worker: _Worker, digest: str) -> bool:
        for other in self.workers:
            if digest in other.blobs and (other is worker or self._reaches(other, worker)):
                worker.blobs[digest] = other.blobs[digest]
                return True
        return False

    def _now(self) -> int:
        self._clock += 1
        return self._clock

    def _say(self, worker: _Worker, event: Event) -> int:
        worker.said.append(event)
        worker.view.apply(worker.name, len(worker.said), event)
        return len(worker.said)

    # -------------------------------------------------------------------------------------------- reading
    @property
    def view(self) -> View:
        """That of somebody who lives."""
        return next(worker.view for worker in self.workers if worker.alive)

    def best(self) -> float:
        """The best value of a complete trial."""
        values = [r.value for r in self.view.records() if r.status == "finished" and r.value is not None]
        return min(values) if self.view.objective.direction == "min" else max(values)

    def statuses(self) -> Sequence[str]:
        return [record.status for record in self.view.records()]
