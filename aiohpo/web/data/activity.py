"""How busy the workers were and how many trials became done, over time, for the page: at most 240 bins."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .history import HOW
from .timeline import life_of

if TYPE_CHECKING:
    from .feed import Feed

MOST_BINS = 240


def activity(feed: Feed) -> dict[str, Any]:
    """How busy the workers were and how many trials became done, over the time without pauses."""
    feed.catch_up()
    table = feed.history.table()
    clock = feed.tally.active_time(feed.now)
    states = feed.source.states()
    names = list(feed.view.workers)
    here = np.unique(table.worker).tolist()
    lives = {worker: life_of(feed, table, worker, states) for worker in here}
    length = float(clock(max((last for _, last in lives.values()), default=0.0)))
    if not here or length <= 0:
        return {"base": feed.base, "bin": 0.0, "t": [], "utilisation": [], "rate": [], "workers": [], "slots": []}
    n = int(min(MOST_BINS, max(10, length)))
    bin_ = length / n
    until = np.array([lives[worker][1] for worker in table.worker.tolist()])
    end = np.where(np.isnan(table.seconds), until, table.began + table.seconds)
    busy = _covered(clock(table.began), clock(end), np.ones(table.size), n, bin_)
    slots = np.array([float(feed.view.slots_of(names[worker])) for worker in here])
    spans = np.array([lives[worker] for worker in here])
    present = _covered(clock(spans[:, 0]), clock(spans[:, 1]), np.ones(len(here)), n, bin_)
    there = _covered(clock(spans[:, 0]), clock(spans[:, 1]), slots, n, bin_)
    first_end = ~np.isin(table.how, [HOW.index("open"), HOW.index("released"), HOW.index("cancelled")])
    ends = _first_of_each(table.row[first_end], end[first_end])
    done = np.histogram(clock(ends), bins=n, range=(0.0, length))[0]
    shares = np.where(there > 1e-9, np.minimum(busy / np.maximum(there, 1e-9), 1.0), np.nan)
    return {
        "base": feed.base,
        "bin": bin_,
        "t": [round(bin_ * (at + 0.5), 3) for at in range(n)],
        "utilisation": [None if math.isnan(share) else round(share, 4) for share in shares.tolist()],
        "rate": [round(count / bin_, 6) for count in done.tolist()],
        "workers": np.round(present, 2).tolist(),
        "slots": np.round(there, 2).tolist(),
    }


def _first_of_each(row: NDArray[np.int32], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """When each trial became done: the first end of a segment that came as far as it was to."""
    order = np.lexsort((end, row))
    _, first = np.unique(row[order], return_index=True)
    found: NDArray[np.float64] = end[order][first]
    return found


def _covered(left: Any, right: Any, weight: NDArray[np.float64], n: int, width: float) -> NDArray[np.float64]:
    """How much of each of ``n`` bins these stretches of time cover, on the mean over the bin."""
    change = np.zeros(n + 2)
    for sign, edge in ((1.0, left), (-1.0, right)):
        at = np.clip(np.asarray(edge) / width, 0.0, float(n))
        column = at.astype(np.intp)
        into = at - column
        np.add.at(change, column, sign * weight * (1.0 - into))
        np.add.at(change, column + 1, sign * weight * into)
    covered: NDArray[np.float64] = np.clip(np.cumsum(change)[:n], 0.0, None)
    return covered
