"""The bars of the timeline."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiohpo.report.sources import FollowedDirectory
from aiohpo.view.segments import all_segments
from aiohpo.web.data import timeline as module
from aiohpo.web.data.columns import decode
from aiohpo.web.data.feed import Feed
from aiohpo.web.data.history import HOW
from aiohpo.web.data.timeline import MOVED, NEW, PROMOTED, TAKEN_OVER, timeline
from tests.support.growing_runs import GrowingRun
from tests.support.run_directories import BEGAN, make_climb, make_run


def test_every_segment_is_a_bar_in_a_lane_of_its_worker() -> None:
    """Whatever happened, as it is read from the whole log; bars of a lane do not overlap where each has ended."""
    run = GrowingRun(5)
    for _ in range(200):
        run.step()
    feed = Feed(run)
    feed.look(run.time)
    found = timeline(feed, None, None)
    spans = all_segments(run.log)
    bars = {name: decode(column).tolist() for name, column in found["bars"].items()}
    assert found["total"] == len(spans) == len(bars["row"])
    expected = sorted((span.began - feed.base, span.how) for span in spans)
    assert sorted((began, HOW[how]) for began, how in zip(bars["began"], bars["how"], strict=True)) == expected
    tops = {lane["worker"]: range(lane["top"], lane["top"] + lane["lanes"]) for lane in found["lanes"]}
    assert all(lane in tops[worker] for lane, worker in zip(bars["lane"], bars["worker"], strict=True))
    kinds = {NEW, PROMOTED, MOVED, TAKEN_OVER}
    assert set(bars["kind"]) == kinds, "a history in which everything happens"
    for kind, attempt in zip(bars["kind"], bars["attempt"], strict=True):
        assert (kind == NEW) == (attempt == 0)


def test_promotions_to_another_worker_are_marked(tmp_path: Path) -> None:
    """In a run in which each promotion was taken by the other worker, all of them."""
    feed = Feed(FollowedDirectory(make_climb(tmp_path / "r", [1, 3, 9])))
    feed.look(1.0)
    bars = timeline(feed, None, None)["bars"]
    assert sorted(decode(bars["kind"]).tolist()) == [NEW, NEW, NEW, MOVED, MOVED, MOVED]


def test_a_window_has_the_bars_that_reach_into_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds are counted from the beginning of the run; of too many, the latest are sent, and from when is said."""
    feed = Feed(FollowedDirectory(make_run(tmp_path / "r", [1.0] * 10)))
    feed.look(BEGAN + 20)
    assert decode(timeline(feed, 2.25, 4.0)["bars"]["began"]).tolist() == [2.0, 3.0, 4.0]
    monkeypatch.setattr(module, "MOST_BARS", 3)
    found = timeline(feed, None, None)
    assert (found["total"], found["from"], decode(found["bars"]["began"]).tolist()) == (10, 7.0, [7.0, 8.0, 9.0])
    feed = Feed(FollowedDirectory(make_run(tmp_path / "empty", [])))
    feed.look(BEGAN)
    assert timeline(feed, None, None)["lanes"] == []
