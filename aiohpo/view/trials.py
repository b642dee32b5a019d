"""Records of single trials and workers: what the view keeps beside its columns, and what people see."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field
from typing import Any

from ..arguments import RECORD_ATTRIBUTES, explained_class
from ..events.schema import Left, Started, Unanswered
from ..plugin import Config

HIDDEN = ("cancelled", "queued")  # statuses of trials that are not listed


@explained_class(attributes=RECORD_ATTRIBUTES)
@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One trial of a study, as :class:`~aiohpo.Result`, callbacks, ``show --json`` and exports give it.

    id           its name: unique in the study, short, and fit for a file name
    number       its place among all trials in the order of their proposals, from 0 on. Final once all workers' logs
                 have been read, as in a finished run; until then it may still move
    status       "queued", "running", "paused", "lost" (its worker died; another may go on), "finished" (complete),
                 "stopped" (early), "failed", "cancelled", or "surplus" (a result beyond the budget)
    config       {parameter: value}; inactive conditional parameters are absent
    value        the objective's metric in its own sign: the result, else what was reported last; None without any
    metrics      {name: value} of the result's metrics, else of those reported last
    step         the last step that was done
    worker       the worker that ran it last
    started      when its first segment began, in seconds since the epoch
    seconds      what its segments took together; None before one has ended
    attempt      the number of its latest segment, from 0 on
    error        why it failed, in a line; None if it did not
    detail       the traceback, or the end of the output, that belongs to the error
    checkpoint   the digest of the newest checkpoint that can be resumed from
    predictions  {name: digest} of what ``trial.predictions`` stored
    curve        {step: value} of every report of the objective's metric
    bracket      the bracket of a scheduler that has several; else 0
    parent       (trial, step) of the checkpoint that it began with, for trials that inherited one
    targets      {name: digest} of what ``trial.targets`` stored
    retry_of     the failed trial whose configuration it tries again
    ended_as     "finished", "stopped" or "failed", also where ``status`` is "surplus"; None if it has not ended
    """

    id: str
    number: int
    status: str
    config: Config
    value: float | None
    metrics: dict[str, float]
    step: int
    worker: str
    started: float
    seconds: float | None
    attempt: int
    error: str | None
    detail: str | None
    checkpoint: str | None
    predictions: dict[str, str]
    curve: dict[int, float]
    bracket: int = 0
    parent: tuple[str, int] | None = None
    targets: dict[str, str] = field(default_factory=dict)
    retry_of: str | None = None
    ended_as: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The JSON form (``show --json``); JSON has no NaN, so a number that is none becomes null."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        for name in ("started", "seconds"):
            if plain[name] is not None and not math.isfinite(plain[name]):
                plain[name] = None
        plain["metrics"] = {k: v if math.isfinite(v) else None for k, v in self.metrics.items()}
        plain["parent"] = None if self.parent is None else {"trial": self.parent[0], "step": self.parent[1]}
        plain["curve"] = [[step, value] for step, value in sorted(self.curve.items())]
        return plain


@dataclass(slots=True)
class WorkerInfo:
    """What the log says of one worker process."""

    index: int
    name: str
    trials: array[int] = field(default_factory=lambda: array("i"))  # event number - 1 -> row that it proposed, or -1
    behind_gap: dict[int, int] = field(default_factory=dict)  # the same of events behind a gap in a damaged journal
    started: Started | None = None
    left: Left | None = None
    unanswered: Unanswered | None = None  # the latest

    def note(self, seq: int) -> bool:
        """Make room for the row of an event; say whether that event is new. A gap costs nothing, however wide."""
        if seq <= len(self.trials) or seq in self.behind_gap:
            return False
        if seq > len(self.trials) + 1:
            self.behind_gap[seq] = -1
            return True
        self.trials.append(-1)
        while (row := self.behind_gap.pop(len(self.trials) + 1, None)) is not None:
            self.trials.append(row)
        return True
