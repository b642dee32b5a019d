"""Which learning curves are sent."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aiohpo.report.sources import FollowedDirectory
from aiohpo.web.data.curves import MOST_CURVES, MOST_POINTS, _choose, curves, thinned
from aiohpo.web.data.feed import Feed
from tests.support.growing_runs import GrowingRun
from tests.support.run_directories import make_climb


def test_curves_of_the_objective_and_of_other_metrics(tmp_path: Path) -> None:
    """A trial's reports in all its segments, on whichever worker; names of all metrics; which trial is the best."""
    run = GrowingRun(3)
    for _ in range(120):
        run.step()
    feed = Feed(run)
    feed.look(run.time)
    found = curves(feed, None)
    assert found["metrics"] == ["loss", "size"]
    records = {row: run.view.record(row, 0) for row in range(run.view.n_rows)}
    drawn = {curve["row"]: curve for curve in found["curves"]}
    assert set(drawn) == {row for row, record in records.items() if record.curve}
    for row, curve in drawn.items():
        assert curve["steps"] == sorted(records[row].curve)
    for curve in curves(feed, "size")["curves"]:
        assert curve["values"] == [2.0 * step for step in curve["steps"]]
        assert curve["steps"] == drawn[curve["row"]]["steps"]
    feed = Feed(FollowedDirectory(make_climb(tmp_path / "r", [1, 9, 3])))
    feed.look(1.0)
    assert (curves(feed, None)["best"], curves(feed, None)["rungs"]) == (1, [1, 3, 9])


def test_of_many_trials_some_are_chosen_from_the_best_to_the_worst() -> None:
    """All of the few that got far, and an even part of those that did not."""
    loss, last = np.random.default_rng(0).random(10_000), np.full(10_000, 1)
    last[:20] = 9
    chosen = _choose(loss, last, [1, 3, 9])
    assert len(chosen) == len(set(chosen)) == MOST_CURVES
    assert set(range(20)) <= set(chosen)
    assert {int(np.argmin(loss[20:])) + 20, int(np.argmax(loss[20:])) + 20} <= set(chosen)


def test_a_long_curve_keeps_its_ends() -> None:
    """And no more points than a picture shows."""
    points = thinned(list(range(10_000)))
    assert (len(points), points[0], points[-1]) == (MOST_POINTS, 0, 9_999)
