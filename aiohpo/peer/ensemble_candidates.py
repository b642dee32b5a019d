"""Whose predictions can still matter: which trials an ensemble is chosen from.

Predictions travel as blobs and are loaded into memory, so a search with thousands of models needs a bound. The
better half of the places goes to the best models; the others to those of the next best whose configurations differ
most from all that are in already (a greedy farthest-point choice), because an ensemble gains from members that err
differently. A pure function of the study, so every worker nominates the same ones.
"""

from __future__ import annotations

import numpy as np

from ..view.trials import TrialRecord
from ..view.view import View

MOST = 50
_DIVERSE_AMONG = 4  # times MOST of the best


def nominate(view: View, name: str = "valid", most: int = MOST) -> list[TrialRecord]:
    """Return the records of at most ``most`` trials that have predictions called ``name``, in canonical order.

    Partial trials count as what they are: models that were trained for a part of their steps. Failed and withdrawn
    ones do not.
    """
    rows = [row for row in view.predicted(name) if view.latest(row) is not None]
    rows.sort(key=lambda row: (view.latest(row), view.stamp(row)))
    chosen = rows[: most // 2 + most % 2] if len(rows) > most else rows
    rest = rows[len(chosen) : _DIVERSE_AMONG * most]
    if rest:
        chosen = chosen + _farthest(view, chosen, rest, most - len(chosen))
    return [view.record(row, 0) for row in sorted(chosen, key=view.stamp)]


def _farthest(view: View, chosen: list[int], rest: list[int], n: int) -> list[int]:
    """Take ``n`` of ``rest``, each time the one that is farthest from all taken so far."""
    X = np.nan_to_num(view.space.encode([view.config(row) for row in [*chosen, *rest]]), nan=-0.5)
    here, there = X[: len(chosen)], X[len(chosen) :]
    gap = np.min(np.abs(there[:, None, :] - here[None, :, :]).sum(axis=2), axis=1)
    taken: list[int] = []
    for _ in range(min(n, len(rest))):
        at = int(np.argmax(gap))
        taken.append(rest[at])
        gap = np.minimum(gap, np.abs(there - there[at]).sum(axis=1))
        gap[at] = -1.0
    return taken
