"""What takes longer than a look: how much each parameter matters, and what an ensemble of the trials is worth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import UsageError
from ...plugin.registry import create

if TYPE_CHECKING:
    from ...view.trials import TrialRecord
    from ...view.view import View
    from .feed import Feed

_MOST_COMPARED = 10_000
BUILDER = "gradient"  # of the ensemble, unless the study names one


def compared(feed: Feed) -> tuple[list[TrialRecord], int]:
    """The trials from which importances are told, and of how many they are a sample."""
    valued = np.isfinite(feed.column("value"))
    status = feed.column("status")
    known = ~np.isin(status, [feed.code(name) for name in ("failed", "cancelled", "queued")])
    rows = np.flatnonzero(valued & known)
    n = len(rows)
    if n > _MOST_COMPARED:
        rows = np.sort(np.random.default_rng(0).choice(rows, _MOST_COMPARED, replace=False))
    number = feed.column("number")
    rows = rows[np.argsort(number[rows], kind="stable")]  # as for the command: the forest depends on the order
    return [feed.view.record(row, int(number[row])) for row in rows.tolist()], n


def importance(view: View, records: list[TrialRecord], n: int) -> dict[str, Any]:
    """How much each parameter matters. Raises ``UsageError`` where that cannot be told yet."""
    from ...importance.importances import importances

    return {**importances(view.space, view.objective, records).as_dict(), "of": n}


def ensemble(directory: Path | None, live: Any, study: Any) -> dict[str, Any]:
    """An ensemble of the trials beside the best single model. Raises ``UsageError`` if there are no predictions."""
    if directory is None:
        if live is None:
            raise UsageError("predictions are in the run directory: give that to see an ensemble of the models")
        return {"live": live, "table": None, "members": [], "single": None}
    from ...report.ensemble import assess
    from ...storage.run import open_run

    run = open_run(directory)
    found = assess(run, create("ensembles", study.get("ensemble") or BUILDER))
    trial, score = found.single
    weights = found.ensemble.weights.tolist()
    return {
        "live": live,
        "task": found.metric.task,
        "metric": found.metric.name,
        "table": found.table(),
        "members": [
            {"trial": member.trial, "weight": weight, "config": member.config}
            for member, weight in zip(found.ensemble.members, weights, strict=True)
        ],
        "single": {"trial": trial, "score": score},
        "valid": found.valid.name,
        "problems": list(found.problems),
    }
