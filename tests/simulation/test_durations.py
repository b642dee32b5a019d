"""How long simulated evaluations take."""

from __future__ import annotations

import random
import statistics
from pathlib import Path

import pytest

from aiohpo.errors import UsageError
from aiohpo.simulation.durations import (
    ConstantTime,
    LognormalTime,
    NormalTime,
    RecordedTimes,
    full_seconds,
    recorded_times,
)
from aiohpo.storage.run import open_run
from tests.support.run_directories import make_run


def test_times_follow_their_distribution() -> None:
    """Normal times are never negative, half of the lognormal ones lie below the median, recorded ones are drawn."""
    rng = random.Random(0)
    normal = [NormalTime(1.0, 1.0).draw(rng) for _ in range(2000)]
    assert min(normal) == 0.0
    assert 0.9 < statistics.mean(normal) < 1.25  # cut off at 0: 1.083
    assert 0.95 < statistics.median(LognormalTime(1.0, 0.5).draw(rng) for _ in range(2000)) < 1.05
    assert {RecordedTimes("runs/a", (1.0, 2.0)).draw(rng) for _ in range(50)} == {1.0, 2.0}
    assert ConstantTime(3.0).draw(rng) == 3.0


def test_the_time_of_a_trial_depends_on_seed_and_name_alone() -> None:
    """A segment that another worker goes on with takes the time of the same draw."""
    times = NormalTime(60.0, 20.0)
    assert full_seconds(times, 1, "a-1") == full_seconds(times, 1, "a-1")
    assert len({full_seconds(times, seed, trial) for seed in (1, 2) for trial in ("a-1", "a-2")}) == 4


def test_times_are_said_as_they_are_written() -> None:
    """Their text is what the user typed, seconds as numbers."""
    times = ConstantTime(60), NormalTime(60, 20), LognormalTime(60, 0.5), RecordedTimes("runs/a", (1.0,))
    assert list(map(str, times)) == ["constant:60", "normal:60,20", "lognormal:60,0.5", "runs/a"]


def test_a_run_tells_its_times(tmp_path: Path) -> None:
    """Finished trials count; with steps, what a step took counts for trials that went only a part of the way too."""
    run = open_run(make_run(tmp_path / "r", [1.0, "boom", 2.0]))
    records = list(run.records())
    assert recorded_times("r", records, None).seconds == (0.5, 0.5)
    records[0] = type(records[0])(**{**{n: getattr(records[0], n) for n in records[0].__slots__}, "step": 3})
    assert recorded_times("r", records[:1], 9).seconds == (1.5,)


def test_a_run_without_times_is_refused(tmp_path: Path) -> None:
    """The error names the directory and what to give instead."""
    run = open_run(make_run(tmp_path / "r", ["boom"]))
    with pytest.raises(UsageError, match=r"^runs/r has no evaluated trial .* normal:60,20$"):
        recorded_times("runs/r", list(run.records()), None)
