"""How a run stands, for the page."""

from __future__ import annotations

from pathlib import Path

from aiohpo.report.sources import FollowedDirectory
from aiohpo.web.data.feed import Feed
from aiohpo.web.data.overview import best_over_trials, funnel
from tests.support.run_directories import make_climb, make_run


def feed_of(directory: Path) -> Feed:
    feed = Feed(FollowedDirectory(directory))
    feed.look(1.0)
    return feed


def test_the_funnel_says_how_good_one_had_to_be(tmp_path: Path) -> None:
    """The threshold of a rung is the worst value with which a trial went on; at the last one there is none."""
    feed = feed_of(make_climb(tmp_path / "r", [1, 3, 9, 1, 9]))
    assert funnel(feed) == [
        {"step": 1, "reached": 5, "promoted": 3, "waiting": 2, "best": 4.01, "threshold": 1.01},
        {"step": 3, "reached": 3, "promoted": 2, "waiting": 1, "best": 4.03, "threshold": 2.03},
        {"step": 9, "reached": 2, "promoted": 0, "waiting": 0, "best": 4.09, "threshold": None},
    ]


def test_trials_that_begin_at_a_higher_rung_were_not_promoted_to_it(tmp_path: Path) -> None:
    """Those of another bracket of Hyperband passed the lower rungs unseen."""
    feed = feed_of(make_climb(tmp_path / "r", [1, 3, 3], first=[1, 1, 3]))
    assert [(rung["promoted"], rung["threshold"]) for rung in funnel(feed)] == [(1, 1.01), (0, None), (0, None)]


def test_the_best_becomes_better_in_the_order_of_results(tmp_path: Path) -> None:
    """Failed trials count as results; a search without rungs has no funnel."""
    feed = feed_of(make_run(tmp_path / "r", ["no", 5.0, 7.0, 3.0, 4.0]))
    assert best_over_trials(feed) == [[2, 5.0], [4, 3.0]]
    assert funnel(feed) == []
    assert best_over_trials(feed_of(make_run(tmp_path / "empty", []))) == []
