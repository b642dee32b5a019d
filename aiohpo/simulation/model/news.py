"""How news spreads over the overlay, as a model: what production's flood does, without its frames.

A worker passes on what it hears in batches, at most one every ``interval``: what arrives within that time of the last
batch waits for its end, anything else for a millisecond. If batches of news come at random with rate r, the last batch
is younger than ``interval`` I for a part

    I / (I + exp(-r I) (1/r + c))

of the time, where c is the millisecond: within I nothing came with probability exp(-r I), and then the next comes after
1/r on the mean. An event reaches a worker by the fastest way, of links that each take a random latency and workers that
each keep it for a random wait.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ...mesh.overlay import floods_reach_all, ring_count, ring_position
from ...mesh.timing import COLLECT_FOR, Pace

_MOST_HOPS = 64


def links(workers: list[str]) -> NDArray[np.int64]:
    """Return the neighbours of each of ``workers`` (n, k), as :class:`aiohpo.mesh.overlay.Rings` has them; a
    neighbour on several rings stands there several times. (n, n) where everybody is linked to everybody."""
    n = len(workers)
    if floods_reach_all(n):
        return np.broadcast_to(np.arange(n), (n, n)).copy()
    columns = []
    for ring in range(ring_count(n)):
        order = np.array(sorted(range(n), key=lambda i: ring_position(ring, workers[i])))
        before, after = np.empty(n, np.int64), np.empty(n, np.int64)
        after[order], before[order] = np.roll(order, -1), np.roll(order, 1)
        columns += [before, after]
    return np.stack(columns, axis=1)


class Spreading:
    """Draws when events arrive.

    Args:
        workers: their names.
        latency: the mean time that a frame travels, in seconds.
        seed: decides the draws.
        pace: of production's gossip.
    """

    def __init__(self, workers: list[str], latency: float, seed: int, pace: Pace | None = None) -> None:
        self.links = links(workers)
        self.forwards = not floods_reach_all(len(workers))
        self._latency = latency
        self.interval = (pace or Pace()).interval_among(len(workers))
        self._rng = np.random.default_rng([seed, 1])

    def arrivals(self, origin: int, rate: float, held: float = 0.0) -> NDArray[np.float64]:
        """Return how long an event of worker ``origin`` takes to each worker (n,), in seconds; 0 to itself.

        Args:
            rate: of batches of news in the swarm, per second.
            held: seconds for which the worker keeps it at least, as it has just sent a batch of its own.
        """
        n, k = self.links.shape
        travel = self._latency * self._rng.uniform(0.5, 1.5, (n, k))
        if not self.forwards:
            delay: NDArray[np.float64] = travel[:, origin] + max(self._waits(1, rate / n)[0], held)
            delay[origin] = 0.0
            return delay
        arrival = np.full(n, np.inf)
        arrival[origin] = 0.0
        wait = self._waits(n, rate)
        wait[origin] = max(wait[origin], held)
        for _ in range(_MOST_HOPS):
            leaves = arrival + wait
            sooner = (leaves[self.links] + travel).min(axis=1)
            sooner[origin] = 0.0
            if not (sooner < arrival).any():
                break
            arrival = np.minimum(arrival, sooner)
        return arrival

    def _waits(self, n: int, rate: float) -> NDArray[np.float64]:
        """Draw how long ``n`` workers keep what they pass on."""
        waits = np.maximum(self._rng.uniform(0.0, self.interval, n), COLLECT_FOR)
        return np.where(self._rng.random(n) < recent_share(rate, self.interval), waits, COLLECT_FOR)

    def __repr__(self) -> str:
        return f"<Spreading among {len(self.links)} workers>"


def recent_share(rate: float, interval: float) -> float:
    """The part of the time in which a worker's last batch is younger than ``interval``; see the module's docstring."""
    return interval * batches_per_second(rate, interval)


def batches_per_second(rate: float, interval: float) -> float:
    """How many batches a worker passes on in a second."""
    if rate <= 0:
        return 0.0
    return 1.0 / (interval + math.exp(-rate * interval) * (1.0 / rate + COLLECT_FOR))
