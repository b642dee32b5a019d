"""The view: the log as columns that algorithms read.

Events go in, one at a time and in whatever order replication brought them; out come arrays in canonical
order, (lamport, worker), that depend only on the *set* of events. Most trials are simple (one proposal, one
result) and cost about 130 bytes of columns; the few that were reported on step by step, paused, lost, claimed
or failed have a record of their own beside.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ..events.lifecycle import FINAL, MOST_LOSSES, Status
from ..events.notes import decode_note
from ..events.schema import EXTERNAL, OWN, QUEUED, TARGETS, TrialId, parse_trial, trial_name
from ..plugin import Config, Inherit, TrialState, TrialStatus
from ..plugin.objective import Objective
from ..space.space import Space
from .checkpoints import Checkpoints
from .details import Details
from .trials import HIDDEN, TrialBrief, TrialFile, TrialRecord

_NAN = float("nan")
_STATUS_NAMES: tuple[TrialStatus, ...] = (
    "queued", "running", "paused", "lost", "finished", "stopped", "failed", "cancelled",
)  # fmt: skip


class View(Checkpoints):
    """A replica's current state of the study. Readers must not mutate what they get."""

    def __init__(self, space: Space, objective: Objective, max_steps: int | None = None) -> None:
        super().__init__(space, objective, max_steps)
        self._line: tuple[int, int, set[int]] | None = None

    @classmethod
    def of_study(cls, study: Mapping[str, Any]) -> View:
        """An empty view of the study that is described as in ``study.json``.

        Raises ``UsageError`` for a bad value, ``KeyError`` or ``TypeError`` for what is no description at all.
        """
        space = Space.from_dict(study["space"])
        return cls(space, Objective(study["metric"], study["mode"]), study.get("max_steps"))

    @property
    def n_counted(self) -> int:
        """Trials that count against the budget: everything but queued, lost, withdrawn, added and retried ones."""
        c = self.counts
        return sum(c) - c[Status.QUEUED] - c[Status.LOST] - c[Status.CANCELLED] - self.n_retried

    @property
    def has_room(self) -> bool:
        """Whether the budget has room for one more trial."""
        goal = self.goal[1] if self.goal else None
        return goal is None or self.n_counted < goal

    @property
    def is_settled(self) -> bool:
        """Whether the budget is met whatever becomes of the trials that run or are lost."""
        goal = self.goal[1] if self.goal else None
        return goal is not None and self.n_counted - self.counts[Status.RUNNING] >= goal

    @property
    def n_trials(self) -> int:
        return self.n_counted + self.n_retried + self.n_external

    @property
    def n_observed(self) -> int:
        c = self.counts
        return c[Status.FINISHED] + c[Status.STOPPED] + c[Status.FAILED] + self.n_external

    @property
    def n_ended(self) -> int:
        """Trials of the budget that have ended for good."""
        c = self.counts
        return c[Status.FINISHED] + c[Status.STOPPED] + c[Status.FAILED] - self.n_retried

    @property
    def n_settled(self) -> int:
        """Trials of the budget that have a result or pause with one: those that a smaller budget could leave out."""
        settled = (*FINAL, Status.PAUSED)
        beyond = sum(self.status(row) in settled for row in self.beyond_line())
        return self.n_ended + self.counts[Status.PAUSED] - beyond

    def brief(self, row: int) -> TrialBrief:
        """What is known of a trial besides its columns, in one look: of many trials each look costs."""
        details, value, own = self._details.get(row) or Details(), self._value[row], self._names[self._origin[row]]
        if value != value and details.curve:
            value = self._report_value[details.curve[max(details.curve)]]
        attempt, owner, first = -1 if self._status[row] == Status.QUEUED else 0, own, self._to_step[row]
        if (facts := details.facts) is not None:
            attempt, owner = facts.attempt, facts.owner or own
            first = min((claim.to_step for claim in facts.claims.values() if claim.to_step), default=0)
        return TrialBrief(value, owner, attempt, first, details.bracket, details.parent, details.retry_of)

    def census(self) -> dict[Status, int]:
        """How many trials have each status, those that were added included."""
        return dict(zip(Status, np.bincount(self.statuses(), minlength=len(Status)).tolist(), strict=True))

    def failures_of(self, workers: Collection[str]) -> int:
        """How many trials of the budget failed on these workers; scans all trials."""
        count = 0
        for row, status in enumerate(self._status):
            if status == Status.FAILED and row not in self._external and not self.is_retried(row):
                facts = self._facts(row)
                count += facts.result is not None and facts.result[0][1] in workers
        return count

    def retry_of(self, row: int) -> TrialId | None:
        """The failed trial that this one tries again, if it does."""
        details = self._details.get(row)
        return None if details is None else details.retry_of

    @property
    def best_loss(self) -> float | None:
        """The loss of the best finished trial."""
        return None if self.best is None else self.objective.loss(self._value[self.best])

    def status(self, row: int) -> Status:
        return Status(self._status[row])

    def step(self, row: int) -> int:
        return self._step[row]

    def to_step(self, row: int) -> int | None:
        """Where the latest segment pauses; None: at its end."""
        return self._to_step[row] or None

    def count_reached(self, steps: Iterable[int]) -> dict[int, int]:
        """How many trials, withdrawn ones apart, did each of ``steps`` or are complete."""
        status, step = np.array(self._status, dtype=np.int8), np.array(self._step, dtype=np.int64)
        there = (status != Status.CANCELLED) & (status != Status.QUEUED)
        there[list(self._external)] = False
        complete = status == Status.FINISHED
        return {at: int(((step >= at) | complete)[there].sum()) for at in steps}

    def losses(self, row: int) -> int:
        """How many of its attempts were declared lost."""
        facts = self.facts(row)
        return 0 if facts is None else len(facts.lost)

    def crashes(self, row: int) -> int:
        """In how many of its attempts the process died."""
        details = self._details.get(row)
        return 0 if details is None else len(details.crashes)

    def idle_pauses(self, row: int) -> int:
        """How many of its latest pauses in a row came no further than it had come before."""
        facts = self.facts(row)
        return 0 if facts is None else facts.idle_pauses

    def attempt(self, row: int) -> int:
        """The latest claimed attempt, -1 if it was never claimed."""
        if (facts := self.facts(row)) is not None:
            return facts.attempt
        return -1 if self._status[row] == Status.QUEUED else 0

    def owner_of(self, row: int) -> str | None:
        """The worker that holds the latest attempt."""
        if (facts := self.facts(row)) is not None:
            return facts.owner
        return None if self._status[row] == Status.QUEUED else self._names[self._origin[row]]

    def asked_for(self, since: int) -> Iterator[tuple[int, int, tuple[float | int | None, ...]]]:
        """Row, source and packed configuration of what users queued (retries apart) and added, from row ``since``."""
        for row in range(since, self.n_rows):
            source = QUEUED if row in self._queued else EXTERNAL if row in self._external else OWN
            if source != OWN and self.retry_of(row) is None:
                yield row, source, self.space.pack(self.config(row))

    def is_same_experiment(self, row: int, other: int) -> bool:
        """Whether two trials have the same configuration, chosen by a searcher and trained from scratch."""
        same = self.config_bytes(row) == self.config_bytes(other)
        return same and not any(r in self._queued or r in self._external or self._has_parent(r) for r in (row, other))

    def _has_parent(self, row: int) -> bool:
        details = self._details.get(row)
        return details is not None and details.parent is not None

    def value(self, row: int) -> float | None:
        """The value with which a trial ended; None if it has none."""
        value = self._value[row]
        return None if value != value else value

    def seconds(self, row: int) -> float | None:
        """What a trial's segments took together; None before one has ended."""
        seconds = self._seconds[row]
        return None if seconds != seconds else seconds

    def last_reported(self, row: int) -> float | None:
        """The metric as a trial last reported it; if it never did, as the one had whose checkpoint it began with."""
        until: float = math.inf
        while True:
            details = self._details.get(row)
            if details is None:
                return None
            if steps := [step for step in details.curve if step <= until]:
                return self._report_value[details.curve[max(steps)]]
            parent = None if details.parent is None else self.row(details.parent.trial)
            if details.parent is None or parent is None or self.stamp(parent) >= self.stamp(row):
                return None
            until, row = details.parent.step, parent

    def _curve(self, details: Details, sign: float = 1.0) -> dict[int, float]:
        return {step: sign * self._report_value[at] for step, at in details.curve.items()}

    def trial(self, id: str) -> TrialState:
        """One trial as schedulers see it. Raises ``KeyError``."""
        return self.state(self.row_of(id), id)

    def config_of(self, trial: str) -> Config:
        """The configuration of the trial of this name. Raises ``KeyError``."""
        return self.config(self.row_of(trial))

    def row_of(self, trial: str) -> int:
        """The row of the trial of this name. Raises ``KeyError``."""
        try:
            row = self.row(parse_trial(trial))
        except ValueError:
            row = None
        if row is None:
            raise KeyError(f"no trial {trial!r}")
        return row

    def state(self, row: int, id: str | None = None) -> TrialState:
        """The trial in ``row`` as schedulers see it."""
        details = self._details.get(row)
        status, value = self.status(row), self._value[row]
        if status is Status.LOST and self.losses(row) > MOST_LOSSES:
            status = Status.FAILED  # no worker will go on with it
        elif self.is_retried(row):
            status = Status.CANCELLED  # another one has taken its place
        parent = None if details is None else details.parent
        return TrialState(
            id=id or trial_name(self.id(row)),
            status=_STATUS_NAMES[status],
            order=self.stamp(row),
            bracket=0 if details is None else details.bracket,
            to_step=self._to_step[row] or None,
            attempt=self.attempt(row),
            step=self._step[row],
            curve={} if details is None else self._curve(details, self.objective.sign),
            loss=None if value != value else self.objective.loss(value),
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
        """The row of the best trial so far: the best complete one, which the reducer keeps as ``best``; while there is
        none, the best of those that got farthest."""
        if self.best is not None or not self._report_row:
            return self.best
        status = np.array(self._status, dtype=np.int8)[np.array(self._report_row)]
        step = np.where(np.isin(status, (Status.FAILED, Status.CANCELLED)), -1, np.array(self._report_step))
        if step.max() < 0:
            return None
        farthest = np.flatnonzero(step == step.max())
        value = self.objective.sign * np.array(self._report_value)[farthest]
        ties = [self._report_row[at] for at in farthest[value == value.min()]]
        best: int = min(ties, key=self.stamp)
        return best

    def predicted(self, name: str) -> list[int]:
        """The rows of trials that have predictions of this name and neither failed nor were withdrawn."""
        bad = (Status.FAILED, Status.CANCELLED)
        return [row for row in self._predicting.get(name, ()) if self.status(row) not in bad]

    def predictions(self, row: int) -> tuple[set[str], set[str]]:
        """The digests of a trial's newest predictions, targets and files, and of those that newer ones superseded."""
        details = self._details.get(row)
        if details is None:
            return set(), set()
        newest = {digest for _, digest in details.predictions.values()}
        return newest | {digest for _, digest, _ in details.files.values()}, details.superseded

    def latest(self, row: int) -> float | None:
        """The loss of a trial as it is now: its result, else what it reported last."""
        value, details = self._value[row], self._details.get(row)
        if value == value:
            return self.objective.loss(value)
        if details is None or not details.curve:
            return None
        return self.objective.loss(self._report_value[details.curve[max(details.curve)]])

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
            if self.n_retried:
                counted[
                    [row for trial in self._retried if (row := self.row(trial)) is not None and self.is_retried(row)]
                ] = False
            order = self._sorted(np.flatnonzero(counted))
            self._line = self.version, goal, set(order[goal:].tolist())
        return self._line[2]

    def shown_status(self, row: int, *, abandoned: bool = False) -> str:
        """A trial's status as people are told; "cancelled" if they are not.

        A lost trial is lost for as long as a worker may go on with it. One that too many workers died of has failed.
        Once the budget is met without it, what it reported is surplus, and if it reported nothing it is cancelled.
        ``abandoned``: it counts as running, but its worker is dead.
        """
        status = Status.LOST if abandoned else self.status(row)
        name: str = _STATUS_NAMES[status]
        if status is Status.LOST:
            if self.losses(row) > MOST_LOSSES:
                return "failed"
            if self.is_settled and (not abandoned or row in self.beyond_line()):
                return "cancelled" if self.latest(row) is None else "surplus"
            return name
        beyond = (status in FINAL or status is Status.PAUSED) and row in self.beyond_line()
        return "surplus" if beyond else name

    def record(self, row: int, number: int | None = None, *, abandoned: bool = False) -> TrialRecord:
        """One trial as people see it. ``number`` defaults to its rank, which costs a scan. ``abandoned``: see
        :meth:`shown_status`."""
        details = self._details.get(row) or Details()
        status, shown = self.status(row), self.shown_status(row, abandoned=abandoned)
        value = self._value[row]
        curve = self._curve(details)
        blobs = {name: digest for name, (_, digest) in details.predictions.items()}
        if value != value and curve:
            value = curve[max(curve)]
        ended_as = _STATUS_NAMES[status] if status in FINAL else "failed" if shown == "failed" else None
        error = details.error
        if error is None and ended_as == "failed" and status is Status.LOST:
            error = f"given up: {self.losses(row)} workers died while they ran it"
        curves = details.curves()
        if curve:
            curves[self.objective.metric] = curve
        metrics = dict(details.extra or {})
        if value == value:
            metrics[self.objective.metric] = value
        return TrialRecord(
            id=trial_name(self.id(row)),
            number=self.number(row) if number is None else number,
            status=shown,
            config=self.config(row),
            value=None if value != value else value,
            metrics=metrics,
            step=self._step[row],
            worker=self.owner_of(row) or self._names[self._origin[row]],
            started=self._started[row],
            seconds=self.seconds(row),
            attempt=max(self.attempt(row), 0),
            error=error,
            detail=details.detail,
            checkpoint=None if (saved := self.checkpoint(row)) is None else saved[1],
            predictions={name: digest for name, digest in blobs.items() if not name.startswith(TARGETS)},
            targets={name.removeprefix(TARGETS): d for name, d in blobs.items() if name.startswith(TARGETS)},
            curve=curve,
            bracket=details.bracket,
            parent=None if details.parent is None else (trial_name(details.parent.trial), details.parent.step),
            retry_of=None if details.retry_of is None else trial_name(details.retry_of),
            ended_as=ended_as,
            curves=curves,
            crashes=[error for _, (_, error, _) in sorted(details.crashes.items())],
            retries=max(details.crashes.values())[2] if details.crashes else 0,
            files={n: TrialFile(digest, size, by) for n, ((_, by), digest, size) in sorted(details.files.items())},
            notes={name: decode_note(text) for name, (_, text) in sorted(details.notes.items())},
        )

    def records(self) -> Iterator[TrialRecord]:
        """All trials in canonical order; withdrawn and still queued ones are left out."""
        for number, row in enumerate(self.canonical_rows()):
            if self.shown_status(row) not in HIDDEN:
                yield self.record(row, number)

    def __repr__(self) -> str:
        best = "" if self.best is None else f", best {self.objective.metric} {self._value[self.best]:.6g}"
        return f"<View {self.n_ended} ended, {len(self.running)} running{best}>"
