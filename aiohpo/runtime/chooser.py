"""What free slots do next: go on with a lost trial, resume what the scheduler says, or begin something new."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import numpy as np

from ..errors import AiohpoError, Unavailable, UsageError
from ..events.schema import Parent, parse_trial
from ..peer.eligibility import Eligibility
from ..peer.ending import has_work
from ..peer.running_segments import Segment
from ..plugin import Config, Inherit, NewTrial, Resume
from ..plugin.scheduler import extend_scheduler
from .assembly.services import Services
from .exchange import Exchange
from .fitting import Fitting

ASK_WITHIN = 0.01  # seconds for which a searcher may hold up the loop, as far as asking for less at a time helps
MOST_AT_ONCE = 64


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
        self._suggested: Iterator[Config] = iter(())  # by the searcher, for slots that have nothing yet
        self._most_at_once = 1

    def is_work_left(self) -> bool:
        """Whether there is anything left to do, for this worker or any other, while nothing runs."""
        self._extend_scheduler()
        return has_work(self._services.view, self._services.scheduler, self._claims, self._spare)

    async def choose(self, slots: Sequence[int], interval: float) -> list[tuple[int, Segment]]:
        """Choose what to run in slots that are free, and record it.

        Args:
            slots: their numbers.
            interval: the mean time between two results of this worker, in seconds.

        Returns:
            Slots and what to run in them, of as many slots as there is something for. Where the searcher takes long,
            the rest has to ask again: the loop is held up meanwhile.

        Raises:
            Unavailable: a checkpoint that is needed cannot be stored here.
        """
        chosen: list[tuple[int, Segment]] = []
        self._suggested = iter(())
        self._extend_scheduler()
        slots = slots[: self._most_at_once]
        try:
            for at, slot in enumerate(slots):
                choice = self._go_on()
                if isinstance(choice, Segment):
                    chosen.append((slot, choice))
                    continue
                if choice is None or not self._claims.may_start(suggested=choice.config is None):
                    break
                if not await self._may_propose_now(at_once=bool(chosen)):
                    break
                segment = await self._begin(choice, slots[at:], interval)
                if segment is not None:
                    chosen.append((slot, segment))
                elif choice.parent is None:
                    break
        except Unavailable:
            if not chosen:
                raise
        finally:
            if self._exchange.failure is None:
                self._exchange.carry_out()
        return chosen

    def _go_on(self) -> Segment | NewTrial | None:
        """Take up a trial that waits, if there is one for this worker; else say what to begin."""
        state, now = self._exchange.state, self._now()
        row = state.takeover(now)
        if row is not None:
            return self._claim(row, self._services.view.to_step(row))
        with self._claims.at(now) as claims:
            choice = self._services.scheduler.next(self._services.view, claims, self._rng)
        if not isinstance(choice, Resume):
            return choice if isinstance(choice, NewTrial) else None
        found = self._services.view.row(parse_trial(choice.trial))
        if found is None:
            raise AiohpoError(f"the scheduler resumed the unknown trial {choice.trial!r}")
        return self._claim(found, choice.to_step, restart=choice.restart)

    async def _may_propose_now(self, *, at_once: bool) -> bool:
        """Whether the budget has room for one more trial, after the pauses that are due near its end and while all
        trials fail; ``at_once``: no if there is one."""
        state = self._exchange.state
        while (pause := state.pause_after_failures(self._now(), self._services.max_failures)) > 0:
            if at_once:
                return False
            await asyncio.sleep(pause)
            if not state.may_propose():
                return False
        if (pause := state.pause_before_proposing(self._now())) > 0:
            if at_once:
                return False
            await asyncio.sleep(pause)
        state.note_proposal(self._now())
        return state.may_propose()

    def _extend_scheduler(self) -> None:
        """Tell the scheduler if peers said that the study was begun with fewer steps than was known."""
        first = self._services.view.first_max_steps
        if first is not None and first != self._first_max_steps:
            self._first_max_steps = first
            try:
                extend_scheduler(self._services.scheduler, first)
            except ValueError as error:
                raise UsageError(f"scheduler {self._services.scheduler!r}: {error}") from None

    async def _begin(self, new: NewTrial, slots: Sequence[int], interval: float) -> Segment | None:
        """Propose a trial for the first of the free ``slots``; None if there is none, or its parent cannot be had."""
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
            config = await self._suggest(slots, interval)
            if config is None:
                return None
            values = space.pack(config)
        elif state.may_propose():
            values = space.pack(space.validate(config))
        else:
            return None
        return state.propose(services.wall(), values, new.to_step, new.bracket, parent)

    async def _suggest(self, slots: Sequence[int], interval: float) -> Config | None:
        """The searcher's configuration for the first of ``slots``; the others are asked for in the same breath."""
        config = next(self._suggested, None)
        if config is not None or self._claims.exhausted:
            return config
        services, view = self._services, self._services.view
        if self._model is not None:
            await self._model.fresh(interval)
        if not self._exchange.state.may_propose():  # others were faster while the model was being fitted
            return None
        goal = self._exchange.state.goal
        room = len(slots) if goal is None else goal - view.n_counted
        began = self._now()
        configs = services.searcher.ask(view, self._rng, tuple(slots[:room]))
        self._pace(len(configs), self._now() - began)
        if not configs:
            self._claims.exhaust()
        self._suggested = iter(configs)
        return next(self._suggested, None)

    def _pace(self, configs: int, seconds: float) -> None:
        """See how many configurations the searcher can be asked for without holding up the loop."""
        if seconds > ASK_WITHIN:
            self._most_at_once = max(configs // 2, 1)
        elif seconds < ASK_WITHIN / 4:
            self._most_at_once = min(max(self._most_at_once, 2 * configs), MOST_AT_ONCE)

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
        return self._exchange.state.record_claim(self._services.wall(), row, to_step, restart=restart, bracket=bracket)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def __repr__(self) -> str:
        return f"<Chooser of {self._exchange.worker}{', exhausted' if self._claims.exhausted else ''}>"
