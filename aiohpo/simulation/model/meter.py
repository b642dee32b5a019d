"""How much is recorded in a swarm of the model, and how long it takes to be known."""

from __future__ import annotations

import math
import random

import numpy as np
from numpy.typing import NDArray

from ...mesh.timing import COLLECT_FOR, Timing
from ..probe import counts_as_news, met_after
from .news import Spreading
from .traffic import traffic_of

_MOST_SAMPLES = 1_000_000  # arrivals of events that are drawn
_MOST_EVENTS, _LEAST_EVENTS = 1000, 20
_RATE_OVER = 10.0  # seconds that the rate is averaged over


class Meter:
    """Counts what workers record and draws, for some of it, when everybody hears of it.

    rate    batches of news that the swarm records in a second; what a worker records before its batch leaves is in it
    delay   seconds after which 99 % of the workers know of an event, as of the latest that was drawn
    """

    def __init__(self, spreading: Spreading, workers: int, seconds: float, latency: float) -> None:
        self.rate = 0.0
        self.delay = latency
        self._latency = latency
        self._spreading = spreading
        self._workers = workers
        events = max(min(_MOST_EVENTS, _MOST_SAMPLES // workers), _LEAST_EVENTS)
        self._every = seconds / events if math.isfinite(seconds) else 5.0
        self._due = 0.0
        self._candidates = 0  # for being drawn, in this period
        self._rng = random.Random(workers)
        self._met = met_after(seconds)
        self._batches = self._batches_before = 0
        self._counted = self._bytes = 0  # batches and bytes since the swarm has met
        self._rated_at = 0.0
        self._leaves = np.full(workers, -math.inf)  # when each worker's last batch left, or will
        self._samples: list[tuple[float, NDArray[np.float64]]] = []

    def note(self, now: float, place: int, size: int) -> None:
        """The worker in ``place`` has recorded an event of ``size`` bytes."""
        counts = now >= self._met
        self._bytes += size * counts
        if now <= self._leaves[place]:
            return
        self._leaves[place] = max(now + COLLECT_FOR, self._leaves[place] + self._spreading.interval)
        self._batches += 1
        self._counted += counts
        elapsed = now - self._rated_at
        if elapsed >= 1.0:
            fresh = (self._batches - self._batches_before) / elapsed
            self.rate += min(1.0, elapsed / _RATE_OVER) * (fresh - self.rate)
            self._batches_before, self._rated_at = self._batches, now
        if now >= self._due:
            self._due += self._every * max(math.ceil((now - self._due) / self._every), 1)
            self._candidates = 0
        self._candidates += 1
        # One of each period, any of them alike: what a worker says right after something else travels otherwise.
        if self._rng.random() * self._candidates < 1.0:
            arrivals = self.arrivals(now, place)
            if self._candidates > 1:
                self._samples.pop()
            self._samples.append((now, np.delete(arrivals, place)))
            self.delay = float(np.quantile(arrivals, 0.99))

    def arrivals(self, now: float, place: int) -> NDArray[np.float64]:
        """Draw how many seconds what the worker in ``place`` has just recorded takes to each worker."""
        return self._spreading.arrivals(place, self.rate, float(self._leaves[place]) - now)

    def delays(self, end: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """When the drawn events were recorded, and how long each took to reach another worker, in seconds."""
        if not self._samples:
            return np.empty(0), np.empty(0)
        times = np.concatenate([np.full(len(delays), when) for when, delays in self._samples])
        counts = counts_as_news(times, end)
        return times[counts], np.concatenate([delays for _, delays in self._samples])[counts]

    def traffic(self, end: float, timing: Timing) -> dict[str, float]:
        """What a worker sends in a second, from when the swarm has met."""
        seconds = max(end - self._met, 1e-9)
        return traffic_of(self._workers, self._counted / seconds, self._bytes / seconds, self._latency, timing)

    def __repr__(self) -> str:
        return f"<Meter: {self._batches} batches, {self.rate:.3g}/s>"
