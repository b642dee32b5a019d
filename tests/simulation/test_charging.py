"""Charging decisions to the virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import aiohpo
from aiohpo.errors import Unavailable
from aiohpo.evaluate.program import Program
from aiohpo.plugin import FittingSearcher, Identity, Observations, Searcher
from aiohpo.plugin.objective import Objective
from aiohpo.simulation.charging import charged, fit_seconds
from aiohpo.simulation.costs import Cost, Costs
from aiohpo.simulation.durations import ConstantTime
from aiohpo.simulation.evaluator import SimEvaluator
from aiohpo.simulation.loop import run
from aiohpo.simulation.rehearsal import Rehearser
from aiohpo.view.view import View

SPACE = aiohpo.Space(x=aiohpo.Float(0, 1))
COSTS = Costs((Cost(10, 1.0, 0.25, 7.0),))


class Plain:
    """Suggests the same over and over."""

    def setup(self, space: aiohpo.Space, seed: int, identity: Identity) -> None:
        pass

    def ask(self, view: Any, rng: np.random.Generator, slots: Sequence[int]) -> list[dict[str, Any]]:
        return [{"x": 0.5}] * len(slots)


class Learning(Plain):
    """Counts its fits."""

    def __init__(self, error: Exception | None = None) -> None:
        self.fits = 0
        self.model: Any = None
        self._error = error

    def fit(self, observations: Observations) -> int:
        self.fits += 1
        if self._error is not None:
            raise self._error
        return self.fits

    def adopt(self, state: int) -> None:
        self.model = state


def evaluator() -> SimEvaluator:
    return SimEvaluator("w", Rehearser(Program(lambda trial: 0.0), 0), ConstantTime(1.0), 0, [])


def view() -> View:
    return View(SPACE, Objective("loss", "min"))


def test_a_charged_searcher_learns_if_the_searcher_does() -> None:
    """The worker fits only those that do."""
    plain, learning = (charged(made, COSTS, evaluator(), print) for made in (Plain(), Learning()))
    assert isinstance(plain, Searcher)
    assert not isinstance(plain, FittingSearcher)
    assert isinstance(learning, FittingSearcher)


def test_asking_keeps_the_worker_busy() -> None:
    """What is asked for while it is busy adds up; the clock itself stands still."""

    async def main() -> list[float]:
        slots = evaluator()
        searcher = charged(Plain(), COSTS, slots, print)
        free = []
        for _ in range(2):
            searcher.ask(view(), np.random.default_rng(0), (0, 1, 2))
            free.append(slots.free_at)
        await asyncio.sleep(10)
        searcher.ask(view(), np.random.default_rng(0), (0,))
        return [*free, slots.free_at]

    assert run(main) == [1.5, 3.0, 11.0]


def test_a_fit_takes_its_time_in_the_executor() -> None:
    """Any other function takes what it takes without charging."""
    searcher = charged(Learning(), COSTS, evaluator(), print)
    seconds = fit_seconds(COSTS)
    assert seconds(searcher.fit, (view().observations(),)) == 7.0  # type: ignore[attr-defined]
    assert seconds(len, ("abc",)) is None


def test_a_model_that_nobody_asks_is_not_computed() -> None:
    """The newest one is, once, when it is asked."""
    inner = Learning()
    searcher = charged(inner, COSTS, evaluator(), print)

    async def main() -> None:
        for _ in range(5):
            searcher.adopt(searcher.fit(view().observations()))  # type: ignore[attr-defined]
        assert inner.fits == 0
        for _ in range(2):
            searcher.ask(view(), np.random.default_rng(0), (0,))
        assert (inner.fits, inner.model) == (1, 1)

    run(main)


def test_a_fit_that_fails_leaves_the_last_model() -> None:
    """People hear of it as in any search; what is nobody's fault ends the worker as it does there."""
    said: list[str] = []

    async def ask(error: Exception) -> list[dict[str, Any]]:
        searcher = charged(Learning(error), COSTS, evaluator(), said.append)
        searcher.adopt(searcher.fit(view().observations()))  # type: ignore[attr-defined]
        return searcher.ask(view(), np.random.default_rng(0), (0,))

    assert run(lambda: ask(ValueError("singular"))) == [{"x": 0.5}]
    assert "ValueError: singular" in said[0]
    with pytest.raises(Unavailable):
        run(lambda: ask(Unavailable("no memory")))
