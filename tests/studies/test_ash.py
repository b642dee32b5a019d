"""Tests of the bounds that the study of ASH compares speed-ups with."""

from __future__ import annotations

from aiohpo.simulation.evaluator import Evaluation
from studies.ash.study import bounds


def _segment(trial: str, attempt: int, seconds: float) -> Evaluation:
    return Evaluation("w", 0, trial, attempt, 10.0, 10.0 + seconds, "paused")


def test_bounds_are_those_of_the_critical_path_and_of_the_rungs() -> None:
    """Four trials of a second, of which the longest goes on for four: eight seconds of work, five of them in a row."""
    diary = [*(_segment(name, 0, 1.0) for name in "abcd"), _segment("a", 1, 4.0)]
    assert bounds(diary, 1) == (1.0, 1.0)
    assert bounds(diary, 2) == (8 / 5, 8 / 6)
    assert bounds(diary, 100) == (8 / 5, 8 / 5)
