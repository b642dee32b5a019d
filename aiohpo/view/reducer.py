"""Folding events into columns: every event moves the view from one state to the next.

What is kept is arranged so that the order of arrival cannot matter: facts are sets, values of which only the maximum
or minimum counts, and events about a trial whose proposal has not arrived wait for it.
"""

from __future__ import annotations

import math
from array import array

from msgspec.structs import replace

from ..events.lifecycle import CLAIMABLE, FINAL, Claim, Facts, Stamp, Status, earlier_end, settle
from ..events.schema import (
    EXTERNAL,
    OWN,
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
    Unanswered,
    trial_of,
)
from ..plugin.objective import Objective
from ..space.space import Space
from .announcements import Announcements
from .details import Details, DetailStore
from .segments import Activity
from .trials import WorkerInfo

_NAN = float("nan")
_RUNNING = int(Status.RUNNING)
_FINISHED = int(Status.FINISHED)
_FINAL = frozenset(map(int, FINAL))
_LEARNED_FROM = (_FINISHED, int(Status.FAILED))
_ANNOUNCEMENTS = (Started, Left, Over, Unanswered, Goal)


class Reducer(Announcements):
    """The columns and what is beside them; :meth:`apply` is the only way in."""

    def __init__(self, space: Space, objective: Objective, max_steps: int | None = None) -> None:
        super().__init__(space, objective, max_steps)
        self.succeeded = False  # whether a segment of any trial of the budget ended well; never becomes False again
        self.n_retried = 0  # failed trials that are tried again, so that they do not count against the budget
        self.waiting: set[int] = set()  # queued or lost: any worker may begin them or go on
        self.paused: set[int] = set()
        self.best: int | None = None
        self.counts = [0] * len(Status)
        self.n_external = 0
        self.n_results = 0  # endings that arrived here; only ever grows
        self._external: set[int] = set()
        self._queued: set[int] = set()
        self._details = DetailStore()
        self._predicting: dict[str, dict[int, None]] = {}  # the rows of trials that have predictions, by their names
        self._early: dict[TrialId, list[tuple[Stamp, TrialEvent]]] = {}
        self._touched = array("i")
        self.activity = Activity(self.objective.sign, max_steps)

    def apply(self, origin: str, seq: int, event: Event, again: bool = False) -> int | None:
        """Take one event; return the row of the trial it concerns, or None.

        Events of one origin must come in order (a gap is allowed and stays a gap); a repeated one is ignored, unless it
        is another one that bears the same number (``again``, see :mod:`aiohpo.events.origin_log`).
        """
        worker = self.workers.get(origin)
        if worker is None:
            worker = self.workers[origin] = WorkerInfo(len(self._names), origin)
            self._names.append(origin)
        known = worker.trials
        if seq == len(known) + 1 and not worker.behind_gap:
            known.append(-1)
        elif not worker.note(seq) and not again:
            return None
        self.version += 1
        if isinstance(event, Proposed):
            if len(event.values) != self.space.dim or not self.space.check_row(event.values):
                return None  # not of this space: the proposal of a broken or malicious peer
            self.activity.account_for(origin, seq, event)
            if again and (forked := self.row((origin, seq))) is not None:
                return self._settle_fork(forked, origin, event)
            row = self._propose(worker.index, seq, event)
            if seq <= len(known):
                known[seq - 1] = row
            else:
                worker.behind_gap[seq] = row
            for stamp, early in self._early.pop((origin, seq), ()):
                self._about(row, stamp, early)
            return row
        if isinstance(event, _ANNOUNCEMENTS):
            self.activity.account_for(origin, seq, event)
            self._announce(worker, event)
            return None
        trial = trial_of(origin, event.trial)
        if isinstance(event, Ended | Claimed):
            at = self.row(trial)
            facts = None if at is None else self.facts(at)
            self.activity.account_for(origin, seq, event, set() if facts is None else facts.paused_by)
        return self._about_trial(trial, (event.lamport, origin), event)

    def _propose(self, index: int, seq: int, event: Proposed) -> int:
        row = len(self._lamport)
        self._lamport.append(event.lamport)
        if event.lamport >= self._newest_lamport:
            self._newest = row if event.lamport > self._newest_lamport else -1
            self._newest_lamport = event.lamport
        self._note_lamport(row)
        self._origin.append(index)
        self._seq.append(seq)
        self._value.append(_NAN)
        self._step.append(0)
        self._to_step.append(self.pause_of(event))
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
        if event.retry_of is not None and event.source == QUEUED:
            self._detail(row).retry_of = event.retry_of
            self._retry(event.retry_of)
        self._touched.append(row)
        return row

    def _settle_fork(self, row: int, origin: str, event: Proposed) -> int:
        """Two proposals bear one number. Both are claims; of the rest the smaller one holds."""
        facts = self._facts(row)
        external, queued = row in self._external, row in self._queued
        source = EXTERNAL if external else QUEUED if queued else OWN
        details, d = self._detail(row), self.space.dim
        values = array("d", [_NAN if v is None else v for v in event.values])
        mine = self._lamport[row], source, self._started[row], self.config_bytes(row)
        new = event.lamport, event.source, event.time, values.tobytes()
        if event.source != QUEUED:
            facts.claim(0, Claim((event.lamport, origin), self.pause_of(event)))
        if event.retry_of is not None:
            self._retry(event.retry_of)
        if (*new, repr((event.parent, event.retry_of))) < (*mine, repr((details.parent, details.retry_of))):
            self._count(self._status[row], row, -1)
            for kept, kind in ((self._external, EXTERNAL), (self._queued, QUEUED)):
                (kept.add if event.source == kind else kept.discard)(row)
            self._count(self._status[row], row, 1)
            if row == self._newest:
                self._newest = -1
            self._lamport[row], self._started[row], self._rows[row * d : row * d + d] = (
                event.lamport,
                event.time,
                values,
            )
            self._note_lamport(row)
            details.bracket, details.parent, details.retry_of = event.bracket, event.parent, event.retry_of
        self._to_step[row] = facts.to_step
        if row in self._queued and 0 in facts.claims:
            details.bracket = facts.claims[0].bracket
        self._done = None
        self._touched.append(row)
        self._resettle(row)
        self._find_best()
        return row

    def _retry(self, trial: TrialId) -> None:
        """Take a trial out of the budget, if it failed: another one takes its place."""
        if trial in self._retried:
            return
        self._retried.add(trial)
        row = self.row(trial)
        if row is not None:
            self._touched.append(row)
            self._done = self._cache = None
            self.n_retried += self.is_retried(row) and row not in self._external

    def facts(self, row: int) -> Facts | None:
        """What is known of a trial's segments, for reading; None where it ran, or runs, in one without more ado."""
        details = self._details.get(row)
        return None if details is None else details.facts

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
        elif type(event) is Reported:
            self._report(row, stamp, event)
        elif type(event) is Claimed:
            facts = self._facts(row)
            facts.claim(event.attempt, Claim(stamp, self.pause_of(event), event.restart, event.bracket))
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
            self._detail(row).predict(stamp, event.digests)
            for name in event.digests:
                self._predicting.setdefault(name, {})[row] = None
        else:
            self._detail(row).take(stamp, event)

    def _end(self, row: int, stamp: Stamp, event: Ended) -> None:
        self.n_results += 1
        if end := earlier_end(event, self.max_steps):
            event = replace(event, how="paused", step=max(event.step, end))
            if event.value is not None and math.isfinite(event.value):
                self._note(row, self._detail(row).curve, event.step, event.attempt, event.value)
        self.succeeded |= event.how in ("finished", "stopped", "paused") and row not in self._external
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
        before = self._status[row]
        facts = self._facts(row)
        facts.end(event, stamp)
        self._step[row] = max(event.step, self._step[row])
        if facts.result is not None:
            self._take_result(row, facts.result[1])
        self._seconds[row] = facts.seconds
        self._resettle(row)
        after = self._status[row]
        if before in _LEARNED_FROM or after == Status.FAILED:
            self._done = None
        elif after == _FINISHED and self._value[row] == self._value[row]:
            self._newly_done.append(row)

    def _take_result(self, row: int, event: Ended) -> None:
        # Our own evaluators see to it that the metric is finite; another peer's infinity must not be best for ever.
        value = event.value if event.value is not None and math.isfinite(event.value) else None
        self._value[row] = _NAN if value is None else value
        self._step[row] = max(event.step, self._step[row])
        self._seconds[row] = event.seconds
        if event.extra or event.error or event.detail or row in self._details:
            details = self._detail(row)
            details.extra, details.error, details.detail = event.extra, event.error or None, event.detail or None
        if row == self.best:
            self._find_best()
        elif event.how == "finished" and value is not None:
            self._challenge(row)

    def _report(self, row: int, stamp: Stamp, event: Reported) -> None:
        details = self._detail(row)
        if event.value is not None and math.isfinite(event.value):
            self._note(row, details.curve, event.step, event.attempt, event.value)
        if event.extra:
            details.report(event.step, event.attempt, stamp[0], event.extra)
        self._step[row] = max(event.step, self._step[row])
        at = event.step, stamp
        if self._status[row] not in _FINAL and (
            details.extra_at is None
            or at > details.extra_at
            or (at == details.extra_at and repr(event.extra) > repr(details.extra))  # of a fork
        ):
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
        elif attempt == self._report_attempt[at] and self.objective.is_better(self._report_value[at], value):
            self._report_value[at] = value

    def _challenge(self, row: int) -> None:
        if self.best is None or self.rank(row) < self.rank(self.best):
            self.best = row

    def rank(self, row: int) -> tuple[float, int, str, int]:
        """What complete trials are compared by: the smaller, the better."""
        return self.objective.sign * self._value[row], self._lamport[row], *self.id(row)

    def _find_best(self) -> None:
        self.best = None
        for row, status in enumerate(self._status):
            if status == _FINISHED and self._value[row] == self._value[row]:
                self._challenge(row)

    def _detail(self, row: int) -> Details:
        return self._details.edit(row)

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
                        details.error,
                        details.detail,
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
        if status == Status.FAILED and self._retried and self.id(row) in self._retried:
            self.n_retried += by
        if status == _RUNNING:
            (self.running.add if by > 0 else self.running.discard)(row)
        elif status == Status.PAUSED:
            (self.paused.add if by > 0 else self.paused.discard)(row)
        elif status in CLAIMABLE:
            (self.waiting.add if by > 0 else self.waiting.discard)(row)

    def row(self, trial: TrialId) -> int | None:
        """The row of a trial, or None if its proposal has not arrived."""
        worker = self.workers.get(trial[0])
        if worker is None:
            return None
        number, known = trial[1], worker.trials
        row = known[number - 1] if 1 <= number <= len(known) else worker.behind_gap.get(number, -1)
        return row if row >= 0 else None
