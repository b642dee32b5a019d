"""Studies told event by event, for the tests of schedulers: what they decide on is the production view.

A :class:`Told` is the log of one worker who did it all (a scheduler does not see who did what). Trials are named by
what :meth:`Told.new` returned. :meth:`Told.again` gives the same set of events to a fresh view in another order.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

import numpy as np

from aiohpo import Float, Space
from aiohpo.events.schema import (
    Claimed,
    Ended,
    Ending,
    Event,
    Goal,
    Lost,
    Proposed,
    Reported,
    Saved,
    Started,
    parse_trial,
)
from aiohpo.peer.eligibility import Eligibility
from aiohpo.plugin import Decision, Identity, NewTrial, Resume, Scheduler
from aiohpo.plugin.objective import Objective
from aiohpo.view.view import View

SPACE = Space(x=Float(0.0, 1.0))


class Told:
    """A study with ``max_steps`` and, if given, a budget of ``trials``."""

    def __init__(self, max_steps: int | None = 27, trials: int | None = None, mode: str = "min") -> None:
        self.max_steps, self.mode = max_steps, mode
        self.events: list[tuple[str, int, Event]] = []
        self.view = self._fresh()
        self.claims = Eligibility(self.view, None, lambda digest: False)
        self._own: dict[str, int] = {}
        self._last_steps: dict[str, int] = {}  # of a complete trial, for workers that began with others
        if trials is not None:
            self._say("teller", Goal(self._now(), trials))

    def _fresh(self) -> View:
        return View(SPACE, Objective("loss", "max" if self.mode == "max" else "min"), self.max_steps)

    def _now(self) -> int:
        return len(self.events) + 1

    def _say(self, worker: str, event: Event) -> int:
        seq = self._own[worker] = self._own.get(worker, 0) + 1
        self.events.append((worker, seq, event))
        self.view.apply(worker, seq, event)
        return seq

    def began_with(self, max_steps: int, worker: str) -> None:
        """Let ``worker`` have begun when complete trials had so many steps; to be told first."""
        self._last_steps[worker] = max_steps
        self._say(worker, Started(self._now(), 0.0, "host", 1, "", None, max_steps))

    def new(self, to_step: int | None = None, bracket: int = 0, worker: str = "teller") -> str:
        to = to_step or self._last_steps.get(worker)
        seq = self._say(worker, Proposed(self._now(), 0.0, (self._now() / 1e6,), 0, to, bracket))
        return f"{worker}-{seq}"

    def report(self, trial: str, step: int, value: float | None) -> None:
        """By the trial's latest segment."""
        attempt = max(self.view.trial(trial).attempt, 0)
        self._say("teller", Reported(self._now(), parse_trial(trial), attempt, step, value))

    def save(self, trial: str, step: int) -> None:
        attempt = max(self.view.trial(trial).attempt, 0)
        self._say("teller", Saved(self._now(), parse_trial(trial), attempt, step, f"{step:064x}", 1))

    def end(self, trial: str, how: Ending, value: float | None = None) -> None:
        """End the latest segment: its owner says so."""
        state, (owner, _) = self.view.trial(trial), parse_trial(trial)
        row = self.view.row(parse_trial(trial))
        assert row is not None
        worker = self.view.owner_of(row) or owner
        event = Ended(
            self._now(), parse_trial(trial), max(state.attempt, 0), how, state.step, value, 1.0,
            max_steps=self._last_steps.get(worker),
        )  # fmt: skip
        self._say(worker, event)

    def resume(self, trial: str, to_step: int | None = None, worker: str = "teller") -> None:
        attempt = self.view.trial(trial).attempt + 1
        to = to_step or self._last_steps.get(worker)
        self._say(worker, Claimed(self._now(), 0.0, parse_trial(trial), attempt, to))

    def lose(self, trial: str) -> None:
        self._say("teller", Lost(self._now(), parse_trial(trial), self.view.trial(trial).attempt))

    def paused(self, to_step: int, value: float | None, bracket: int = 0) -> str:
        """A new trial that ran to ``to_step`` and paused there."""
        trial = self.new(to_step, bracket)
        self.reach(trial, to_step, value)
        return trial

    def reach(self, trial: str, step: int, value: float | None) -> None:
        """The running trial reports at ``step`` and pauses."""
        if value is not None:
            self.report(trial, step, value)
        self.end(trial, "paused")

    def go_on(self, trial: str, to_step: int | None, value: float) -> None:
        """The paused trial is resumed and gets there."""
        self.resume(trial, to_step)
        if to_step is None:
            self.end(trial, "finished", value)
        else:
            self.reach(trial, to_step, value)

    def again(self, seed: int) -> View:
        """A fresh view of the same events, in another order (of each worker's in order)."""
        view, rng = self._fresh(), random.Random(seed)
        queues: dict[str, list[tuple[str, int, Event]]] = {}
        for event in self.events:
            queues.setdefault(event[0], []).append(event)
        while queues:
            worker = rng.choice(sorted(queues))
            view.apply(*queues[worker].pop(0))
            if not queues[worker]:
                del queues[worker]
        return view


class SomeClaims:
    """Claims with a fixed content."""

    def __init__(self, start: bool = True, refused: Collection[str] = (), held: Collection[str] = ()) -> None:
        self.start, self.refused, self.held = start, refused, held

    def may_start(self, *, suggested: bool = True) -> bool:
        return self.start

    def may_claim(self, trial: str) -> bool:
        return trial not in self.refused

    def holds(self, trial: str, step: int | None = None) -> bool:
        return trial in self.held

    def obtainable(self, trial: str, step: int) -> bool:
        return True


def begun(scheduler: Scheduler, max_steps: int = 27) -> Scheduler:
    """The scheduler after setup."""
    scheduler.setup(max_steps, 0, Identity("somebody"))
    return scheduler


def work(scheduler: Scheduler, told: Told, segments: int, losses: Sequence[float], fails: Collection[int] = ()) -> None:
    """One worker carries out what ``scheduler`` says, ``segments`` times.

    The i-th trial has ``losses[i % len(losses)]`` at every step; those whose i is in ``fails`` fail. A trial stops
    where it is told to.
    """
    rng, numbers = np.random.default_rng(0), {}
    for _ in range(segments):
        choice = scheduler.next(told.view, told.claims, rng)
        if isinstance(choice, NewTrial):
            if not told.claims.may_start():
                return
            trial = told.new(choice.to_step, choice.bracket)
            numbers[trial] = len(numbers)
        else:
            assert isinstance(choice, Resume)
            trial = choice.trial
            told.resume(trial, choice.to_step)
        run_segment(scheduler, told, trial, losses[numbers[trial] % len(losses)], numbers[trial] in fails)


def run_segment(scheduler: Scheduler, told: Told, trial: str, loss: float, fails: bool = False) -> None:
    """Run the latest segment of ``trial`` to where it pauses, ends or is stopped."""
    if fails:
        told.end(trial, "failed")
        return
    state = told.view.trial(trial)
    last = state.to_step or told.max_steps or 0
    for step in range(state.step + 1, last + 1):
        told.report(trial, step, loss)
        if scheduler.on_report(told.view, trial, step) is Decision.STOP:
            told.end(trial, "stopped", loss)
            return
    told.end(trial, "finished" if state.to_step is None else "paused", loss if state.to_step is None else None)
