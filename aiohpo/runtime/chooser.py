"""What a free worker does next: go on with a lost trial, resume what the scheduler says, or begin something new."""

from __future__ import annotations

import asyncio

import numpy as np

from ..errors import AiohpoError, UsageError
from ..events.schema import Parent, parse_trial
from ..peer.eligibility import Eligibility
from ..peer.ending import has_work
from ..peer.recorder import Segment
from ..plugin import Inherit, NewTrial, Resume
from ..plugin.scheduler import extend_scheduler
from .assembly.services import Services
from .exchange import Exchange
from .fitting import Fitting


class Chooser:
    """Asks the scheduler and the searcher on behalf of one worker, and records what was chosen."""

    def __init__(self, services: Services, exchange: Exchange, rng: np.random.Generator, model: Fitting | None) -> None:
        self._services = services
        self._exchange = exchange
        self._rng = rng
        self._model = model
        self._claims = Eligibility(services.view, exchange.state.claims, services.blobs.__contains__)
        self._spare = np.random.default_rng(0)
        self._first_max_steps = services.view.first_max_steps

    def is_work_left(self) -> bool:
        """Whether there is anything left to do, for this worker or any other, while nothing runs."""
        self._extend_scheduler()
        return has_work(self._services.view, self._services.scheduler, self._claims, self._spare)

    async def next(self, mean_seconds: float) -> Segment | None:
        """Choose and record what to run; None if there is nothing (now). ``mean_seconds``: a trial's mean time."""
        state, now = self._exchange.state, self._now()
        row = state.takeover(now)
        if row is not None:
            return self._claim(row, self._services.view.to_step(row))
        self._extend_scheduler()
        with self._claims.at(now) as claims:
            choice = self._services.scheduler.next(self._services.view, claims, self._rng)
        if isinstance(choice, Resume):
            found = self._services.view.row(parse_trial(choice.trial))
            if found is None:
                raise AiohpoError(f"the scheduler resumed the unknown trial {choice.trial!r}")
            return self._claim(found, choice.to_step, restart=choice.restart)
        if not isinstance(choice, NewTrial) or not self._claims.may_start(suggested=choice.config is None):
            return None
        if (pause := state.pause_before_proposing(now)) > 0:
            await asyncio.sleep(pause)
            if not state.may_propose():
                return None
        return await self._begin(choice, mean_seconds)

    def _extend_scheduler(self) -> None:
        """Tell the scheduler if peers said that the study was begun with fewer steps than was known."""
        first = self._services.view.first_max_steps
        if first is not None and first != self._first_max_steps:
            self._first_max_steps = first
            try:
                extend_scheduler(self._services.scheduler, first)
            except ValueError as error:
                raise UsageError(f"scheduler {self._services.scheduler!r}: {error}") from None

    async def _begin(self, new: NewTrial, mean_seconds: float) -> Segment | None:
        services, state = self._services, self._exchange.state
        space, config, parent = services.view.space, new.config, None
        if new.parent is not None:
            parent = await self._obtain(new.parent)
            if parent is None:
                return None
        if config is None:
            row = state.queued(self._now())
            if row is not None:
                return self._claim(row, new.to_step, bracket=new.bracket)
            if self._claims.exhausted:
                return None
            if self._model is not None:
                await self._model.fresh(mean_seconds)
            if not state.may_propose():  # others were faster while the model was being fitted
                return None
            configs = services.searcher.ask(services.view, self._rng, (0,))
            if not configs:
                self._claims.exhaust()
                return None
            values = space.pack(configs[0])
        elif state.may_propose():
            values = space.pack(space.validate(config))
        else:
            return None
        segment = state.propose(services.wall(), values, new.to_step, new.bracket, parent)
        self._exchange.carry_out()
        return segment

    async def _obtain(self, wanted: Inherit) -> Parent | None:
        """Make sure that a checkpoint is here before anything is built on it."""
        view = self._services.view
        row = view.row(parse_trial(wanted.trial))
        saved = None if row is None else view.checkpoint(row, wanted.step)
        if row is None or saved is None:
            raise AiohpoError(f"the scheduler chose a checkpoint that was never saved: {wanted}")
        step, digest, size, worker = saved
        if not await self._exchange.fetch(digest, worker, size):
            self._claims.missed(digest)
            return None
        return Parent(view.id(row), step, digest, size, worker)

    def _claim(self, row: int, to_step: int | None, *, restart: bool = False, bracket: int = 0) -> Segment:
        segment = self._exchange.state.record_claim(
            self._services.wall(), row, to_step, restart=restart, bracket=bracket
        )
        self._exchange.carry_out()
        return segment

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def __repr__(self) -> str:
        return f"<Chooser of {self._exchange.worker}{', exhausted' if self._claims.exhausted else ''}>"
