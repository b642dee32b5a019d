"""Time without pauses."""

from __future__ import annotations

import pytest

from aiohpo.report.active_time import ActiveTime


def test_pauses_are_cut_out() -> None:
    """Lives that overlap or touch are one stretch; the clock stands still between stretches and outside of them."""
    clock = ActiveTime([(100.0, 110.0), (0.0, 10.0), (5.0, 20.0), (110.0, 111.0)])
    times = [-5.0, 0.0, 15.0, 20.0, 60.0, 100.0, 105.0, 111.0, 1e9]
    assert list(clock(times)) == [0.0, 0.0, 15.0, 20.0, 20.0, 20.0, 25.0, 31.0, 31.0]
    assert clock.cuts == [20.0]
    assert repr(clock) == "<ActiveTime of 2 stretches>"


@pytest.mark.parametrize("lives", [[], [(5.0, 4.0)]])
def test_without_lives_no_time_passes(lives: list[tuple[float, float]]) -> None:
    """A life that ended before it began is none."""
    assert float(ActiveTime(lives)(7.0)) == 0.0


def test_a_moment_is_a_stretch() -> None:
    """A worker of which only its start is known has been there."""
    clock = ActiveTime([(3.0, 3.0), (10.0, 12.0)])
    assert [float(clock(t)) for t in (3.0, 9.0, 11.0)] == [0.0, 0.0, 1.0]
