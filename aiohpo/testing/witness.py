"""A scheduler under observation: each of its answers is checked against what its protocol promises."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from aiohpo.plugin import (
    Claims,
    Decision,
    Identity,
    Idle,
    KeepingScheduler,
    NewTrial,
    Resume,
    Scheduler,
    StudyView,
    TrialState,
)

from .randomness import global_random_state

Answer = NewTrial | Resume | Idle


class _Choosy:
    """Claims that refuse each worker every fourth trial, as a race of many workers would."""

    def __init__(self, claims: Claims, worker: str) -> None:
        self._claims, self._worker = claims, worker
        self.may_start, self.holds, self.obtainable = claims.may_start, claims.holds, claims.obtainable

    def may_claim(self, trial: str) -> bool:
        return zlib.crc32(f"{self._worker}/{trial}".encode()) % 4 > 0 and self._claims.may_claim(trial)


class Witness:
    """Passes everything on to a scheduler made by ``factory``, and raises AssertionError for a wrong answer.

    Every ``often``-th time the question is put to a fresh scheduler as well, which has to give the same answer: what
    a scheduler keeps between calls may be a cache of the view and nothing else.
    """

    def __init__(self, factory: Callable[[], Scheduler], often: int = 5) -> None:
        self._factory, self._often = factory, often
        self.scheduler = factory()
        self.asked = 0
        self.last: Answer | None = None
        self.wrong: list[AssertionError] = []

    def setup(self, max_steps: int | None, seed: int, identity: Identity) -> None:
        self._setup = max_steps, seed, identity
        self._max_steps = max_steps
        self.scheduler.setup(*self._setup)

    def next(self, view: StudyView, claims: Claims, rng: np.random.Generator) -> Answer:
        claims = _Choosy(claims, self._setup[2].worker)
        with self._noting():
            where = f"next() with {view!r}"
            before, state = global_random_state(), copy.deepcopy(rng)
            self.last = answer = self.scheduler.next(view, claims, rng)
            assert before == global_random_state(), f"{where} used global random state"
            self._check(answer, view, claims, f"{where} gave {answer!r}")
            if self._again():
                again = self._fresh().next(view, claims, state)
                assert again == answer, f"{where} gave {answer}; a fresh scheduler gives {again} to the same question"
        return answer

    def on_report(self, view: StudyView, trial: str, step: int) -> Decision:
        with self._noting():
            where = f"on_report({trial!r}, {step}) with {view!r}"
            decision = self.scheduler.on_report(view, trial, step)
            assert isinstance(decision, Decision), f"{where} gave {decision!r}, not a Decision"
            if self._again():
                again = self._fresh().on_report(view, trial, step)
                assert again == decision, f"{where} gave {decision}; a fresh scheduler gives {again}"
        return decision

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """What is raised while a trial reports is taken for the objective's fault, so it is kept as well."""
        try:
            yield
        except AssertionError as error:
            self.wrong.append(error)
            raise

    def _again(self) -> bool:
        self.asked += 1
        return self.asked % self._often == 0

    def _fresh(self) -> Scheduler:
        scheduler = self._factory()
        scheduler.setup(*self._setup)
        return scheduler

    def _check(self, answer: Any, view: StudyView, claims: Claims, what: str) -> None:
        assert isinstance(answer, NewTrial | Resume | Idle), f"{what}, not NewTrial, Resume or Idle"
        if isinstance(answer, Idle):
            return
        begins = 0
        if isinstance(answer, Resume):
            begins = self._resumes(answer, view, claims, what)
        else:
            whole = isinstance(answer.bracket, int)
            assert whole and answer.bracket >= 0, f"{what}, and a bracket is a whole number from 0 on"  # noqa: PT018
            if answer.config is not None:
                try:
                    view.space.validate(answer.config)
                except ValueError as error:
                    raise AssertionError(f"{what}, a configuration that is not of this space: {error}") from error
            if answer.parent is not None:
                saved = _trial(view, answer.parent.trial, what).checkpoints
                assert answer.parent.step in saved, f"{what}, but the checkpoints of that trial are at {list(saved)}"
                begins = answer.parent.step
        if answer.to_step is not None:
            fits = answer.to_step > begins and (self._max_steps is None or answer.to_step <= self._max_steps)
            assert fits, f"{what}, a step which the study does not have, or from which the trial begins"

    def _resumes(self, answer: Resume, view: StudyView, claims: Claims, what: str) -> int:
        state = _trial(view, answer.trial, what)
        assert state.status == "paused", f"{what}, but that trial is {state.status}"
        assert claims.may_claim(answer.trial), f"{what}, which this worker may not claim"
        return state.step


class KeepingWitness(Witness):
    """A witness for a scheduler that says which checkpoints it needs."""

    def keeps(self, view: StudyView, trial: TrialState) -> Collection[int]:
        assert isinstance(self.scheduler, KeepingScheduler)
        steps = self.scheduler.keeps(view, trial)
        unknown = [step for step in steps if step not in trial.checkpoints]
        assert not unknown, f"keeps({trial}) gave {steps}: nothing was saved at {unknown}"
        return steps


def witness(factory: Callable[[], Scheduler], often: int = 5) -> Witness:
    """Return a witness that has ``keeps`` just where the scheduler has it."""
    kind = KeepingWitness if isinstance(factory(), KeepingScheduler) else Witness
    return kind(factory, often)


def _trial(view: StudyView, id: str, what: str) -> TrialState:
    try:
        return view.trial(id)
    except KeyError:
        raise AssertionError(f"{what}, and there is no such trial") from None
