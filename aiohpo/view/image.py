"""The image of a view: all of it as plain data, from which an equal view is made without its events.

Folding an event takes some microseconds, so the events of 100,000 trials take seconds; their columns are a few arrays.
An image is read by the same code that made it: there is nothing in it for other versions.
"""

from __future__ import annotations

from array import array
from typing import Any

import msgspec
import numpy as np

from ..events.lifecycle import CLAIMABLE, Stamp, Status
from ..events.schema import (
    Attached,
    Claimed,
    Died,
    Ended,
    Goal,
    Left,
    Lost,
    Noted,
    Over,
    Predicted,
    Reported,
    Saved,
    Started,
    TrialId,
    Unanswered,
)
from .segments import ActivityImage
from .trials import WorkerInfo
from .view import View

_PLAIN = (
    "version", "succeeded", "n_retried", "best", "counts", "n_external", "n_results", "first_max_steps",
)  # fmt: skip
_TrialEvent = Claimed | Reported | Saved | Predicted | Ended | Lost | Noted | Died | Attached


class WorkerImage(msgspec.Struct, array_like=True):
    """One worker; ``trials`` are the bytes of its array."""

    name: str
    trials: bytes
    behind_gap: dict[int, int]
    started: Started | None
    left: Left | None
    unanswered: Unanswered | None


class ViewImage(msgspec.Struct, array_like=True):
    """A view. ``columns`` are the bytes of its arrays by their names, ``plain`` its plain attributes."""

    columns: dict[str, bytes]
    plain: dict[str, Any]
    workers: list[WorkerImage]
    external: list[int]
    queued: list[int]
    details: list[bytes | None]
    predicting: dict[str, list[int]]
    retried: list[TrialId]
    early: list[tuple[TrialId, list[tuple[Stamp, _TrialEvent]]]]
    called_off: dict[str, tuple[Stamp, Over]]
    goals: list[tuple[Stamp, Goal]]
    activity: ActivityImage


def image_of(view: View) -> ViewImage:
    """Return the image of a view, which may go on changing afterwards."""
    workers = sorted(view.workers.values(), key=lambda info: info.index)
    return ViewImage(
        columns={name: column.tobytes() for name, column in _columns(view).items()},
        plain={name: getattr(view, name) for name in _PLAIN} | {"counts": list(view.counts)},
        workers=[
            WorkerImage(w.name, w.trials.tobytes(), dict(w.behind_gap), w.started, w.left, w.unanswered)
            for w in workers
        ],
        external=list(view._external),
        queued=list(view._queued),
        details=view._details.packed(),
        predicting={name: list(rows) for name, rows in view._predicting.items()},
        retried=list(view._retried),
        early=[(trial, list(events)) for trial, events in view._early.items()],
        called_off=dict(view.called_off),
        goals=list(view._goals),
        activity=view.activity.image(),
    )


def restore(view: View, image: ViewImage) -> None:
    """Make ``view``, which is empty and of the same study, what it was when ``image`` was made."""
    for name, column in _columns(view).items():
        column.frombytes(image.columns[name])
    for name in _PLAIN:
        setattr(view, name, image.plain[name])
    for index, worker in enumerate(image.workers):
        trials = array("i")
        trials.frombytes(worker.trials)
        view.workers[worker.name] = WorkerInfo(
            index, worker.name, trials, worker.behind_gap, worker.started, worker.left, worker.unanswered
        )
        view._names.append(worker.name)
    view._external.update(image.external)
    view._queued.update(image.queued)
    view._details.load(image.details)
    view._predicting = {name: dict.fromkeys(rows) for name, rows in image.predicting.items()}
    view._retried.update(image.retried)
    view._early.update(image.early)
    view.called_off.update(image.called_off)
    view._goals += image.goals
    view._set_goal()
    view.activity.restore(image.activity)
    view._newest_lamport = max(view._lamport, default=-1)
    view._touched.extend(range(view.n_rows))
    statuses = np.array(view._status, dtype=np.int8)
    if view._external:
        statuses[list(view._external)] = -1
    view.running.update(np.flatnonzero(statuses == Status.RUNNING).tolist())
    view.paused.update(np.flatnonzero(statuses == Status.PAUSED).tolist())
    view.waiting.update(np.flatnonzero(np.isin(statuses, [*(CLAIMABLE - {Status.PAUSED})])).tolist())


def _columns(view: View) -> dict[str, array[Any]]:
    """The arrays of a view, but for the one that says in which order trials changed."""
    return {name: found for name, found in vars(view).items() if isinstance(found, array) and name != "_touched"}
