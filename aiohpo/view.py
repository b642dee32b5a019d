"""The view: the log as columns that algorithms read.

Events go in, one at a time and in whatever order replication brought them; out come arrays in canonical
order, (lamport, worker), that depend only on the *set* of events. Most trials are simple (one proposal, one
result) and cost about 130 bytes of columns; the few that were reported on step by step, paused, lost, claimed
or failed have a record of their own beside.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from .columns import Columns
from .events import (
    EXTERNAL,
    QUEUED,
    Claimed,
    Ended,
    Event,
    Goal,
    Left,
    Lost,
    Over,
    Predicted,
    Proposed,
    Reported,
    Saved,
    Started,
    TrialEvent,
    TrialId,
    trial_name,
    trial_of,
)
from .interfaces import Observations
from .records import Details, TrialRecord, WorkerInfo
from .seen import SeenRows
from .space import Space
from .trial import CLAIMABLE, FINAL, Facts, Stamp, Status, settle

if TYPE_CHECKING:
    from .interfaces import FloatArray

_Done = tuple[NDArray[np.int64], "FloatArray", "FloatArray", "FloatArray"]
Mode = Literal["min", "max"]
_NAN = float("nan")
_RUNNING = int(Status.RUNNING)
_FINISHED = int(Status.FINISHED)


class View(Columns):
    """A replica's current state of the study. Readers must not mutate what they get."""

    def __init__(self, space: Space, metric: str, mode: Mode) -> None:
        super().__init__(space)
        self.metric = metric
        self.mode = mode
        self.sign = 1.0 if mode == "min" else -1.0
        self.version = 0
        self.workers: dict[str, WorkerInfo] = {}
        self.over: Stamp = (0, "")
        self.goal: tuple[Stamp, int | None] | None = None
        self.running: set[int] = set()
        self.claimable: set[int] = set()  # paused, lost or queued
        self.best: int | None = None
        self.counts = [0] * len(Status)
        self.n_external = 0
        self._external: set[int] = set()
        self._queued: set[int] = set()
        self._details: dict[int, Details] = {}
        self._early: dict[TrialId, list[tuple[Stamp, TrialEvent]]] = {}
        self._seen = SeenRows()
        self._cache: Observations | None = None
        self._done: _Done | None = None  # the finished part of the observations, and its rows
        self._newly_done: list[int] = []
        self._line: tuple[int, int, set[int]] | None = None

    # ------------------------------------------------------------------------------------------- writing
    def apply(self, origin: str, seq: int, event: Event) -> int | None:
        """Take one event; return the row of the trial it concerns, or None.

        Events of one origin must come in order (a gap is allowed and stays a gap); a repeated one is ignored.
        """
        worker = self.workers.get(origin)
        if worker is None:
            worker = self.workers[origin] = WorkerInfo(len(self._names), origin, array("i"))
            self._names.append(origin)
        known = worker.trials
        at = seq - 1
        if at < len(known):
            if known[at] != -2:
                return None
        else:
            while at > len(known):
                known.append(-2)  # a gap in a damaged journal
            known.append(-1)
        if known[at] == -2:
            known[at] = -1
        self.version += 1
        if isinstance(event, Proposed):
            if len(event.values) != self.space.dim or not self.space.check_row(event.values):
                return None  # not of this space: the proposal of a broken or malicious peer
            known[at] = row = self._propose(worker.index, seq, event)
            for stamp, early in self._early.pop((origin, seq), ()):
                self._about(row, stamp, early)
            return row
        if isinstance(event, Started):
            worker.started = event
        elif isinstance(event, Left):
            worker.left = event
        elif isinstance(event, Over):
            self.over = max(self.over, (event.lamport, origin))
        elif isinstance(event, Goal):
            stamp = (event.lamport, origin)
            if self.goal is None or stamp > self.goal[0]:
                self.goal = stamp, event.trials
        else:
            return self._about_trial(trial_of(origin, event.trial), (event.lamport, origin), event)
        return None

    def _propose(self, index: int, seq: int, event: Proposed) -> int:
        row = len(self._lamport)
        self._lamport.append(event.lamport)
        self._origin.append(index)
        self._seq.append(seq)
        self._value.append(_NAN)
        self._step.append(0)
        self._started.append(event.time)
        self._seconds.append(_NAN)
        self._ended_after.append(0)
        self._rows.extend([_NAN if v is None else v for v in event.values])
        status = Status.QUEUED if event.source == QUEUED else Status.RUNNING
        if event.source == EXTERNAL:
            self._external.add(row)
        elif event.source == QUEUED:
            self._queued.add(row)
        self._status.append(status)
        self._count(status, row, 1)
        return row

    def _about_trial(self, trial: TrialId, stamp: Stamp, event: TrialEvent) -> int | None:
        row = self.row(trial)
        if row is None:
            self._early.setdefault(trial, []).append((stamp, event))
            return None
        self._about(row, stamp, event)
        return row

    def _about(self, row: int, stamp: Stamp, event: TrialEvent) -> None:
        if type(event) is Ended:
            self._end(row, stamp, event)
        elif isinstance(event, Reported):
            self._report(row, stamp, event)
        elif isinstance(event, Claimed):
            self._facts(row).claim(event.attempt, stamp)
            self._resettle(row)
        elif isinstance(event, Lost):
            self._facts(row).lost.add(event.attempt)
            self._resettle(row)
        elif isinstance(event, Saved):
            details = self._detail(row)
            found = (event.step, event.digest, event.size, stamp[1])
            if details.checkpoint is None or found > details.checkpoint:
                details.checkpoint = found
        elif isinstance(event, Predicted):
            predictions = self._detail(row).predictions
            for name, digest in event.digests.items():
                predictions[name] = max((stamp, digest), predictions.get(name, ((-1, ""), "")))

    def _end(self, row: int, stamp: Stamp, event: Ended) -> None:
        details = self._details.get(row)
        simple = (
            event.how == "finished"
            and self._status[row] == _RUNNING
            and event.attempt == 0
            and (details is None or details.facts is None)
            and stamp[1] == self._names[self._origin[row]]
            and 0 <= stamp[0] - self._lamport[row] < 1 << 32
        )
        if simple:  # the owner's own result, nothing else known: no need for the whole set of facts
            self._ended_after[row] = stamp[0] - self._lamport[row]
            self._take_result(row, event)
            self._set_status(row, Status.FINISHED)
            if self._value[row] == self._value[row]:
                self._newly_done.append(row)
            return
        self._done = None
        facts = self._facts(row)
        facts.end(event, stamp)
        self._step[row] = max(event.step, self._step[row])
        if facts.result is not None:
            self._take_result(row, facts.result[1])
        self._resettle(row)

    def _take_result(self, row: int, event: Ended) -> None:
        # Our own evaluators see to it that the metric is finite; another peer's infinity must not be best for ever.
        value = event.value if event.value is not None and math.isfinite(event.value) else None
        self._value[row] = _NAN if value is None else value
        self._step[row] = max(event.step, self._step[row])
        self._seconds[row] = event.seconds
        if event.extra or event.error or row in self._details:
            details = self._detail(row)
            details.extra, details.error, details.detail = event.extra, event.error, event.detail
        self._cache = None
        if row == self.best:
            self._find_best()
        elif event.how == "finished" and value is not None:
            self._challenge(row)

    def _report(self, row: int, stamp: Stamp, event: Reported) -> None:
        details = self._detail(row)
        if event.value is not None and math.isfinite(event.value):
            # A restart may report a step again: the worse value stands, so that order cannot matter.
            before = details.curve.get(event.step, event.value)
            worse = max if self.sign > 0 else min
            details.curve[event.step] = worse(before, event.value)
        self._step[row] = max(event.step, self._step[row])
        at = event.step, stamp
        if Status(self._status[row]) not in FINAL and (details.extra_at is None or at > details.extra_at):
            details.extra, details.extra_at = event.extra, at

    def _challenge(self, row: int) -> None:
        if self.best is None or self._rank(row) < self._rank(self.best):
            self.best = row

    def _rank(self, row: int) -> tuple[float, int, str]:
        return self.sign * self._value[row], self._lamport[row], self._names[self._origin[row]]

    def _find_best(self) -> None:
        self.best = None
        for row, status in enumerate(self._status):
            if status == _FINISHED and self._value[row] == self._value[row]:
                self._challenge(row)

    def _detail(self, row: int) -> Details:
        found = self._details.get(row)
        if found is None:
            found = self._details[row] = Details()
        return found

    def _facts(self, row: int) -> Facts:
        """The trial's facts, built from the columns the first time they are needed."""
        details = self._detail(row)
        if details.facts is None:
            facts = details.facts = Facts()
            name = self._names[self._origin[row]]
            if self._status[row] != Status.QUEUED:
                facts.claim(0, (self._lamport[row], name))
            if self._status[row] == _FINISHED:
                value = self._value[row]
                facts.result = (
                    (self._lamport[row] + self._ended_after[row], name),
                    Ended(
                        self._lamport[row],
                        self.id(row),
                        0,
                        "finished",
                        self._step[row],
                        None if value != value else value,
                        self._seconds[row],
                        dict(details.extra) if details.extra else None,
                    ),
                )
        return details.facts

    def _resettle(self, row: int) -> None:
        self._set_status(row, settle(self._facts(row)))

    def _set_status(self, row: int, status: Status) -> None:
        old = self._status[row]
        if old != status:
            self._count(old, row, -1)
            self._status[row] = status
            self._count(status, row, 1)
            if row == self.best and status is not Status.FINISHED:
                self._find_best()

    def _count(self, status: int, row: int, by: int) -> None:
        self._cache = None
        if row in self._external:
            self.n_external += by
            return
        self.counts[status] += by
        if status == _RUNNING:
            (self.running.add if by > 0 else self.running.discard)(row)
        elif status in CLAIMABLE:
            (self.claimable.add if by > 0 else self.claimable.discard)(row)

    # ------------------------------------------------------------------------------------------- reading
    @property
    def n_counted(self) -> int:
        """Trials that count against the budget: everything but queued, lost, withdrawn and added ones."""
        c = self.counts
        return sum(c) - c[Status.QUEUED] - c[Status.LOST] - c[Status.CANCELLED]

    @property
    def n_trials(self) -> int:
        return self.n_counted + self.n_external

    @property
    def n_observed(self) -> int:
        c = self.counts
        return c[Status.FINISHED] + c[Status.STOPPED] + c[Status.FAILED] + self.n_external

    @property
    def n_ended(self) -> int:
        """Trials of the budget that have ended for good."""
        c = self.counts
        return c[Status.FINISHED] + c[Status.STOPPED] + c[Status.FAILED]

    @property
    def best_loss(self) -> float | None:
        """The loss of the best finished trial."""
        return None if self.best is None else self.sign * self._value[self.best]

    def row(self, trial: TrialId) -> int | None:
        """The row of a trial, or None if its proposal has not arrived."""
        worker = self.workers.get(trial[0])
        if worker is None or not 1 <= trial[1] <= len(worker.trials):
            return None
        row = worker.trials[trial[1] - 1]
        return row if row >= 0 else None

    def status(self, row: int) -> Status:
        return Status(self._status[row])

    def step(self, row: int) -> int:
        return self._step[row]

    def losses(self, row: int) -> int:
        """How many of its attempts were declared lost."""
        details = self._details.get(row)
        return len(details.facts.lost) if details is not None and details.facts is not None else 0

    def attempt(self, row: int) -> int:
        """The latest claimed attempt, -1 if nobody claimed it yet."""
        details = self._details.get(row)
        if details is not None and details.facts is not None:
            return details.facts.attempt
        return -1 if self._status[row] == Status.QUEUED else 0

    def owner(self, row: int) -> str | None:
        """The worker that holds the latest attempt."""
        details = self._details.get(row)
        if details is not None and details.facts is not None:
            return details.facts.owner
        return None if self._status[row] == Status.QUEUED else self._names[self._origin[row]]

    def host(self, worker: str) -> str | None:
        """The machine that a worker runs (or ran) on."""
        info = self.workers.get(worker)
        return info.started.host if info and info.started else None

    def has(self, values: tuple[float | int | None, ...], source: int) -> bool:
        """Whether just this configuration was queued (or added) before; scans all trials."""
        d = self.space.dim
        row = array("d", [_NAN if v is None else v for v in values]).tobytes()
        among = self._external if source == EXTERNAL else self._queued
        return any(self._rows[r * d : r * d + d].tobytes() == row for r in among)

    def checkpoint(self, row: int) -> tuple[int, str, int, str] | None:
        """(step, digest, size, worker that saved it) of the newest checkpoint."""
        details = self._details.get(row)
        return details.checkpoint if details else None

    def observations(self) -> Observations:
        if self._cache is None:
            if self._done is None:
                self._done = self._all_done()
            elif self._newly_done:
                self._done = self._done_with(self._done)
            self._newly_done = []
            running = self._sorted(np.fromiter(self.running, np.int64, len(self.running)))
            self._cache = Observations(*self._done[1:], self._encode(running), self.version)
        return self._cache

    def _all_done(self) -> _Done:
        status = np.array(self._status, dtype=np.int8)
        value = np.array(self._value)
        done = self._sorted(np.flatnonzero((status == _FINISHED) & np.isfinite(value)))
        failed = self._sorted(np.flatnonzero(status == Status.FAILED))
        return done, self._encode(done), self.sign * value[done], self._encode(failed)

    def _done_with(self, before: _Done) -> _Done:
        """Insert the newly finished: most come last or nearly so, and one copy is all that it costs."""
        rows, X, y, failed = before
        for row in sorted(self._newly_done, key=self.stamp):
            at = bisect_left(rows, self.stamp(row), key=self.stamp)
            rows = np.insert(rows, at, row)
            X = np.insert(X, at, self._encode(np.array([row])), axis=0)
            y = np.insert(y, at, self.sign * self._value[row])
        return rows, X, y, failed

    def seen(self, X: FloatArray) -> NDArray[np.bool_]:
        known = len(self._seen)
        if known < self.n_rows:
            d = self.space.dim
            native = np.array(self._rows[known * d :]).reshape(self.n_rows - known, d)
            self._seen.add(self.space.encode_native(native))
        return self._seen.contains(X)

    def beyond_line(self) -> set[int]:
        """The rows of counted trials behind the budget's line: not among the first N by (lamport, worker)."""
        goal = self.goal[1] if self.goal else None
        if goal is None or self.n_counted <= goal:
            return set()
        if self._line is None or self._line[:2] != (self.version, goal):
            status = np.array(self._status, dtype=np.int8)
            counted = (status != Status.QUEUED) & (status != Status.LOST) & (status != Status.CANCELLED)
            if self._external:
                counted[list(self._external)] = False
            order = self._sorted(np.flatnonzero(counted))
            self._line = self.version, goal, set(order[goal:].tolist())
        return self._line[2]

    def record(self, row: int, number: int | None = None) -> TrialRecord:
        """One trial as people see it. ``number`` defaults to its rank, which costs a scan."""
        details = self._details.get(row) or Details()
        status = self.status(row)
        value, seconds = self._value[row], self._seconds[row]
        if value != value and details.curve:
            value = details.curve[max(details.curve)]
        name = status.name.lower()
        if status in FINAL and row in self.beyond_line():
            name = "surplus"
        metrics = dict(details.extra or {})
        if value == value:
            metrics[self.metric] = value
        return TrialRecord(
            id=trial_name(self.id(row)),
            number=self.number(row) if number is None else number,
            status=name,
            config=self.config(row),
            value=None if value != value else value,
            metrics=metrics,
            step=self._step[row],
            worker=self.owner(row) or self._names[self._origin[row]],
            started=self._started[row],
            seconds=None if seconds != seconds else seconds,
            attempt=max(self.attempt(row), 0),
            error=details.error,
            detail=details.detail,
            checkpoint=details.checkpoint[1] if details.checkpoint else None,
            predictions={name: digest for name, (_, digest) in details.predictions.items()},
            curve=dict(details.curve),
        )

    def records(self) -> Iterator[TrialRecord]:
        """All trials in canonical order; withdrawn and still queued ones are left out."""
        hidden = (Status.CANCELLED, Status.QUEUED)
        for number, row in enumerate(self._sorted(np.arange(self.n_rows))):
            if self._status[row] not in hidden:
                yield self.record(int(row), number)

    def __repr__(self) -> str:
        best = "" if self.best is None else f", best {self.metric} {self._value[self.best]:.6g}"
        return f"<View {self.n_ended} ended, {len(self.running)} running{best}>"
