"""Records of single trials and workers: what the view keeps beside its columns, and what people see."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, SupportsIndex, overload

from ..arguments import RECORD_ATTRIBUTES, explained_class
from ..events.schema import Left, Parent, Started, TrialId, Unanswered
from ..plugin import Config
from ..tables import html_table
from ..text import printable

HIDDEN = ("cancelled", "queued")  # statuses of trials that are not listed
_WIDEST = 200  # characters of a record's repr
_MOST_ROWS = 20  # trials in a table


class TrialFile(NamedTuple):
    """A file of a trial: the SHA-256 of its bytes, how many there are, and the worker that has it."""

    digest: str
    size: int
    worker: str


@explained_class(attributes=RECORD_ATTRIBUTES)
@dataclass(frozen=True, slots=True, repr=False)
class TrialRecord:
    """One trial of a study, as :class:`~aiohpo.Result`, callbacks, ``show --json`` and exports give it.

    id           its name: unique in the study, short, and fit for a file name
    number       its place among all trials in the order of their proposals, from 0. Final once all workers' logs have
                 been read, as in a finished run; until then it may change
    status       "queued", "running", "paused", "lost" (its worker died; another may continue it), "finished"
                 (complete), "stopped" (early), "failed", "cancelled", or "surplus" (a result beyond the budget)
    config       {parameter: value}; inactive conditional parameters are absent
    value        the objective's metric in its own sign: the result, else the last report; None if there is none
    metrics      {name: value} of the metrics of the result, else of the last report
    step         the last step that was done
    worker       the worker that ran it last
    started      when its first segment began, in seconds since the epoch
    seconds      the total duration of its segments; None before one has ended
    attempt      the number of its latest segment, from 0 on
    error        why it failed, in one line; None if it did not
    detail       the traceback, or the end of the output, that belongs to the error
    checkpoint   the digest of the newest checkpoint that can be resumed from
    predictions  {name: digest} stored by ``trial.predictions``
    curve        {step: value} of every report of the objective's metric
    bracket      its bracket, if the scheduler has several; else 0
    parent       (trial, step) of the checkpoint that it started from, if it inherited one
    targets      {name: digest} stored by ``trial.targets``
    retry_of     the failed trial whose configuration it tries again
    ended_as     "finished", "stopped" or "failed", also where ``status`` is "surplus"; None if it has not ended
    curves       {name: {step: value}} of every report of every metric, that of the objective metric included
    notes        {name: value} given to ``trial.note``
    files        {name: file} given to ``trial.attach``: the ``digest`` of its bytes and its ``size``. See
                 :meth:`aiohpo.Result.file`
    crashes      why its process died, once for each attempt in which it did
    retries      how many crashes it survives, as of the last one (``Study(retries=…)``)
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
    curves: dict[str, dict[int, float]] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    crashes: list[str] = field(default_factory=list)
    retries: int = 0
    files: dict[str, TrialFile] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form (``show --json``); JSON has no NaN, so a number that is none becomes null."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        for name in ("started", "seconds"):
            if plain[name] is not None and not math.isfinite(plain[name]):
                plain[name] = None
        plain["metrics"] = {k: v if math.isfinite(v) else None for k, v in self.metrics.items()}
        plain["parent"] = None if self.parent is None else {"trial": self.parent[0], "step": self.parent[1]}
        plain["curve"] = _points(self.curve)
        plain["files"] = {name: {"digest": file.digest, "size": file.size} for name, file in self.files.items()}
        plain["curves"] = {name: _points(curve) for name, curve in self.curves.items()}
        return plain

    def _summary(self) -> str:
        value = "" if self.value is None else f", {self.value:.6g}"
        error = "" if self.error is None else f" ({self.error})"
        return f"{self.number} {self.status}{value}{error}"

    def __repr__(self) -> str:
        config = ", ".join(
            f"{name}={value:.6g}" if isinstance(value, float) else f"{name}={value!r}"
            for name, value in self.config.items()
        )
        return f"<TrialRecord {printable(f'{self._summary()}: {config}', _WIDEST)}>"

    def _repr_html_(self) -> str:
        rows = [("status", self.status), ("error", self.error), ("value", self.value)]
        rows += [("steps", self.step or None), ("seconds", self.seconds), ("worker", self.worker)]
        rows += [(f"config.{name}", value) for name, value in self.config.items()]
        rows += [(f"metric.{name}", value) for name, value in self.metrics.items()]
        return html_table(f"trial {self.number}", (), [row for row in rows if row[1] is not None])


class TrialList(list[TrialRecord]):
    """A list of trials, which a notebook shows as a table."""

    @overload
    def __getitem__(self, index: SupportsIndex) -> TrialRecord: ...
    @overload
    def __getitem__(self, index: slice) -> TrialList: ...
    def __getitem__(self, index: SupportsIndex | slice) -> TrialRecord | TrialList:
        found = super().__getitem__(index)
        return TrialList(found) if isinstance(found, list) else found

    def _repr_html_(self) -> str:
        return trials_table(f"{len(self)} trials", self)


def trials_table(title: str, trials: Sequence[TrialRecord], most: int = _MOST_ROWS) -> str:
    """Return a table of HTML of the first ``most`` trials, and how many more there are."""
    shown = trials[:most]
    names = list(dict.fromkeys(name for trial in shown for name in trial.config))
    steps = ["steps"] if any(trial.step for trial in shown) else []
    errors = ["error"] if any(trial.error for trial in shown) else []
    rows = [
        [
            *(trial.number, trial.status, trial.value),
            *(trial.step for _ in steps),
            trial.seconds,
            *(trial.config.get(name) for name in names),
            *(trial.error for _ in errors),
        ]
        for trial in shown
    ]
    more = len(trials) - len(shown)
    columns = ["number", "status", "value", *steps, "seconds", *names, *errors]
    return html_table(title, columns, rows, f"and {more} more" if more else "")


def _points(curve: dict[int, float]) -> list[list[float | None]]:
    return [[step, value if math.isfinite(value) else None] for step, value in sorted(curve.items())]


class TrialBrief(NamedTuple):
    """What is kept of a trial besides the columns, for those who look at all trials.

    value       its result, else what it reported last; NaN without any
    worker      the worker that ran it last, or queued it
    attempt     the number of its latest segment, -1 if it was never begun
    first_rung  where it was first to pause, 0: nowhere
    bracket, parent, retry_of   as of its proposal
    """

    value: float
    worker: str
    attempt: int
    first_rung: int
    bracket: int
    parent: Parent | None
    retry_of: TrialId | None


def flat_record(trial: TrialRecord) -> dict[str, Any]:
    """One trial as a flat row, for tables."""
    return {
        "number": trial.number,
        "id": trial.id,
        "status": trial.status,
        "value": trial.value,
        "step": trial.step,
        "worker": trial.worker,
        "started": trial.started,
        "seconds": trial.seconds,
        "error": trial.error,
        **{f"config.{name}": value for name, value in trial.config.items()},
        **{f"metric.{name}": value for name, value in trial.metrics.items()},
        **{f"note.{name}": value for name, value in trial.notes.items()},
    }


@dataclass(slots=True)
class WorkerInfo:
    """What the log says about one worker process."""

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
