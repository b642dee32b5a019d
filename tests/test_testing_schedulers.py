"""The schedulers' conformance check accepts a good scheduler and names what a bad one violates."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from aiohpo.interfaces import Decision, Identity, Idle, NewTrial, Resume, View
from aiohpo.testing import check_scheduler


class Good:
    """Run every trial to its end."""

    def setup(self, max_steps: int | None, seed: int, identity: Identity) -> None:
        self.max_steps = max_steps

    def next(self, view: View, claims: Any, rng: np.random.Generator) -> NewTrial | Resume | Idle:
        return NewTrial(self.max_steps)

    def on_report(self, view: View, trial: str, step: int) -> Decision:
        return Decision.CONTINUE


class Lazy(Good):
    def next(self, view: View, claims: Any, rng: np.random.Generator) -> NewTrial | Resume | Idle:
        return Idle()


class Overshoots(Good):
    def next(self, view: View, claims: Any, rng: np.random.Generator) -> NewTrial | Resume | Idle:
        return NewTrial((self.max_steps or 0) + 1)


class Unrepeatable(Good):
    def next(self, view: View, claims: Any, rng: np.random.Generator) -> NewTrial | Resume | Idle:
        return NewTrial(int(np.random.default_rng().integers(1_000_000)) + 1)


class GlobalRandom(Good):
    def next(self, view: View, claims: Any, rng: np.random.Generator) -> NewTrial | Resume | Idle:
        random.random()
        return NewTrial(self.max_steps)


class Mumbles(Good):
    def next(self, view: View, claims: Any, rng: np.random.Generator) -> Any:
        return 3


class RefusesAll(Good):
    def setup(self, max_steps: int | None, seed: int, identity: Identity) -> None:
        raise ValueError("never")


def test_accepts_a_good_scheduler() -> None:
    """A scheduler that keeps its promises passes."""
    check_scheduler(Good)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (Lazy, r"gave Idle\(\) to a free worker"),
        (Overshoots, "a step which the study does not have"),
        (Unrepeatable, "to equal questions"),
        (GlobalRandom, "used global random state"),
        (Mumbles, "gave 3"),
        (RefusesAll, "serves none"),
        (object, "lacks setup"),
    ],
)
def test_names_what_is_violated(factory: Any, message: str) -> None:
    """A scheduler that breaks a promise fails, and the error says which."""
    with pytest.raises(AssertionError, match=message):
        check_scheduler(factory)
