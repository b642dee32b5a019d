"""When models of the model swarm are fitted, and for whom."""

from __future__ import annotations

from typing import Any

import pytest

import aiohpo
from aiohpo.plugin.objective import Objective
from aiohpo.simulation.model.fits import FitClock, Results, SharedFits
from aiohpo.view.view import View


def clock(times: list[float], seconds: float = 1.0) -> FitClock:
    results = Results()
    results.times += times
    return FitClock(results, lambda known: seconds, started=0.0)


def test_a_model_that_knows_everything_answers_at_once() -> None:
    """The fit after the start knew all there is."""
    assert clock([]).ready(5.0, interval=60.0) == (5.0, 0.0)


def test_a_question_ends_the_rest_between_two_fits() -> None:
    """A fit of what is known now begins, and is waited for."""
    assert clock([2.0]).ready(5.0, interval=60.0) == (6.0, 5.0)


def test_a_fit_in_flight_that_knows_enough_is_waited_for() -> None:
    """It began after its rest of nine times a fit, at 10 s."""
    assert clock([2.0]).ready(10.5, interval=60.0) == (11.0, 10.0)


def test_a_fit_in_flight_that_knows_too_little_is_followed_by_another() -> None:
    """Two fits are the longest wait."""
    assert clock([2.0, 10.4]).ready(10.5, interval=60.0) == (12.0, 11.0)


def test_the_wait_is_bounded_by_what_trials_cost() -> None:
    """Then the last model answers: a fifth of the interval, two seconds at most, and not at all for cheap trials."""
    assert clock([2.0]).ready(5.0, interval=2.0) == (5.4, 5.0)
    assert clock([2.0]).ready(5.0, interval=0.001) == (5.0, 0.0)
    assert clock([2.0, 10.4]).ready(10.5, interval=1.0)[0] == pytest.approx(10.7)


def test_many_fits_since_the_last_question_are_not_followed_one_by_one() -> None:
    """Their phase is kept: with fits of 10 ms and rests of 90 ms, one begins each tenth of a second."""
    results = Results()
    results.times += [0.001 * i for i in range(1, 3_000)]
    fits = FitClock(results, lambda known: 0.01, started=0.0)
    ready, knows = fits.ready(2.5501, interval=60.0)
    assert ready == pytest.approx(2.5601)
    assert knows == pytest.approx(2.5501)


def test_a_model_that_lacks_next_to_nothing_is_not_refitted_for_a_question() -> None:
    """At 99.05 s it lacks fifty of 99,000 results, at 2.05 s fifty of 2,000."""
    results = Results()
    results.times += [0.001 * i for i in range(1, 100_000)]
    assert FitClock(results, lambda known: 0.01, 0.0).ready(99.0501, interval=60.0)[0] == 99.0501
    assert FitClock(results, lambda known: 0.01, 0.0).ready(2.0501, interval=60.0)[0] == pytest.approx(2.0601)


class Learner:
    """Counts its fits."""

    fits = 0

    def __init__(self, error: Exception | None = None) -> None:
        self.model: Any = None
        self._error = error

    def setup(self, *study: Any) -> None:
        pass

    def ask(self, *question: Any) -> list[Any]:
        return []

    def fit(self, observations: Any) -> int:
        if self._error:
            raise self._error
        Learner.fits += 1
        return Learner.fits

    def adopt(self, state: Any) -> None:
        self.model = state


def shared() -> tuple[SharedFits, list[str]]:
    said: list[str] = []
    return SharedFits(View(aiohpo.Space(x=aiohpo.Float(0, 1)), Objective("loss", "min")), said.append), said


def test_one_fit_serves_all_who_want_it_within_the_window() -> None:
    """After that another one is made."""
    fits, _ = shared()
    fits.window = 0.1
    workers = [Learner() for _ in range(3)]
    for worker, now in zip(workers, (1.0, 1.05, 1.2), strict=True):
        fits.capture(now)
        fits.serve(worker, now)
    assert workers[0].model == workers[1].model != workers[2].model
    assert fits.count == 2


def test_those_who_do_not_wait_are_served_as_often_as_a_worker_refits() -> None:
    """Fits of 10 ms are followed by rests of 90 ms."""
    fits, _ = shared()
    worker, models = Learner(), []
    for now in (1.0, 1.05, 1.09, 1.11):
        fits.keep_up(now, 0.01)
        fits.serve(worker, now)
        models.append(worker.model)
    assert models[0] == models[1] == models[2] != models[3]


def test_a_fit_that_fails_leaves_the_last_model() -> None:
    """It is said, and the next one is another chance."""
    fits, said = shared()
    good, bad = Learner(), Learner(ValueError("singular"))
    fits.capture(1.0)
    fits.serve(good, 1.0)
    fits.capture(2.0)
    fits.serve(bad, 2.0)
    assert bad.model == good.model
    assert said == ["Learner.fit failed: singular"]
