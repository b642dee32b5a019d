"""Tests of the segments that a worker runs."""

from __future__ import annotations

from aiohpo.peer.running_segments import RunningSegments, Segment


def filled() -> tuple[RunningSegments, list[Segment]]:
    segments = RunningSegments()
    added = [Segment(("ann", n), n, 0) for n in range(3)]
    for segment, config in zip(added, (b"x", b"y", b"x"), strict=True):
        segments.add(segment, config)
    return segments, added


def test_segments_are_found_by_trial_row_and_configuration() -> None:
    """Each way to look one up finds just those that run."""
    segments, (first, second, third) = filled()
    assert segments["ann", 1] is second
    assert segments.in_rows({0, 2, 7}) == [first, third]
    assert segments.of_config(b"x") == [first, third]
    segments.discard(first)
    segments.discard(first)
    assert list(segments) == [("ann", 1), ("ann", 2)]
    assert segments.in_rows({0, 2, 7}) == segments.of_config(b"x") == [third]
    assert ("ann", 0) not in segments
    assert repr(segments) == "<RunningSegments: 2, 0 of them doomed>"


def test_doomed_segments_are_counted_until_they_end() -> None:
    """Dooming marks a segment; once it is gone, or if it never ran here, it is not among the doomed."""
    segments, (first, second, _) = filled()
    for segment in (first, second, Segment(("bob", 1), 9, 0)):
        segments.doom(segment)
        assert segment.doomed
    assert list(segments.doomed) == [first, second]
    segments.discard(second)
    assert list(segments.doomed) == [first]


def test_a_segment_takes_the_place_of_an_earlier_one_of_its_trial() -> None:
    """There is one segment of a trial."""
    segments, (first, *_) = filled()
    again = Segment(first.trial, first.row, 1)
    segments.add(again, b"x")
    assert len(segments) == 3
    assert segments.in_rows({0}) == [again]
