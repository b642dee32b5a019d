"""Utilisation and trials per second over time."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiohpo.report.sources import FollowedDirectory
from aiohpo.web.data.activity import activity
from aiohpo.web.data.feed import Feed
from tests.support.run_directories import BEGAN, make_run


def test_a_worker_that_is_busy_half_of_the_time(tmp_path: Path) -> None:
    """Trials of half a second begin each second: half of its slot, and one trial a second; with two slots a quarter."""
    for slots, share in ((1, 0.5), (2, 0.25)):
        feed = Feed(FollowedDirectory(make_run(tmp_path / str(slots), [1.0] * 8, slots=slots)))
        feed.look(BEGAN + 100)
        found = activity(feed)
        n = len(found["t"])
        assert n * found["bin"] == pytest.approx(8.0)
        assert sum(found["utilisation"]) / n == pytest.approx(share, abs=1e-3)
        assert sum(found["rate"]) * found["bin"] == pytest.approx(8.0)
        assert found["slots"] == pytest.approx([float(slots)] * n)


def test_a_run_without_work_has_no_activity(tmp_path: Path) -> None:
    """Nothing is divided by nothing."""
    feed = Feed(FollowedDirectory(make_run(tmp_path / "r", [])))
    feed.look(BEGAN)
    assert activity(feed)["t"] == []
