"""Who ran what when."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from aiohpo import Float, Space
from aiohpo.events.schema import EXTERNAL, OWN, QUEUED, Claimed, Ended, Event, Left, Proposed
from aiohpo.plugin.objective import Objective
from aiohpo.storage.run import open_run
from aiohpo.view.segments import Activity, Segments, all_segments
from aiohpo.view.view import View
from tests.support.run_directories import make_run


def test_a_segment_lasts_from_its_proposal_to_its_end() -> None:
    """Its beginning is the proposer's wall clock, its length what the end says."""
    activity = Segments()
    assert activity.account_for("a", 1, Proposed(1, 100.0, (0.5,), OWN)) is None
    assert [span.how for span in activity.running()] == ["open"]
    span = activity.account_for("a", 2, Ended(2, ("a", 1), 0, "finished", 0, 1.0, 2.5))
    assert span is not None
    assert (span.worker, span.trial, span.began, span.seconds, span.how) == ("a", ("a", 1), 100.0, 2.5, "finished")
    assert list(activity.running()) == []


def test_a_claim_begins_a_segment_of_the_one_who_claimed() -> None:
    """Two workers may run segments of one trial; each has its own."""
    activity = Segments()
    activity.account_for("a", 1, Proposed(1, 100.0, (0.5,), OWN))
    activity.account_for("b", 1, Claimed(2, 110.0, ("a", 1), 1, 9))
    assert {(span.worker, span.began) for span in activity.running()} == {("a", 100.0), ("b", 110.0)}
    span = activity.account_for("b", 2, Ended(3, ("a", 1), 1, "finished", 0, 1.0, 3.0))
    assert span is not None
    assert (span.worker, span.began, span.attempt, span.to_step) == ("b", 110.0, 1, 9)


def test_what_is_queued_or_added_is_run_by_nobody() -> None:
    """Only a worker's own proposals and claims begin a segment."""
    activity = Segments()
    activity.account_for("a", 1, Proposed(1, 100.0, (0.5,), QUEUED))
    activity.account_for("a", 2, Proposed(1, 100.0, (0.5,), EXTERNAL))
    assert activity.account_for("a", 3, Ended(2, ("a", 2), 0, "finished", 0, 1.0, 0.0)) is None
    assert list(activity.running()) == []


def test_who_left_runs_nothing() -> None:
    """Leaving in good order closes what was open."""
    activity = Segments()
    activity.account_for("a", 1, Proposed(1, 100.0, (0.5,), OWN))
    activity.account_for("a", 2, Left(2, 105.0, "done"))
    assert list(activity.running()) == []


def test_a_whole_log_gives_its_segments_in_order_of_time(tmp_path: Path) -> None:
    """Ended and open segments, by their beginning."""
    found = all_segments(open_run(make_run(tmp_path / "r", [3.0, "boom", None], left=False)).log)
    assert [span.how for span in found] == ["finished", "failed", "open"]
    assert [span.began for span in found] == sorted(span.began for span in found)


def told(*stories: list[tuple[str, int, Event]], mode: str = "min") -> Activity:
    view = View(Space(x=Float(0.0, 1.0)), Objective("loss", "max" if mode == "max" else "min"))
    for story in stories:
        for origin, seq, event in story:
            view.apply(origin, seq, event)
    return view.activity


def trial(origin: str, seq: int, at: float, value: float, seconds: float = 1.0) -> list[tuple[str, int, Event]]:
    """A trial that began at a time and ended well."""
    proposal = Proposed(seq, at, (0.5,), OWN)
    return [(origin, seq, proposal), (origin, seq + 1, Ended(seq + 1, seq, 0, "finished", 0, value, seconds))]


@pytest.mark.parametrize("mode", ["min", "max"])
def test_improvements_are_the_same_in_whatever_order_results_arrive(mode: str) -> None:
    """Each is better than all that ended before it, and the first of its time."""
    rng = random.Random(mode)
    sign = 1.0 if mode == "min" else -1.0
    for _ in range(50):
        results = [(rng.randint(1, 9), rng.randint(0, 9)) for _ in range(12)]
        stories = [trial(f"w{i}", 1, at, value) for i, (at, value) in enumerate(results)]
        expected: list[tuple[float, float]] = []
        for at, value in sorted(results, key=lambda result: (result[0], sign * result[1])):
            if not expected or sign * value < sign * expected[-1][1]:
                expected.append((at + 1.0, value))
        assert told(*rng.sample(stories, len(stories)), mode=mode).improvements == expected


def test_a_trial_that_several_workers_run_in_turn_is_done_once() -> None:
    """It is done when it first pauses; each of its workers ended a segment of one trial, however many those were."""
    story: list[tuple[str, int, Event]] = [
        ("a", 1, Proposed(1, 100.0, (0.5,), OWN, 1)),
        ("a", 2, Ended(2, 1, 0, "paused", 1, None, 1.0)),
        ("a", 3, Claimed(3, 110.0, 1, 1, 3)),
        ("a", 4, Ended(4, 1, 1, "paused", 3, None, 2.0)),
        ("b", 1, Claimed(5, 120.0, ("a", 1), 2)),
        ("b", 2, Ended(6, ("a", 1), 2, "finished", 9, 0.5, 6.0)),
    ]
    activity = told(story)
    assert list(activity.ends) == [101.0]
    assert {name: (work.trials, work.seconds) for name, work in activity.work.items()} == {"a": (1, 3.0), "b": (1, 6.0)}
    assert activity.last_end == 126.0


def test_few_segments_are_kept_beside_those_of_the_last_minute() -> None:
    """What a worker did long ago is a number."""
    stories = [trial("a", 2 * i + 1, float(i), 0.0) for i in range(1, 2001)]
    activity = told(*stories)
    work = activity.work["a"]
    assert (work.trials, work.seconds, work.first, work.last) == (2000, 2000.0, 1.0, 2001.0)
    assert 2 * 60 <= len(work.recent) < 600
    assert list(work.recent[-2:]) == [2000.0, 2001.0]
