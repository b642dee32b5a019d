"""What a free slot of the model runs next: as :class:`aiohpo.runtime.chooser.Chooser` decides, without waiting.

Where production would wait for a model, the answer is a :class:`Wait`, and the question is put again when that is over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import AiohpoError
from ...events.schema import Parent, parse_trial, trial_name
from ...peer.running_segments import Segment
from ...plugin import FittingSearcher, NewTrial, Resume, Scheduler
from ...view.view import View
from ..costs import Costs
from .claims import ClaimsUnderWay, TravellingClaim, offered
from .fits import SharedFits
from .meter import Meter
from .worker import ModelWorker


@dataclass(frozen=True, slots=True)
class Wait:
    """A model is waited for until ``ready``; it knows what was known at ``knows``."""

    ready: float
    knows: float


class Dealer:
    """Decides for all workers of a swarm, with one scheduler."""

    def __init__(self, view: View, scheduler: Scheduler, costs: Costs, fits: SharedFits, meter: Meter) -> None:
        self._view = view
        self._scheduler = scheduler
        self._costs = costs
        self._fits = fits
        self._meter = meter
        self._under_way = ClaimsUnderWay()
        self._spare = np.random.default_rng(0)
        # When which worker's segment ended last, and what the scheduler would have resumed before that.
        self._before: tuple[float, int, set[str]] = (-1.0, -1, set())

    def note_end(self, worker: ModelWorker, now: float) -> None:
        """The last words of a segment of this worker, its report or its end, are about to be recorded: what can be
        claimed before that?"""
        if self._before[:2] != (now, worker.place):
            self._before = now, worker.place, offered(self._scheduler, self._view, self._spare)

    def choose(
        self, worker: ModelWorker, slots: Sequence[int], now: float, *, answered: bool
    ) -> Segment | TravellingClaim | Wait | None:
        """Say what the first of the free ``slots`` runs, and record it.

        Args:
            answered: whether the model was waited for already.

        Returns:
            A segment; a claim of another worker that this one has not heard of and makes as well; None if there is
            nothing to do.
        """
        rival = self._under_way.collision(worker, now, self._view)
        if rival is not None:
            return rival
        choice = self._go_on(worker, now)
        if isinstance(choice, Segment):
            return choice
        may_start = choice is not None and worker.claims.may_start(suggested=choice.config is None)
        if choice is None or not may_start or not worker.recorder.may_propose():
            return None
        return self._begin(worker, choice, slots, now, answered)

    def _go_on(self, worker: ModelWorker, now: float) -> Segment | NewTrial | None:
        """Take up a trial that waits, if there is one for this worker; else say what to begin."""
        view, recorder = self._view, worker.recorder
        row = recorder.takeover(now)
        if row is not None:
            return self._claim(worker, row, view.to_step(row), now)
        with worker.claims.at(now) as claims:
            choice = self._scheduler.next(view, claims, worker.rng)
        if not isinstance(choice, Resume):
            return choice if isinstance(choice, NewTrial) else None
        found = view.row(parse_trial(choice.trial))
        if found is None:
            raise AiohpoError(f"the scheduler resumed the unknown trial {choice.trial!r}")
        return self._claim(worker, found, choice.to_step, now, restart=choice.restart)

    def _claim(
        self,
        worker: ModelWorker,
        row: int,
        to_step: int | None,
        now: float,
        *,
        restart: bool = False,
        bracket: int = 0,
    ) -> Segment:
        """Claim a trial. Others may collide with that, unless what made it possible is this worker's own news of this
        very moment, with which the claim arrives."""
        segment = worker.recorder.record_claim(now, row, to_step, restart=restart, bracket=bracket)
        when, place, before = self._before
        if (when, place) != (now, worker.place) or trial_name(segment.trial) in before:
            arrival = self._meter.arrivals(now, worker.place)
            until = now + float(arrival[np.isfinite(arrival)].max())
            self._under_way.add(TravellingClaim(segment, worker.place, now, arrival, until))
        return segment

    def _begin(
        self, worker: ModelWorker, new: NewTrial, slots: Sequence[int], now: float, answered: bool
    ) -> Segment | Wait | None:
        view, recorder, config = self._view, worker.recorder, new.config
        if config is None:
            row = recorder.queued(now)
            if row is not None:
                return self._claim(worker, row, new.to_step, now, bracket=new.bracket)
            config = next(worker.suggested, None)
            if config is None:
                waits = self._ask(worker, slots, now, answered)
                if waits is not None:
                    return waits
                config = next(worker.suggested, None)
                if config is None:
                    return None
        else:
            config = view.space.validate(config)
        return recorder.propose(now, view.space.pack(config), new.to_step, new.bracket, self._parent_of(new))

    def _ask(self, worker: ModelWorker, slots: Sequence[int], now: float, answered: bool) -> Wait | None:
        """Ask the searcher for as many configurations as there are slots, as far as the budget has room."""
        view = self._view
        if worker.clock is not None:
            if not answered:
                ready, knows = worker.clock.ready(now, worker.interval)
                if ready > now:
                    return Wait(ready, knows)
                self._fits.keep_up(now, self._costs.of_fit(view.n_trials))
            assert isinstance(worker.searcher, FittingSearcher), "it has a clock as it learns"
            self._fits.serve(worker.searcher, now)
        goal = worker.recorder.goal
        room = len(slots) if goal is None else max(goal - view.n_counted, 0)
        found = worker.searcher.ask(view, worker.rng, tuple(slots[:room]))
        worker.free_at = max(worker.free_at, now) + self._costs.of_ask(view.n_trials, len(slots[:room]))
        if not found:
            worker.claims.exhaust()
        worker.suggested = iter(found)
        return None

    def _parent_of(self, new: NewTrial) -> Parent | None:
        if new.parent is None:
            return None
        row = self._view.row(parse_trial(new.parent.trial))
        saved = None if row is None else self._view.checkpoint(row, new.parent.step)
        if row is None or saved is None:
            raise AiohpoError(f"the scheduler chose a checkpoint that was never saved: {new.parent}")
        return Parent(self._view.id(row), *saved)

    def __repr__(self) -> str:
        return f"<Dealer with {self._scheduler!r}>"
