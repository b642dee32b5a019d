"""Segments in lanes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from aiohpo.plots.lanes import lay_out
from aiohpo.view.segments import Span


def span(began: float, seconds: float | None, seq: int = 1) -> Span:
    return Span("w", ("w", seq), began, seconds, "open" if seconds is None else "finished")


def test_a_segment_stands_in_the_first_lane_that_is_free() -> None:
    """What overlaps stands in different lanes, and what ended makes room."""
    bars, lanes = lay_out([span(0, 5), span(1, 2), span(2, 1), span(3, 9), span(4, 1), span(5, 1)], 3, 12.0)
    assert [(bar.span.began, bar.lane) for bar in bars] == [(0, 0), (1, 1), (2, 2), (3, 1), (4, 2), (5, 0)]
    assert lanes == 3


def test_lanes_are_as_many_as_slots_at_least() -> None:
    """A slot that never ran anything has a lane; what ran beside more than there are slots has one, too."""
    assert lay_out([span(0, 1)], 4, 1.0)[1] == 4
    bars, lanes = lay_out([span(0, 5), span(1, 5), span(2, 5)], 1, 7.0)
    assert [bar.lane for bar in bars] == [0, 1, 2]
    assert lanes == 3
    assert lay_out([], 2, 0.0) == ([], 2)


@pytest.mark.parametrize("seed", range(5))
def test_no_two_bars_of_a_lane_overlap(seed: int) -> None:
    """Whatever a worker with some slots ran, no lane more than it has slots is taken."""
    rng = np.random.default_rng(seed)
    slots, spans = int(rng.integers(1, 9)), []
    for slot in range(slots):
        at = float(rng.random())
        for i in range(40):
            seconds = float(rng.exponential())
            spans.append(span(at, seconds, 100 * slot + i))
            at += seconds + float(rng.choice([0.0, 0.3]))
    rng.shuffle(spans)  # type: ignore[arg-type]
    bars, lanes = lay_out(spans, slots, 100.0)
    assert lanes == slots
    assert sorted(bar.span.trial for bar in bars) == sorted(s.trial for s in spans)
    for lane in range(slots):
        mine = [bar for bar in bars if bar.lane == lane]
        for before, after in itertools.pairwise(mine):
            assert before.span.began + 0.999 * before.seconds <= after.span.began


def test_a_clock_that_was_adjusted_takes_no_further_lane() -> None:
    """A minute by one clock is some milliseconds more by another; segments that followed each other stay in a lane."""
    bars, lanes = lay_out([span(0, 60.0), span(59.97, 60.0), span(119.95, 1.0)], 1, 121.0)
    assert (lanes, {bar.lane for bar in bars}) == (1, {0})


def test_what_never_ended_lasts_until_its_lane_is_needed() -> None:
    """The one that began first makes room; those whose lanes nobody needed last as long as their worker."""
    bars, lanes = lay_out([span(0, None), span(1, None), span(2, 1), span(4, 1)], 2, 9.0)
    assert lanes == 2
    assert [(bar.span.began, bar.lane, bar.seconds) for bar in bars] == [(0, 0, 2.0), (1, 1, 8.0), (2, 0, 1), (4, 0, 1)]
