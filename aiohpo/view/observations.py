"""What searchers read of the columns: observations and learning curves, as arrays in canonical order.

The finished part of the observations grows by insertion: results come nearly in order, and one copy is all that it
costs. Learning curves are kept in order of arrival; a searcher gets a copy of those columns (a fraction of a
millisecond at 10,000 trials, on the event loop), which sorts itself when it is read: in the thread that fits.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..events.lifecycle import Status
from ..events.schema import TrialId
from ..plugin import Observations
from ..plugin.objective import Objective
from ..space.space import Space
from .columns import Columns, canonical
from .known_rows import KnownRows

if TYPE_CHECKING:
    from ..plugin import FloatArray, IntArray

_Done = tuple["IntArray", "FloatArray", "FloatArray", "FloatArray"]
_Arrays = tuple["FloatArray", "IntArray", "IntArray", "FloatArray"]
_FINISHED = int(Status.FINISHED)
_NOT_LEARNED_FROM = (Status.QUEUED, Status.FAILED, Status.CANCELLED)


class ReportedCurves:
    """Reports in canonical order, put there when first read; implements :class:`aiohpo.plugin.Curves`."""

    __slots__ = ("_arrays", "_build")

    def __init__(self, build: Callable[[], _Arrays]) -> None:
        self._build = build
        self._arrays: _Arrays | None = None

    def _read(self) -> _Arrays:
        if self._arrays is None:
            arrays = self._build()
            for column in arrays:
                column.flags.writeable = False
            self._arrays = arrays
        return self._arrays

    @property
    def X(self) -> FloatArray:
        return self._read()[0]

    @property
    def trial(self) -> IntArray:
        return self._read()[1]

    @property
    def step(self) -> IntArray:
        return self._read()[2]

    @property
    def loss(self) -> FloatArray:
        return self._read()[3]

    def __repr__(self) -> str:
        return f"<ReportedCurves of {len(self.X)} trials, {len(self.loss)} reports>"


class ObservationColumns(Columns):
    """Columns with the reports on the way, and what searchers make of both."""

    def __init__(self, space: Space, objective: Objective, max_steps: int | None) -> None:
        super().__init__(space)
        self.objective = objective
        self.max_steps = max_steps
        self.version = 0
        self.running: set[int] = set()
        self._report_row = array("i")
        self._report_step = array("q")
        self._report_attempt = array("i")
        self._report_value = array("d")
        self._seen = KnownRows()
        self._retried: set[TrialId] = set()
        self._cache: Observations | None = None
        self._curves: ReportedCurves | None = None
        self._done: _Done | None = None  # the finished part of the observations, and its rows
        self._newly_done: list[int] = []

    def observations(self) -> Observations:
        """What is known now, as :class:`aiohpo.plugin.Observations`."""
        if self._cache is None:
            if self._done is None:
                self._done = self._all_done()
            elif self._newly_done:
                self._done = self._done_with(self._done)
            self._newly_done = []
            if self._curves is None:
                self._curves = self._reported()
            running = self._running()
            to = np.array([self._to_step[row] or self.max_steps or 0 for row in running], dtype=np.int64)
            pending, known = self._encode(running), self.n_rows
            self._cache = Observations(*self._done[1:], pending, to, self._curves, self.max_steps, self.version, known)
        return self._cache

    def pending(self, most: int | None = None) -> FloatArray:
        """The configurations that are being evaluated now; with ``most``, only the latest."""
        running = self._running()
        return self._encode(running if most is None else running[max(len(running) - most, 0) :])

    def proposed(self, since: int) -> tuple[FloatArray, NDArray[np.bool_], int]:
        """The configurations proposed after moment ``since``, which of them are being evaluated, and the present
        moment: the number of rows."""
        rows = range(since, self.n_rows)
        running = np.fromiter((row in self.running for row in rows), np.bool_, len(rows))
        return self._encode(np.array(rows, np.int64)), running, self.n_rows

    def _running(self) -> NDArray[np.int64]:
        return self._sorted(np.fromiter(self.running, np.int64, len(self.running)))

    def _all_done(self) -> _Done:
        status = np.array(self._status, dtype=np.int8)
        value = np.array(self._value)
        done = self._sorted(np.flatnonzero((status == _FINISHED) & np.isfinite(value)))
        rows = np.flatnonzero(status == Status.FAILED).tolist()
        failed = self._sorted(np.array([row for row in rows if not self.is_retried(row)], dtype=np.int64))
        return done, self._encode(done), self.objective.sign * value[done], self._encode(failed)

    def is_retried(self, row: int) -> bool:
        """Whether a trial failed and is tried again as another one, so that it counts no more."""
        return self._status[row] == Status.FAILED and self.id(row) in self._retried

    def _done_with(self, before: _Done) -> _Done:
        rows, X, y, failed = before
        new = sorted(self._newly_done, key=self.stamp)
        at = [bisect_left(rows, self.stamp(row), key=self.stamp) for row in new]
        losses = [self.objective.loss(self._value[row]) for row in new]
        X = np.insert(X, at, self._encode(np.array(new)), axis=0)
        return np.insert(rows, at, new), X, np.insert(y, at, losses), failed

    def _reported(self) -> ReportedCurves:
        """A copy of the columns that knows how to become curves."""
        if self.max_steps is None and not self._report_row:
            nothing = np.empty(0, np.int64)
            return ReportedCurves(lambda: (np.empty((0, self.space.dim)), nothing, nothing.copy(), np.empty(0)))
        status, value = np.array(self._status, dtype=np.int8), np.array(self._value)
        last = np.array(self._step, dtype=np.int64)
        at, steps = np.array(self._report_row, dtype=np.int64), np.array(self._report_step, dtype=np.int64)
        values = np.array(self._report_value)
        lamport, origin, seq = np.array(self._lamport), np.array(self._origin), np.array(self._seq)
        names = list(self._names)
        native = np.array(self._rows).reshape(self.n_rows, self.space.dim)
        space, sign, max_steps = self.space, self.objective.sign, self.max_steps

        def build() -> _Arrays:
            final = np.flatnonzero(np.isfinite(value))
            at_step = np.where(status[final] == _FINISHED, max_steps or last[final], last[final])
            final, at_step = final[at_step > 0], at_step[at_step > 0]
            row, step = np.concatenate([at, final]), np.concatenate([steps, at_step])
            loss = sign * np.concatenate([values, value[final]])
            known = ~np.isin(status[row], _NOT_LEARNED_FROM)
            row, step, loss = row[known], step[known], loss[known]
            rows = np.unique(row)
            rows = rows[canonical(lamport[rows], origin[rows], seq[rows], names)]
            place = np.empty(len(status), dtype=np.int64)
            place[rows] = np.arange(len(rows))
            trial = place[row]
            order = np.lexsort((np.arange(len(row)), step, trial))  # stable: a result outweighs a report of its step
            trial, step, loss = trial[order], step[order], loss[order]
            last_of_step = np.ones(len(trial), dtype=np.bool_)
            last_of_step[:-1] = (trial[1:] != trial[:-1]) | (step[1:] != step[:-1])
            return space.encode_native(native[rows]), trial[last_of_step], step[last_of_step], loss[last_of_step]

        return ReportedCurves(build)

    def reports(self, since: int = 0) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64]]:
        """Row, step and value of what trials reported of the metric, in order of arrival, from report ``since`` on."""
        row, step, value = self._report_row[since:], self._report_step[since:], self._report_value[since:]
        return np.array(row, dtype=np.int32), np.array(step, dtype=np.int64), np.array(value)

    def seen(self, X: FloatArray) -> NDArray[np.bool_]:
        """Say for each row of ``X`` (k, d) whether it was proposed."""
        known = len(self._seen)
        if known < self.n_rows:
            d = self.space.dim
            native = np.array(self._rows[known * d :]).reshape(self.n_rows - known, d)
            self._seen.add(self.space.encode_native(native))
        return self._seen.contains(X)
