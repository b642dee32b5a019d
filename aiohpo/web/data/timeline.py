"""What each worker ran when, for the page: the bars of a stretch of time, in the lanes of their workers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...plots.lanes import lay_out
from ...report.snapshot import HERE
from ...view.segments import Span
from .columns import encode
from .history import HOW, SegmentTable

if TYPE_CHECKING:
    from .feed import Feed

MOST_BARS = 6_000

NEW, PROMOTED, MOVED, TAKEN_OVER = range(4)  # what a bar is to the trial's bar before it


def timeline(feed: Feed, begin: float | None, end: float | None) -> dict[str, Any]:
    """What each worker ran between two times, in seconds since the feed's base: the latest of it, if it is too much."""
    feed.catch_up()
    table = feed.history.table()
    states = feed.source.states()
    if not table.size:
        return {"base": feed.base, "from": 0.0, "to": 0.0, "first": 0.0, "last": 0.0, "total": 0, "lanes": [],
                "bars": _bars(feed, table, np.empty(0, int), table)}  # fmt: skip
    lives = {worker: life_of(feed, table, worker, states) for worker in np.unique(table.worker).tolist()}
    until = np.array([lives[worker][1] for worker in table.worker.tolist()])
    length = np.where(np.isnan(table.seconds), np.maximum(until - table.began, 0.0), table.seconds)
    first, last = float(table.began.min()), float((table.began + length).max())
    low = first if begin is None else feed.base + begin
    high = last if end is None else feed.base + end
    inside = np.flatnonzero((table.began <= high) & (table.began + length >= low))
    if len(inside) > MOST_BARS:
        inside = inside[np.argsort(table.began[inside], kind="stable")[-MOST_BARS:]]
        low = max(low, float(table.began[inside].min()))
    shown = table.where(inside)
    top, lanes, lane = 0, [], np.zeros(shown.size, dtype=np.int64)
    seconds = length[inside]
    workers = feed.view.workers
    names = list(workers)
    there = sorted(np.unique(shown.worker).tolist(), key=lambda worker: (_rank(feed, names[worker]), lives[worker]))
    for worker in there:
        mine = np.flatnonzero(shown.worker == worker)
        mine = mine[np.lexsort((shown.attempt[mine], shown.began[mine]))]
        spans = [_span(names[worker], shown, at) for at in mine.tolist()]
        bars, n = lay_out(spans, feed.view.slots_of(names[worker]), lives[worker][1])
        lane[mine] = [top + bar.lane for bar in bars]
        seconds[mine] = [bar.seconds for bar in bars]
        lanes.append(
            {
                "worker": worker,
                "lanes": n,
                "top": top,
                "status": states.get(names[worker], "unknown"),
                "began": lives[worker][0] - feed.base,
                "until": lives[worker][1] - feed.base,
            }
        )
        top += n
    return {
        "base": feed.base,
        "from": low - feed.base,
        "to": high - feed.base,
        "first": first - feed.base,
        "last": last - feed.base,
        "total": table.size,
        "lanes": lanes,
        "bars": _bars(feed, shown._replace(seconds=seconds), lane, table),
    }


def _bars(feed: Feed, shown: SegmentTable, lane: NDArray[np.int64], table: SegmentTable) -> dict[str, str]:
    order = np.lexsort((shown.attempt, shown.began))
    kinds = _kinds(shown, table)
    return {
        "row": encode(shown.row[order], "i32"),
        "worker": encode(shown.worker[order], "i32"),
        "lane": encode(lane[order], "i32"),
        "began": encode(shown.began[order] - feed.base, "f64"),
        "seconds": encode(shown.seconds[order], "f32"),
        "how": encode(shown.how[order], "u8"),
        "attempt": encode(shown.attempt[order], "u8"),
        "to_step": encode(shown.to_step[order], "i32"),
        "kind": encode(kinds[order], "u8"),
    }


def _kinds(shown: SegmentTable, table: SegmentTable) -> NDArray[np.int8]:
    """Of each segment, whether it began its trial, or how it went on with it."""
    kinds = np.full(shown.size, NEW, dtype=np.int8)
    later = np.flatnonzero(shown.attempt > 0)
    family = table.where(np.isin(table.row, shown.row[later]))
    before: dict[tuple[int, int], list[int]] = {}
    for at, key in enumerate(zip(family.row.tolist(), family.attempt.tolist(), strict=True)):
        before.setdefault(key, []).append(at)
    paused = HOW.index("paused")
    for at in later.tolist():
        earlier = before.get((int(shown.row[at]), int(shown.attempt[at]) - 1), [])
        pauses = [each for each in earlier if family.how[each] == paused]
        if not pauses:
            kinds[at] = TAKEN_OVER
        elif all(family.worker[each] != shown.worker[at] for each in pauses):
            kinds[at] = MOVED
        else:
            kinds[at] = PROMOTED
    return kinds


def _span(worker: str, table: SegmentTable, at: int) -> Span:
    seconds = float(table.seconds[at])
    return Span(
        worker,
        (worker, at),  # where it stands: which trial it was of does not matter to its lane
        float(table.began[at]),
        None if math.isnan(seconds) else seconds,
        HOW[table.how[at]],
        int(table.attempt[at]),
    )


def life_of(feed: Feed, table: SegmentTable, worker: int, states: Mapping[str, str]) -> tuple[float, float]:
    """From when to when a worker is known to have lived."""
    name = list(feed.view.workers)[worker]
    work = feed.view.activity.work.get(name)
    began = table.began[table.worker == worker]
    first, last = (float(began.min()), float(began.max())) if work is None else (work.first, work.last)
    if states.get(name) in HERE and feed.now > last:
        last = feed.now
    return first, last


def _rank(feed: Feed, worker: str) -> float:
    started = feed.view.workers[worker].started
    return math.inf if started is None or started.rank is None else started.rank
