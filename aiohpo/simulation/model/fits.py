"""Models that several workers share, and when a worker's model is fitted.

:class:`FitClock` follows the rules of :class:`aiohpo.runtime.fitting.Fitting` for one worker without simulating each of
its fits: when a slot asks, it works out what the worker has been fitting since the last time. :class:`SharedFits` does
the fits, and does one for all workers that want one within a short time: what they know differs by little more than
what is under way.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Any

from ...plugin import FittingSearcher
from ...runtime.fitting import REST, is_fresh, patience_for
from ...view.view import View

_MOST_CYCLES = 20  # of a worker's fits that are followed one by one
Seconds = Callable[[int], float]


class Results:
    """When results were recorded, in order."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def before(self, moment: float) -> int:
        """How many there were."""
        return bisect_right(self.times, moment)


class FitClock:
    """When one worker has which model. ``seconds``: what a fit takes where so many results are known."""

    __slots__ = ("_began", "_ended", "_known_before", "_knows", "_results", "_seconds")

    def __init__(self, results: Results, seconds: Seconds, started: float) -> None:
        self._results = results
        self._seconds = seconds
        self._began = started  # the latest fit
        self._knows = results.before(started)
        self._ended = started + seconds(self._knows)
        self._known_before = -1  # by the fit before

    def ready(self, now: float, interval: float) -> tuple[float, float]:
        """A slot asks now. Return when it is answered, and the moment of whose results the model then knows.

        ``interval``: the mean time between two results of the worker.
        """
        self._catch_up(now)
        wanted, patience = self._results.before(now), patience_for(interval)
        known = self._knows if self._ended <= now else self._known_before
        if is_fresh(known, wanted) or not patience:
            return now, self._began
        if self._ended <= now:  # it rests: the question ends that
            self._begin(now)
        elif self._knows < wanted:
            done = self._ended
            if done - now >= patience:
                return now + patience, self._began
            self._begin(done)
        return min(self._ended, now + patience), self._began

    def _begin(self, moment: float) -> None:
        self._known_before = self._knows
        self._began, self._knows = moment, self._results.before(moment)
        self._ended = moment + self._seconds(self._knows)

    def _catch_up(self, now: float) -> None:
        """Begin the fits that were due since the last time."""
        times = self._results.times
        cycle = (1.0 + REST) * (self._ended - self._began)
        cycles = int((now - self._ended) / cycle) if cycle > 0 else 0
        if cycles > _MOST_CYCLES and self._results.before(now) - self._knows > cycles:
            self._begin(self._began + (cycles - 2) * cycle)  # there was something new for each of them
        while self._ended <= now and self._knows < len(times):
            rested = self._ended + REST * (self._ended - self._began)
            due = max(rested, times[self._knows])
            if due > now:
                return
            self._begin(due)
            if self._ended - self._began <= 0:
                return


class SharedFits:
    """Fits models of a view. ``window``: seconds for which one serves all who want one."""

    def __init__(self, view: View, complain: Callable[[str], None]) -> None:
        self.window = 0.0
        self.count = 0
        self._view = view
        self._complain = complain
        self._captured = -1.0
        self._observations: Any = None
        self._state: Any = None
        self._is_fitted = False

    def capture(self, now: float) -> None:
        """Note what is known now, for those who want a model of it."""
        if self._captured < 0 or now - self._captured > self.window:
            self._captured, self._observations, self._is_fitted = now, self._view.observations(), False

    def keep_up(self, now: float, seconds: float) -> None:
        """Note what is known now for those who do not wait, as often as a worker refits: fits of so many ``seconds``,
        and rests between them."""
        if now - self._captured > (1.0 + REST) * seconds:
            self.capture(now)

    def serve(self, searcher: FittingSearcher, now: float) -> None:
        """Let a worker's searcher adopt the newest model."""
        if self._captured < 0:
            self.capture(now)
        if not self._is_fitted:
            if self._state is not None:  # in production its own last model is about as new, and a fit begins with that
                searcher.adopt(self._state)
            try:
                self._state = searcher.fit(self._observations)
                self.count += 1
            except Exception as error:  # the last model stays, as in aiohpo.runtime.fitting
                self._complain(f"{type(searcher).__name__}.fit failed: {error}")
            self._is_fitted = True
        searcher.adopt(self._state)

    def __repr__(self) -> str:
        return f"<SharedFits: {self.count} so far>"
