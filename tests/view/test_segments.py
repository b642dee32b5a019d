"""Who ran what when."""

from __future__ import annotations

from pathlib import Path

from aiohpo.events.schema import EXTERNAL, OWN, QUEUED, Claimed, Ended, Left, Proposed
from aiohpo.storage.run import open_run
from aiohpo.view.segments import Segments, all_segments
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
