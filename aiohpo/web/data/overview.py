"""How a run stands, for the page: what every other display shows, and the few numbers that only the page does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...launch.cards import Card, cards_of
from ...report.snapshot import HERE, Snapshot

if TYPE_CHECKING:
    from .feed import Feed

_MOST_WORKERS = 500


def summarise(feed: Feed, snapshot: Snapshot) -> dict[str, Any]:
    """What a reader is told of the whole run."""
    found = snapshot.as_dict()
    study = found["study"] | {"best": _brief(found["study"]["best"])}
    study.pop("space", None)
    states = snapshot.states()
    active = feed.tally.active_time(snapshot.time)
    return {
        "time": snapshot.time,
        "study": study,
        "workers": found["workers"][:_MOST_WORKERS],
        "workers_total": len(snapshot.workers),
        "states": states,
        "slots": snapshot.slots,
        "mesh": found["mesh"],
        "funnel": funnel(feed),
        "over_trials": best_over_trials(feed),
        "clock": [[first - feed.base, last - feed.base, shown] for first, last, shown in active.stretches],
        "deserted": snapshot.deserted,
        "here": sum(states.get(state, 0) for state in HERE),
        "notices": snapshot.notices,
        "can": _possible(feed, snapshot),
    }


def _possible(feed: Feed, snapshot: Snapshot) -> dict[str, Any]:
    """Which actions may succeed, and why ending the search may not."""
    directory = feed.source.directory
    reachable = directory is None or bool(Card(cards_of(directory), "").others())
    why = ""
    if not any(worker.status in HERE for worker in snapshot.workers):
        why = "no worker is here"
    elif not reachable:
        why = "it runs within one process that no other can join: Ctrl-C or Study.stop() ends it there"
    failed = snapshot.counts.get("failed", 0) > snapshot.retried
    return {"stop": not why, "retry": failed, "why": why}


def _brief(record: dict[str, Any] | None) -> dict[str, Any] | None:
    """The best trial without its curve, which is the longest part of it."""
    return None if record is None else {name: value for name, value in record.items() if name != "curve"}


def in_order_of_results(feed: Feed) -> NDArray[np.int64]:
    """The rows of all trials that have shown what they are worth, or failed, by when they last did."""
    status, ended = feed.column("status"), feed.ended()
    there = np.isin(status, [feed.code(name) for name in ("paused", "finished", "stopped", "failed", "surplus")])
    rows = np.flatnonzero(there & ~np.isnan(ended))
    return rows[np.lexsort((feed.column("number")[rows], ended[rows]))]


def best_over_trials(feed: Feed) -> list[list[float]]:
    """When the best value became better: after how many trials, and how good."""
    rows = in_order_of_results(feed)
    sign = feed.view.objective.sign
    loss = sign * np.where(feed.column("complete")[rows] == 1, feed.column("value")[rows], np.nan)
    best = np.fmin.accumulate(loss) if len(loss) else loss
    better = np.flatnonzero((best[1:] < best[:-1]) | (np.isnan(best[:-1]) & ~np.isnan(best[1:]))) + 1
    if len(best) and not np.isnan(best[0]):
        better = np.concatenate([[0], better])
    return [[int(at) + 1, float(sign * best[at])] for at in better]


def funnel(feed: Feed) -> list[dict[str, Any]]:
    """How many trials reached each rung and went on from there, and how good they had to be.

    threshold  the worst value with which a trial went on; None if none has
    best       the best value there
    waiting    trials that pause there
    """
    view = feed.view
    steps = feed.rungs.steps
    if not steps:
        return []
    reached = feed.rungs.reached()
    row, step, value = view.reports()
    status, first = feed.column("status"), feed.column("first_rung")
    trials = view.proposals(np.arange(len(status)))
    shown = ~np.isin(status, [feed.code("cancelled"), feed.code("queued")])
    at_work = np.isin(status, [feed.code("running"), feed.code("lost")])
    sign, found = view.objective.sign, []
    for rung in steps:
        goes_on = at_work & (trials.step == rung) & ((trials.to_step > rung) | (trials.to_step == 0))
        went_on = shown & ((trials.step > rung) | goes_on) & (first > 0) & (first <= rung) & (rung != steps[-1])
        at = (step == rung) & shown[row]
        losses, good = sign * value[at], sign * value[at & went_on[row]]
        found.append(
            {
                "step": rung,
                "reached": reached.get(rung, 0),
                "promoted": int(went_on.sum()),
                "waiting": int(((status == feed.code("paused")) & (trials.step == rung)).sum()),
                "best": float(sign * losses.min()) if len(losses) else None,
                "threshold": float(sign * good.max()) if len(good) else None,
            }
        )
    return found
