"""How news spreads in the model."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aiohpo.mesh.overlay import Rings
from aiohpo.mesh.timing import COLLECT_FOR, Pace
from aiohpo.simulation.model.news import Spreading, batches_per_second, links, recent_share


def names(n: int) -> list[str]:
    return [f"worker-{i}" for i in range(n)]


@pytest.mark.parametrize("n", [17, 64, 300])
def test_the_links_are_those_of_the_overlay(n: int) -> None:
    """Each worker has the neighbours that production's workers compute for themselves."""
    workers = names(n)
    table = links(workers)
    for place in range(0, n, 7):
        assert {workers[other] for other in table[place]} == Rings(set(workers) - {workers[place]}).neighbours(
            workers[place]
        )


def test_in_a_small_swarm_everybody_hears_at_first_hand() -> None:
    """Nothing is passed on where all are linked to all."""
    spreading = Spreading(names(8), latency=0.1, seed=0)
    arrivals = spreading.arrivals(3, rate=1.0)
    assert arrivals[3] == 0.0
    others = np.delete(arrivals, 3)
    assert others.min() >= 0.05 + COLLECT_FOR
    assert others.max() <= 0.15 + Pace().interval


def test_in_a_large_swarm_news_takes_a_few_hops() -> None:
    """Everybody hears; without other traffic a hop takes its latency and a millisecond."""
    spreading = Spreading(names(500), latency=0.01, seed=0)
    arrivals = spreading.arrivals(7, rate=0.0)
    assert arrivals[7] == 0.0
    assert np.isfinite(arrivals).all()
    assert 0.011 < np.median(arrivals) < 0.06
    busy = spreading.arrivals(7, rate=1000.0)
    assert np.median(busy) > np.median(arrivals)


def test_batches_follow_the_rate_up_to_one_in_an_interval() -> None:
    """Rare news leaves by itself, and of frequent news a batch leaves every interval."""
    assert batches_per_second(0.0, 0.02) == 0.0
    assert batches_per_second(0.5, 0.02) == pytest.approx(0.5, rel=0.02)
    assert batches_per_second(1e6, 0.02) == pytest.approx(50.0)
    assert recent_share(1e6, 0.02) == pytest.approx(1.0)
    assert recent_share(50.0, 0.02) == pytest.approx(0.02 / (0.02 + math.exp(-1.0) * 0.021))
