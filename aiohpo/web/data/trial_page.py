"""What the page tells of one trial, and of the trials that failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...events.schema import trial_name
from .curves import metrics_of
from .history import HOW

if TYPE_CHECKING:
    from .feed import Feed

_MOST_NAMED = 50
_MOST_GENERATIONS = 100


def trial_page(feed: Feed, row: int) -> dict[str, Any]:
    """Everything that is recorded of a trial."""
    feed.catch_up()
    view = feed.view
    number = feed.column("number")
    table = feed.history.table()
    segments = table.where(np.flatnonzero(table.row == row))
    segments = segments.where(np.lexsort((segments.began, segments.attempt)))
    names = list(view.workers)
    record = view.record(row, int(number[row])).as_dict()
    record["status"] = feed.status(row)
    curves = metrics_of(feed, row, segments)
    curves[view.objective.metric] = dict(record["curve"])  # what counts, where two workers ran the same segment
    return {
        "row": row,
        **record,
        "curves": {name: sorted(points.items()) for name, points in curves.items() if points},
        "segments": [
            {
                "worker": names[worker],
                "began": began,
                "seconds": None if seconds != seconds else seconds,
                "how": HOW[how],
                "attempt": attempt,
                "to_step": to_step or None,
            }
            for _, worker, began, seconds, how, attempt, to_step, *_ in zip(
                *(column.tolist() for column in segments), strict=True
            )
        ],
        "ancestors": _ancestors(feed, row),
        "children": [
            {**_named(feed, child), "step": int(feed.column("parent_step")[child])}
            for child in np.flatnonzero(feed.column("parent") == row).tolist()[:_MOST_NAMED]
        ],
        "retries": [trial_name(view.id(each)) for each in np.flatnonzero(feed.column("retry_of") == row).tolist()],
    }


def _named(feed: Feed, row: int) -> dict[str, Any]:
    return {"id": trial_name(feed.view.id(row)), "number": int(feed.column("number")[row]), "row": row}


def _ancestors(feed: Feed, row: int) -> list[dict[str, Any]]:
    """The trials whose checkpoints it descends from, the nearest first. Parents come from the log, so from anybody."""
    parent, step, number = (feed.column(name) for name in ("parent", "parent_step", "number"))
    found: list[dict[str, Any]] = []
    while len(found) < _MOST_GENERATIONS and parent[row] >= 0 and number[parent[row]] < number[row]:
        at = int(step[row])
        row = int(parent[row])
        found.append({**_named(feed, row), "step": at})
    return found


def failures(feed: Feed) -> dict[str, Any]:
    """The failed trials by what they failed with: the most frequent error first, of each the latest trials."""
    view = feed.view
    rows = np.flatnonzero(feed.column("status") == feed.code("failed"))
    rows = rows[np.argsort(-feed.column("number")[rows])]
    groups: dict[str, dict[str, Any]] = {}
    for row in rows.tolist():
        record = view.record(row, int(feed.column("number")[row]))
        retried = bool(feed.column("retried")[row])
        error = record.error or "no error was recorded"
        group = groups.get(error)
        if group is None:
            group = groups[error] = {
                "error": error, "count": 0, "retried": 0, "detail": record.detail, "of": record.id, "trials": [],
            }  # fmt: skip
        group["count"] += 1
        group["retried"] += retried
        if len(group["trials"]) < _MOST_NAMED:
            group["trials"].append(
                {**_named(feed, row), "worker": record.worker, "step": record.step, "retried": retried}
            )
    return {"total": len(rows), "groups": sorted(groups.values(), key=lambda group: -group["count"])}
