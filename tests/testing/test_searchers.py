"""The searchers' conformance check accepts a good searcher and names what a bad one violates."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from aiohpo.plugin import Config, Identity, Observations, StudyView
from aiohpo.space.space import Float, Space
from aiohpo.testing import check_searcher


class Good:
    """Draw at random what nobody has seen; list a finite space. A model that counts observations."""

    def __init__(self) -> None:
        self.known = 0

    def setup(self, space: Space, seed: int, identity: Identity) -> None:
        self.space = space

    def fit(self, observations: Observations) -> Any:
        return len(observations.X)

    def adopt(self, state: Any) -> None:
        self.known = state

    def ask(self, view: StudyView, rng: np.random.Generator, slots: Sequence[int]) -> list[Config]:
        if self.space.size < 100:
            units = self.space.encode(self.space.grid(100))
        else:
            units = self.space.sample(rng, 4 * len(slots) + self.known)[self.known :]
        units = units[~view.seen(units)]
        _, first = np.unique(np.nan_to_num(units, nan=-1), axis=0, return_index=True)
        return self.space.decode(units[np.sort(first)][: len(slots)])


class Repeats(Good):
    def ask(self, view: StudyView, rng: np.random.Generator, slots: Sequence[int]) -> list[Config]:
        return [self.space.default()]


class Collapses(Good):
    def ask(self, view: StudyView, rng: np.random.Generator, slots: Sequence[int]) -> list[Config]:
        return super().ask(view, rng, (0,)) * len(slots)


class TooMany(Good):
    def ask(self, view: StudyView, rng: np.random.Generator, slots: Sequence[int]) -> list[Config]:
        return super().ask(view, rng, [*slots, 0])


class Incomplete(Good):
    def ask(self, view: StudyView, rng: np.random.Generator, slots: Sequence[int]) -> list[Config]:
        return [dict(list(config.items())[1:]) for config in super().ask(view, rng, slots)]


class Unrepeatable(Good):
    def ask(self, view: StudyView, rng: np.random.Generator, slots: Sequence[int]) -> list[Config]:
        return super().ask(view, np.random.default_rng(), slots)


class GlobalRandom(Good):
    def ask(self, view: StudyView, rng: np.random.Generator, slots: Sequence[int]) -> list[Config]:
        random.random()
        return super().ask(view, rng, slots)


class SticksToItsFirstModel(Good):
    def fit(self, observations: Observations) -> Any:
        return round(100 * np.nansum(observations.X[:1])) + 1

    def adopt(self, state: Any) -> None:
        self.known = self.known or state


class FitsInPlace(Good):
    def fit(self, observations: Observations) -> Any:
        self.known = len(observations.X)
        return self.known


class GivesUp(Good):
    def ask(self, view: StudyView, rng: np.random.Generator, slots: Sequence[int]) -> list[Config]:
        units = self.space.sample(rng, len(slots))
        return self.space.decode(units[~view.seen(units)][:1])


class CannotFitNothing(Good):
    def fit(self, observations: Observations) -> Any:
        return len(observations.X[0])


class Slow(Good):
    def ask(self, view: StudyView, rng: np.random.Generator, slots: Sequence[int]) -> list[Config]:
        if view.n_observed == 200:
            sum(k * k for k in range(2_000_000))
        return super().ask(view, rng, slots)


class KnowsOneSlot(Good):
    def ask(self, view: StudyView, rng: np.random.Generator, slots: Sequence[int]) -> list[Config]:
        return [super().ask(view, rng, slots)][slots[0]]


class HalfAModel:
    def setup(self, space: Space, seed: int, identity: Identity) -> None: ...

    def ask(self, view: StudyView, rng: np.random.Generator, slots: Sequence[int]) -> list[Config]:
        return []

    def fit(self, observations: Observations) -> Any: ...


class RefusesMutely(Good):
    def setup(self, space: Space, seed: int, identity: Identity) -> None:
        raise ValueError


class ServesOneSpace(Good):
    def setup(self, space: Space, seed: int, identity: Identity) -> None:
        if "x" not in space:
            raise ValueError("serves only spaces with a parameter x")
        super().setup(space, seed, identity)


@pytest.mark.parametrize("factory", [Good, ServesOneSpace])
def test_accepts_good_searchers(factory: Callable[[], Good]) -> None:
    """A searcher that keeps its promises passes, on the spaces that it serves."""
    check_searcher(factory)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (Repeats, "returned a configuration that was seen"),
        (Collapses, "returned only 1 distinct configurations"),
        (TooMany, "returned 2 configurations"),
        (Incomplete, "returned the invalid"),
        (Unrepeatable, "equal seeds gave"),
        (GlobalRandom, "used the global random state"),
        (SticksToItsFirstModel, "the order in which observations arrived changes the answer"),
        (FitsInPlace, r"fit\(\) changes the answers before adopt\(\)"),
        (GivesUp, "nothing|left of 12"),
        (CannotFitNothing, r"fit\(\) with no observation on the continuous space raised IndexError"),
        (Slow, r"ask\(\) took .* s of CPU"),
        (KnowsOneSlot, r"for the slots \(3,\) .* raised IndexError"),
        (HalfAModel, r"it needs both or neither"),
        (RefusesMutely, "refuses the continuous space without saying why"),
    ],
)
def test_names_what_is_violated(factory: Callable[[], Any], message: str) -> None:
    """A searcher that breaks a promise fails, and the error says which."""
    with pytest.raises(AssertionError, match=message):
        check_searcher(factory, ask_seconds=0.02)


def test_one_space_must_be_served() -> None:
    """A searcher that refuses every space has not been checked, and fails."""
    with pytest.raises(AssertionError, match="serves none of the spaces tried"):
        check_searcher(ServesOneSpace, spaces={"other": Space(z=Float(0, 1))})
