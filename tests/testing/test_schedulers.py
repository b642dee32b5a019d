"""The schedulers' conformance check accepts a good scheduler and names what a bad one violates."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from aiohpo.plugin import Decision, Identity, Idle, Inherit, NewTrial, Resume, StudyView, TrialState
from aiohpo.testing import check_scheduler


class Good:
    """Run every trial to its end."""

    def setup(self, max_steps: int | None, seed: int, identity: Identity) -> None:
        self.max_steps = max_steps

    def next(self, view: StudyView, claims: Any, rng: np.random.Generator) -> NewTrial | Resume | Idle:
        return NewTrial(self.max_steps)

    def on_report(self, view: StudyView, trial: str, step: int) -> Decision:
        return Decision.CONTINUE


class Lazy(Good):
    def next(self, view: StudyView, claims: Any, rng: np.random.Generator) -> NewTrial | Resume | Idle:
        return Idle()


class Overshoots(Good):
    def next(self, view: StudyView, claims: Any, rng: np.random.Generator) -> NewTrial | Resume | Idle:
        return NewTrial((self.max_steps or 0) + 1)


class Unrepeatable(Good):
    def next(self, view: StudyView, claims: Any, rng: np.random.Generator) -> NewTrial | Resume | Idle:
        return NewTrial(int(np.random.default_rng().integers(1_000_000)) + 1)


class GlobalRandom(Good):
    def next(self, view: StudyView, claims: Any, rng: np.random.Generator) -> NewTrial | Resume | Idle:
        random.random()
        return NewTrial(self.max_steps)


class Mumbles(Good):
    def next(self, view: StudyView, claims: Any, rng: np.random.Generator) -> Any:
        return 3


class Halves(Good):
    """Pause half-way, then go on."""

    def next(self, view: StudyView, claims: Any, rng: np.random.Generator) -> NewTrial | Resume | Idle:
        paused = [t.id for t in trials(view) if t.status == "paused" and claims.may_claim(t.id)]
        return Resume(min(paused)) if paused else NewTrial((self.max_steps or 0) // 2 or None)


def trials(view: StudyView) -> list[TrialState]:
    return [view.trial(id) for id in view.changed(0)[0]]


class ResumesAnything(Halves):
    def next(self, view: StudyView, claims: Any, rng: np.random.Generator) -> NewTrial | Resume | Idle:
        return next((Resume(t.id) for t in trials(view) if t.status != "paused"), NewTrial(1))


class Unclaimed(Halves):
    def next(self, view: StudyView, claims: Any, rng: np.random.Generator) -> NewTrial | Resume | Idle:
        return next((Resume(t.id) for t in trials(view) if t.status == "paused"), NewTrial(1))


class StepsBack(Halves):
    def next(self, view: StudyView, claims: Any, rng: np.random.Generator) -> NewTrial | Resume | Idle:
        answer = super().next(view, claims, rng)
        return Resume(answer.trial, 1) if isinstance(answer, Resume) else answer


class Remembers(Good):
    asked = 0

    def next(self, view: StudyView, claims: Any, rng: np.random.Generator) -> NewTrial | Resume | Idle:
        self.asked += 1
        return NewTrial(bracket=self.asked // 3)


class ArrivesReports(Good):
    def on_report(self, view: StudyView, trial: str, step: int) -> Decision:
        return Decision.STOP if view.changed(0)[0][0] < trial else Decision.CONTINUE


class NeverEnough(Good):
    """Pause after every step, and begin anew for ever."""

    def next(self, view: StudyView, claims: Any, rng: np.random.Generator) -> NewTrial | Resume | Idle:
        paused = [t.id for t in trials(view) if t.status == "paused" and claims.may_claim(t.id)]
        return Resume(min(paused), self.max_steps, restart=True) if paused else NewTrial(1)

    def on_report(self, view: StudyView, trial: str, step: int) -> Decision:
        return Decision.PAUSE


class NoDecision(Good):
    def on_report(self, view: StudyView, trial: str, step: int) -> Any:
        return "continue"


class StrangeParent(Good):
    def next(self, view: StudyView, claims: Any, rng: np.random.Generator) -> NewTrial | Resume | Idle:
        known = view.changed(0)[0]
        return NewTrial(parent=Inherit(known[0], 1000)) if known else NewTrial()


class StrangeConfig(Good):
    def next(self, view: StudyView, claims: Any, rng: np.random.Generator) -> NewTrial | Resume | Idle:
        return NewTrial(config={"y": 1})


class KeepsAnything(Good):
    def keeps(self, view: StudyView, trial: TrialState) -> list[int]:
        return [1000]


class KeepsNewest(Good):
    def keeps(self, view: StudyView, trial: TrialState) -> list[int]:
        return list(trial.checkpoints[:1])


class Retires(Good):
    """Stop when ten trials are there, though there is a budget for more."""

    def next(self, view: StudyView, claims: Any, rng: np.random.Generator) -> NewTrial | Resume | Idle:
        return NewTrial() if view.n_trials < 10 else Idle()


class RefusesAll(Good):
    def setup(self, max_steps: int | None, seed: int, identity: Identity) -> None:
        raise ValueError("never")


@pytest.mark.parametrize("factory", [Good, Halves, Retires, KeepsNewest])
def test_accepts_a_good_scheduler(factory: Any) -> None:
    """A scheduler that keeps its promises passes, whether or not it pauses trials, ends early, or keeps checkpoints."""
    check_scheduler(factory)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (Lazy, r"gave Idle\(\) to a free worker"),
        (Overshoots, "a step which the study does not have"),
        (Unrepeatable, "to the same question"),
        (GlobalRandom, "used global random state"),
        (Mumbles, "gave 3"),
        (RefusesAll, "serves none"),
        (ResumesAnything, "but that trial is (running|finished|failed)"),
        (Unclaimed, "which this worker may not claim"),
        (StepsBack, "from which the trial begins"),
        (Remembers, "a fresh scheduler gives"),
        (ArrivesReports, "the order in which events arrive"),
        (NeverEnough, "never ends"),
        (NoDecision, "not a Decision"),
        (StrangeParent, "but the checkpoints of that trial are at"),
        (StrangeConfig, "a configuration that is not of this space"),
        (KeepsAnything, r"nothing was saved at \[1000\]"),
        (object, "lacks setup"),
    ],
)
def test_names_what_is_violated(factory: Any, message: str) -> None:
    """A scheduler that breaks a promise fails, and the error says which."""
    with pytest.raises(AssertionError, match=message):
        check_scheduler(factory)
