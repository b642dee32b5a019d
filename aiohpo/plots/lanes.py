"""Which of a worker's lanes each of its segments stands in.

Events do not say in which slot a segment ran, so a worker's segments are put, in the order in which they began, into
the first lane that is free. That takes as many lanes as segments ran at a time, and a worker has at least as many as it
has slots, so that those which it never used are seen as well.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..view.segments import Span

# A segment begins by the wall clock and lasts by a monotonic one; while the former is adjusted they differ by up to
# 0.05 %, which makes segments that followed each other overlap.
_OVERLAP = 0.001


@dataclass(frozen=True, slots=True)
class Placement:
    """A segment in its ``lane``, counted from 0 within its worker, for so many ``seconds`` as it is drawn."""

    span: Span
    lane: int
    seconds: float


def lay_out(spans: Iterable[Span], slots: int, until: float) -> tuple[list[Placement], int]:
    """Put the segments of one worker, which was last heard of at ``until``, into lanes; return them by their beginning
    and the number of lanes, at least ``slots``.

    A segment that never ended is drawn until its lane is needed: its worker had no other slot, so it was at an end.
    Where none is needed, until ``until``.
    """
    bars: list[Placement] = []
    free = list(range(slots))
    ending: list[tuple[float, int]] = []  # when a lane becomes free
    unended: deque[int] = deque()  # places in ``bars``
    lanes = slots
    for span in sorted(spans, key=lambda span: (span.began, span.attempt)):
        while ending and ending[0][0] <= span.began:
            heapq.heappush(free, heapq.heappop(ending)[1])
        if free:
            lane = heapq.heappop(free)
        elif unended:
            at = unended.popleft()
            lane = bars[at].lane
            bars[at] = replace(bars[at], seconds=span.began - bars[at].span.began)
        else:
            lane, lanes = lanes, lanes + 1
        if span.seconds is None:
            unended.append(len(bars))
        else:
            heapq.heappush(ending, (span.began + span.seconds * (1 - _OVERLAP), lane))
        bars.append(Placement(span, lane, max(until - span.began, 0.0) if span.seconds is None else span.seconds))
    return bars, lanes
