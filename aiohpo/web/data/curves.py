"""Learning curves for the page: a bounded number of trials, and of points of each, whatever the size of the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .feed import Feed

MOST_CURVES = 300
MOST_POINTS = 200


def curves(feed: Feed, metric: str | None) -> dict[str, Any]:
    """The learning curves of some trials: the best, and of those that got equally far some from the best to the worst.

    Metrics other than the objective's are read from those trials' records.
    """
    view = feed.view
    row, step, value = view.reports()
    own = view.objective.metric
    status = feed.column("status")
    order = np.lexsort((step, row))
    order = order[status[row[order]] != feed.code("cancelled")]
    row, step, value = row[order], step[order], value[order]
    rows, first = np.unique(row, return_index=True)
    ends = np.append(first[1:], len(row))
    chosen = _choose(view.objective.sign * value[ends - 1], step[ends - 1], feed.rungs.steps) if len(rows) else []
    leader = view.leader()
    shown = sorted({*rows[chosen].tolist(), *([leader] if leader is not None and leader in rows else [])})
    found: list[dict[str, Any]] = []
    place = {int(each): at for at, each in enumerate(rows)}
    for each in shown:
        if metric in (None, own):
            at = slice(first[place[each]], ends[place[each]])
            points = list(zip(step[at].tolist(), value[at].tolist(), strict=True))
            if feed.column("complete")[each] and (result := view.value(each)) is not None:
                points[-1] = points[-1][0], result  # which may be another number than the last report
            points = thinned(points)
        else:
            points = thinned(sorted(view.record(each, 0).curves.get(metric or "", {}).items()))
        if points:
            found.append({"row": each, "steps": [x for x, _ in points], "values": [y for _, y in points]})
    names = _metric_names(feed, shown)
    return {
        "metric": metric or own,
        "metrics": [own, *sorted(names - {own})],
        "max_steps": view.max_steps,
        "rungs": feed.rungs.steps,
        "total": len(rows),
        "shown": len(found),
        "best": leader,
        "curves": found,
    }


def _choose(loss: NDArray[np.float64], last: NDArray[np.int64], rungs: Sequence[int]) -> list[int]:
    """The places of trials to draw, by the loss and the step that each reported last."""
    got = np.searchsorted(rungs, last, side="right")
    groups = [np.flatnonzero(got == level) for level in np.unique(got)]
    chosen: list[int] = []
    left = MOST_CURVES
    # The few that got far are drawn all; what they leave is shared by those that did not.
    for at, group in enumerate(sorted(groups, key=len)):
        most = left // (len(groups) - at)
        ranked = group[np.argsort(loss[group], kind="stable")]
        some = ranked if len(ranked) <= most else ranked[np.linspace(0, len(ranked) - 1, max(most, 1)).astype(int)]
        chosen += some.tolist()
        left -= len(some)
    return chosen


def thinned(points: list[Any]) -> list[Any]:
    """At most ``MOST_POINTS`` of a curve's points, its ends among them."""
    if len(points) <= MOST_POINTS:
        return points
    return [points[at] for at in np.linspace(0, len(points) - 1, MOST_POINTS).astype(int)]


def _metric_names(feed: Feed, rows: Sequence[int]) -> set[str]:
    """The names of the metrics that some of these trials have."""
    some = rows[:: max(len(rows) // 20, 1)]
    return {name for row in some for name in feed.view.record(row, 0).metrics}
