"""Tests of keeping a searcher's model up to date, in virtual time."""

from __future__ import annotations

import asyncio

from aiohpo.plugin.objective import Objective
from aiohpo.runtime.fitting import Fitting, is_fresh
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


def play(main, learner=None, complain=None):
    learner = learner or Learner()

    async def whole():
        view = View(SPACE, Objective("loss", "min"))
        fitting = Fitting(learner, view, complain)
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


def test_results_that_arrive_while_a_suggestion_waits_are_not_waited_for():
    """In a large swarm something arrives during every fit: a suggestion waits for what was there when it was asked."""

    async def main(view, learner, fitting):
        loop = asyncio.get_running_loop()
        events = list(enumerate(events_of(600), start=1))

        async def arrive():
            for i in range(0, len(events), 3):
                grow(view, fitting, events[i : i + 3])
                await asyncio.sleep(0.001)

        arriving = asyncio.create_task(arrive())
        await asyncio.sleep(0.1)
        before, known = loop.time(), view.n_results
        await fitting.fresh(1000.0)
        assert learner.adopted[-1] >= known
        assert loop.time() - before < 0.021  # two fits of at most 10 ms
        await arriving

    play(main)


def test_a_model_that_lacks_a_hundredth_of_many_results_is_fresh_enough():
    """Of 1,000 results ten may be missing, but not a single one, which may be the worker's own."""
    assert [is_fresh(known, 1000) for known in (989, 990, 998, 999, 1000)] == [False, True, True, False, True]
    assert not is_fresh(18, 20)


def test_a_fit_that_raises_leaves_the_last_model_and_is_said_once():
    """A searcher that cannot learn from some results keeps its model, is waited for by none, and learns from others."""
    said = []

    class Broken(Learner):
        def fit(self, observations):
            n = super().fit(observations)
            if n in (4, 8):
                raise ArithmeticError("singular")
            return n

    async def main(view, learner, fitting):
        await asyncio.sleep(1.0)
        events = list(enumerate(events_of(9), start=1))
        for i in range(0, len(events), 9):
            grow(view, fitting, events[i : i + 9])
            await fitting.fresh(1000.0)
            await asyncio.sleep(10.0)
        assert learner.adopted == [0, 9]

    play(main, Broken(), said.append)
    assert len(said) == 1
    assert "Broken.fit failed (ArithmeticError: singular): the search continues with the last model" in said[0]


def test_what_the_searcher_does_is_said_when_it_changes():
    """A searcher that explains itself is heard at the start and after the fits that change what it says."""

    class Explaining(Learner):
        def setup(self, space, seed, identity):
            pass

        def ask(self, view, rng, slots):
            return []

        def explain(self):
            return "many" if self.adopted and self.adopted[-1] > 4 else "few"

    said = []

    async def main():
        view = View(SPACE, Objective("loss", "min"))
        fitting = Fitting(Explaining(), view, explain=said.append)
        task = asyncio.create_task(fitting.keep_updated())
        for seq, event in enumerate(events_of(20), start=1):
            grow(view, fitting, [(seq, event)])
            await asyncio.sleep(100.0)
        task.cancel()

    run(main, seed=0, timeout=1e6)
    assert said == ["few", "many"]
