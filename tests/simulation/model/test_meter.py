"""Counting what is recorded."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aiohpo.mesh.timing import Timing
from aiohpo.simulation.model.meter import Meter
from aiohpo.simulation.model.news import Spreading


def meter(seconds: float = 100.0) -> Meter:
    return Meter(Spreading([f"w{i}" for i in range(20)], 0.001, 0), 20, seconds, 0.02)


def test_what_a_worker_records_at_once_is_one_piece_of_news() -> None:
    """The rate is that of such pieces, averaged over some seconds."""
    counted = meter()
    for second in range(100):
        for place in (1, 2):
            counted.note(second + 0.1 * place, place, 50)
            counted.note(second + 0.1 * place + 0.0005, place, 50)
    assert counted.rate == pytest.approx(2.0, rel=0.1)
    assert counted.traffic(100.0, Timing())["bytes_per_worker_second"] > 2 * 100 * 6


def test_news_that_follows_other_news_waits_for_its_turn() -> None:
    """A worker sends a batch every interval, at most; what it records until then is in the next one."""
    counted = meter()
    interval = Timing().pace.interval
    held = []
    for second in (50.0, 50.005, 50.015, 50.03, 51.0):
        counted.note(second, 1, 50)
        held.append(np.delete(counted.arrivals(second, 1), 1).min())
    first, second, third, fourth, last = held
    assert max(first, last) < 0.01
    assert second > interval - 0.005
    assert third > interval - 0.015
    assert fourth > 2 * interval - 0.03


def test_some_events_are_followed_to_everybody() -> None:
    """Each to all the others; the beginning and the end are left out."""
    counted = meter(math.inf)
    for second in range(100):
        counted.note(float(second), second % 20, 50)
    times, delays = counted.delays(100.0)
    assert len(times) == len(delays) == len(np.unique(times)) * 19
    assert times.min() >= 10.0
    assert times.max() <= 90.0
    assert (delays > 0).all()


def test_nothing_was_recorded() -> None:
    """There is no news, and little traffic."""
    assert [len(column) for column in meter().delays(100.0)] == [0, 0]
    assert meter().traffic(100.0, Timing())["frames_per_worker_second"] > 0
