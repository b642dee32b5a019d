"""Tests of keeping a searcher's model up to date, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from aiohpo.plugin.objective import Objective
from aiohpo.runtime.fitting import Fitting
from aiohpo.testing import run
from aiohpo.view.view import View
from tests.support.histories import SPACE, events_of


class Learner:
    """Remembers what its fits saw, and how many were in flight at once."""

    def __init__(self) -> None:
        self.adopted: list[int] = []

    def setup(self, space, seed, identity):
        pass

    def ask(self, view, rng, slots):
        return []

    def fit(self, observations):
        return len(observations.y)

    def adopt(self, state):
        self.adopted.append(state)


def grow(view: View, fitting: Fitting, events) -> None:
    for seq, event in events:
        view.apply("ann", seq, event)
    fitting.note_new_results()


def play(main):
    async def whole():
        view, learner = View(SPACE, Objective("loss", "min")), Learner()
        fitting = Fitting(learner, view)
        task = asyncio.create_task(fitting.keep_updated())
        try:
            await main(view, learner, fitting)
        finally:
            task.cancel()

    run(whole, seed=0, timeout=1000.0)


def test_new_results_lead_to_one_refit():
    """Many results during a fit lead to one more fit, of all of them; without news nothing is fitted."""

    async def main(view, learner, fitting):
        await asyncio.sleep(10.0)
        events = list(enumerate(events_of(20), start=1))
        for i in range(0, len(events), 3):
            grow(view, fitting, events[i : i + 3])
        await asyncio.sleep(10.0)
        assert learner.adopted[0] == 0
        assert learner.adopted[-1] == 20
        fits = len(learner.adopted)
        assert fits <= 4
        fitting.note_new_results()
        await asyncio.sleep(10.0)
        assert len(learner.adopted) == fits

    play(main)


def test_waiting_for_a_fresh_model_is_bounded_by_what_trials_cost():
    """A suggestion waits a tenth of a trial's time at most, and not at all for cheap trials."""

    async def main(view, learner, fitting):
        loop = asyncio.get_running_loop()
        await asyncio.sleep(1.0)
        grow(view, fitting, enumerate(events_of(3), start=1))
        before = loop.time()
        await fitting.fresh(0.001)
        assert loop.time() == before
        await fitting.fresh(1000.0)
        assert learner.adopted[-1] == 3
        assert loop.time() - before < 2.1

    play(main)


def test_what_a_fit_raises_comes_out():
    """keep() ends with the searcher's own error."""

    class Broken(Learner):
        def fit(self, observations):
            raise ArithmeticError("singular")

    async def main():
        with pytest.raises(ArithmeticError, match="singular"):
            await Fitting(Broken(), View(SPACE, Objective("loss", "min"))).keep_updated()

    run(main, seed=0, timeout=100.0)
