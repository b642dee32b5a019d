"""The view: the log as columns that algorithms read.

Events go in, one at a time and in whatever order replication brought them; out come arrays in canonical
order, (lamport, worker), that depend only on the *set* of events. Most trials are simple (one proposal, one
result) and cost about 130 bytes of columns; the few that were reported on step by step, paused, lost, claimed
or failed have a record of their own beside.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from typing import Literal

import numpy as np

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
    parse_trial,
    trial_name,
    trial_of,
)
from .interfaces import Config, Inherit, TrialState, TrialStatus
from .observed import Observed
from .records import Details, TrialRecord, WorkerInfo
from .space import Space
from .trial import CLAIMABLE, FINAL, MOST_LOSSES, Claim, Facts, Stamp, Status, settle

Mode = Literal["min", "max"]
_NAN = float("nan")
_RUNNING = int(Status.RUNNING)
_FINISHED = int(Status.FINISHED)
_STATUS_NAMES: tuple[TrialStatus, ...] = (
    "queued", "running", "paused", "lost", "finished", "stopped", "failed", "cancelled",
)  # fmt: skip


class View(Observed):
    """A replica's current state of the study. Readers must not mutate what they get."""

    def __init__(self, space: Space, metric: str, mode: Mode, max_steps: int | None = None) -> None:
        super().__init__(space, 1.0 if mode == "min" else -1.0, max_steps)
        self.metric = metric
        self.mode = mode
        self.workers: dict[str, WorkerInfo] = {}
        self.over: Stamp = (0, "")
        self.goal: tuple[Stamp, int | None] | None = None
        self.waiting: set[int] = set()  # queued or lost: anybody may begin them or go on
        self.paused: set[int] = set()
        self.best: int | None = None
        self.counts = [0] * len(Status)
        self.n_external = 0
        self.n_results = 0  # endings that arrived here; only ever grows
        self._external: set[int] = set()
        self._queued: set[int] = set()
        self._details: dict[int, Details] = {}
        self._early: dict[TrialId, list[tuple[Stamp, TrialEvent]]] = {}
        self._touched = array("i")
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
        self._to_step.append(event.to_step or 0)
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
        if event.bracket or event.parent is not None:
            details = self._detail(row)
            details.bracket, details.parent = event.bracket, event.parent
            if event.parent is not None:
                parent = event.parent
                details.checkpoints[parent.step] = (-1, parent.digest, parent.size, parent.worker)
        self._touched.append(row)
        return row

    def _about_trial(self, trial: TrialId, stamp: Stamp, event: TrialEvent) -> int | None:
        row = self.row(trial)
        if row is None:
            self._early.setdefault(trial, []).append((stamp, event))
            return None
        self._about(row, stamp, event)
        return row

    def _about(self, row: int, stamp: Stamp, event: TrialEvent) -> None:
        self._touched.append(row)
        self._cache = self._curves = None
        if type(event) is Ended:
            self._end(row, stamp, event)
        elif isinstance(event, Reported):
            self._report(row, stamp, event)
        elif isinstance(event, Claimed):
            facts = self._facts(row)
            facts.claim(event.attempt, Claim(stamp, event.to_step or 0, event.restart, event.bracket))
            self._to_step[row] = facts.to_step
            if row in self._queued and 0 in facts.claims:
                self._detail(row).bracket = facts.claims[0].bracket
            self._resettle(row)
        elif isinstance(event, Lost):
            self._facts(row).lost.add(event.attempt)
            self._resettle(row)
        elif isinstance(event, Saved):
            saved = self._detail(row).checkpoints
            found = (event.attempt, event.digest, event.size, stamp[1])
            saved[event.step] = max(found, saved.get(event.step, found))
        elif isinstance(event, Predicted):
            predictions = self._detail(row).predictions
            for name, digest in event.digests.items():
                predictions[name] = max((stamp, digest), predictions.get(name, ((-1, ""), "")))

    def _end(self, row: int, stamp: Stamp, event: Ended) -> None:
        self.n_results += 1
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
        self._seconds[row] = facts.seconds
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
        if row == self.best:
            self._find_best()
        elif event.how == "finished" and value is not None:
            self._challenge(row)

    def _report(self, row: int, stamp: Stamp, event: Reported) -> None:
        details = self._detail(row)
        if event.value is not None and math.isfinite(event.value):
            self._note(row, details.curve, event.step, event.attempt, event.value)
        self._step[row] = max(event.step, self._step[row])
        at = event.step, stamp
        if Status(self._status[row]) not in FINAL and (details.extra_at is None or at > details.extra_at):
            details.extra, details.extra_at = event.extra, at

    def _note(self, row: int, curve: dict[int, int], step: int, attempt: int, value: float) -> None:
        """Keep a reported value. A step may be reported again: by a restart, whose values decide nothing any more,
        so the first attempt's stands; or within an attempt by both sides of a race, of which the worse stands."""
        at = curve.get(step)
        if at is None:
            curve[step] = len(self._report_row)
            self._report_row.append(row)
            self._report_step.append(step)
            self._report_attempt.append(attempt)
            self._report_value.append(value)
        elif attempt < self._report_attempt[at]:
            self._report_attempt[at], self._report_value[at] = attempt, value
        elif attempt == self._report_attempt[at] and self.sign * (value - self._report_value[at]) > 0:
            self._report_value[at] = value

    def _challenge(self, row: int) -> None:
        if self.best is None or self.rank(row) < self.rank(self.best):
            self.best = row

    def rank(self, row: int) -> tuple[float, int, str]:
        """What complete trials are compared by: the smaller, the better."""
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
                facts.claim(0, Claim((self._lamport[row], name), self._to_step[row]))
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
        self._cache = self._curves = None
        if row in self._external:
            self.n_external += by
            return
        self.counts[status] += by
        if status == _RUNNING:
            (self.running.add if by > 0 else self.running.discard)(row)
        elif status == Status.PAUSED:
            (self.paused.add if by > 0 else self.paused.discard)(row)
        elif status in CLAIMABLE:
            (self.waiting.add if by > 0 else self.waiting.discard)(row)

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

    def to_step(self, row: int) -> int | None:
        """Where the latest segment pauses; None: at its end."""
        return self._to_step[row] or None

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

    def checkpoint(self, row: int, step: int | None = None) -> tuple[int, str, int, str] | None:
        """(step, digest, size, worker that saved it) of the newest checkpoint, or of that of ``step``."""
        for at, (_, digest, size, worker) in self._checkpoints(row):
            if step is None or at == step:
                return at, digest, size, worker
        return None

    def _checkpoints(self, row: int) -> list[tuple[int, tuple[int, str, int, str]]]:
        """Those of which use can be made, newest first."""
        details = self._details.get(row)
        if details is None or not details.checkpoints:
            return []
        since = -1 if details.facts is None else details.facts.restarted
        return sorted(((at, saved) for at, saved in details.checkpoints.items() if saved[0] >= since), reverse=True)

    def digests(self, row: int) -> dict[int, str]:
        """{step: digest} of every checkpoint that was ever recorded for a trial, of use or not."""
        details = self._details.get(row)
        return {} if details is None else {at: saved[1] for at, saved in details.checkpoints.items()}

    def _curve(self, details: Details, sign: float = 1.0) -> dict[int, float]:
        return {step: sign * self._report_value[at] for step, at in details.curve.items()}

    def trial(self, id: str) -> TrialState:
        """One trial as schedulers see it. Raises ``KeyError``."""
        try:
            row = self.row(parse_trial(id))
        except ValueError:
            row = None
        if row is None:
            raise KeyError(f"no trial {id!r}")
        return self.state(row, id)

    def config_of(self, trial: str) -> Config:
        """The configuration of the trial of this name. Raises ``KeyError``."""
        try:
            row = self.row(parse_trial(trial))
        except ValueError:
            row = None
        if row is None:
            raise KeyError(f"no trial {trial!r}")
        return self.config(row)

    def state(self, row: int, id: str | None = None) -> TrialState:
        """The trial in ``row`` as schedulers see it."""
        details = self._details.get(row)
        status, value = self.status(row), self._value[row]
        if status is Status.LOST and self.losses(row) > MOST_LOSSES:
            status = Status.FAILED  # nobody will go on with it
        parent = None if details is None else details.parent
        return TrialState(
            id=id or trial_name(self.id(row)),
            status=_STATUS_NAMES[status],
            order=self.stamp(row),
            bracket=0 if details is None else details.bracket,
            to_step=self._to_step[row] or None,
            attempt=self.attempt(row),
            step=self._step[row],
            curve={} if details is None else self._curve(details, self.sign),
            loss=None if value != value else self.sign * value,
            parent=None if parent is None else Inherit(trial_name(parent.trial), parent.step),
            checkpoints=[step for step, _ in self._checkpoints(row)],
        )

    def changed(self, since: int) -> tuple[list[str], int]:
        """The trials (but added ones) of which anything changed after ``since``, and the present moment."""
        rows, moment = self.touched(since)
        return [trial_name(self.id(row)) for row in rows if row not in self._external], moment

    def touched(self, since: int) -> tuple[list[int], int]:
        """Like :meth:`changed`, as rows, added trials included."""
        return list(dict.fromkeys(self._touched[since:])), len(self._touched)

    def leader(self) -> int | None:
        """The row of the best trial so far: the best complete one; while there is none, the best of those that got
        farthest."""
        if self.best is not None or not self._report_row:
            return self.best
        status = np.array(self._status, dtype=np.int8)[np.array(self._report_row)]
        step = np.where(np.isin(status, (Status.FAILED, Status.CANCELLED)), -1, np.array(self._report_step))
        if step.max() < 0:
            return None
        farthest = np.flatnonzero(step == step.max())
        value = self.sign * np.array(self._report_value)[farthest]
        ties = [self._report_row[at] for at in farthest[value == value.min()]]
        best: int = min(ties, key=self.stamp)
        return best

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
        curve = self._curve(details)
        if value != value and curve:
            value = curve[max(curve)]
        name: str = _STATUS_NAMES[status]
        if (status in FINAL or status is Status.PAUSED) and row in self.beyond_line():
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
            checkpoint=None if (saved := self.checkpoint(row)) is None else saved[1],
            predictions={name: digest for name, (_, digest) in details.predictions.items()},
            curve=curve,
            bracket=details.bracket,
            parent=None if details.parent is None else (trial_name(details.parent.trial), details.parent.step),
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
