"""What the page tells of one trial, and of the trials that failed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...events.schema import trial_name
from ...storage.printed import tails
from .history import HOW

if TYPE_CHECKING:
    from .feed import Feed

_MOST_NAMED = 50
_MOST_GENERATIONS = 100
_MOST_LINES, _MOST_LINES_OF_FAILURE = 200, 30
_MOST_GROUPS = 100


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
    return {
        "row": row,
        **record,
        "files": [{"name": name, **file} for name, file in record["files"].items()],
        "segments": [
            {
                "worker": names[worker],
                "began": began,
                "seconds": None if seconds != seconds else seconds,
                "how": HOW[how],
                "attempt": attempt,
                "to_step": to_step or None,
            }
            for _, worker, began, seconds, how, attempt, to_step in zip(
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


def with_output(page: dict[str, Any], directory: Path | None) -> dict[str, Any]:
    """The page of a trial with the end of what it printed. May read much: not to be done while others wait."""
    lines = None if directory is None else tails(directory, (page["id"],), _MOST_LINES).get(page["id"])
    return {**page, "output": None if lines is None else "\n".join(lines)}


def _named(feed: Feed, row: int) -> dict[str, Any]:
    return {"id": trial_name(feed.view.id(row)), "number": int(feed.column("number")[row]), "row": row}


def _ancestors(feed: Feed, row: int) -> list[dict[str, Any]]:
    """The trials whose checkpoints it descends from, the nearest first. Parents come from the log and may be wrong."""
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
    most_frequent = sorted(groups.values(), key=lambda group: -group["count"])
    return {"total": len(rows), "groups_total": len(groups), "groups": most_frequent[:_MOST_GROUPS]}


def with_outputs(found: dict[str, Any], directory: Path | None) -> dict[str, Any]:
    """The failures with the end of what the latest trial of each group printed."""
    groups = found["groups"]
    lines = {} if directory is None else tails(directory, {group["of"] for group in groups}, _MOST_LINES_OF_FAILURE)
    told = [{**group, "output": "\n".join(lines[group["of"]]) if group["of"] in lines else None} for group in groups]
    return {**found, "groups": told}
