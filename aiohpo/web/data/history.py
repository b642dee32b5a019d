"""Who ran which trial when, read on from a growing log: the segments that ended, as columns.

A view keeps what segments add up to, not the segments; so they are read from the log, each event once and in pieces, so
that nobody waits for a long log to be read to its end.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...events.codec import decode_batch
from ...events.log import Log
from ...events.schema import ENDINGS, Claimed, Ended, Proposed, Reported, TrialId, Unknown, trial_of
from ...view.segments import Segments, Span
from ...view.view import View

HOW = (*ENDINGS, "open")  # how a segment ended, by its code
_CODE = {how: code for code, how in enumerate(HOW)}
_PIECE = 1 << 19  # bytes of a log that are decoded at a time
_LATEST = 1e11  # seconds since the epoch, and of a segment: what a peer says beyond is left out


class SegmentTable(NamedTuple):
    """Segments as arrays of one entry each, ``worker`` by its place among ``names``.

    row        of the trial, -1 while its proposal has not arrived
    began      seconds since the epoch, ``seconds`` how long it took, NaN if it has not ended
    how        the code of its end, see :data:`HOW`
    first, last  the numbers of its first and last event in its worker's log, the latter 0 if it has not ended
    """

    row: NDArray[np.int32]
    worker: NDArray[np.int32]
    began: NDArray[np.float64]
    seconds: NDArray[np.float64]
    how: NDArray[np.int8]
    attempt: NDArray[np.int32]
    to_step: NDArray[np.int64]
    first: NDArray[np.int32]
    last: NDArray[np.int32]

    def where(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> SegmentTable:
        """Those of a mask, or at these places."""
        columns: list[Any] = [column[which] for column in self]
        return SegmentTable(*columns)

    @property
    def size(self) -> int:
        return len(self.began)


class History:
    """Reads the segments of ``log``, whose view is ``view``.

    ended  when a segment of a trial ended last, by the trial's row, in seconds since the epoch; NaN where none has
    """

    def __init__(self, log: Log, view: View) -> None:
        self._log, self._view = log, view
        self._segments = Segments()
        self._read: dict[str, int] = {}  # events by origin
        self._begins: dict[tuple[str, TrialId], int] = {}  # the number of the event that opened a segment
        self._homeless: dict[int, TrialId] = {}  # the trials of segments without a row, by their place
        self._columns: tuple[array[Any], ...] = tuple(array(kind) for kind in "iiddbiqii")
        self.ended = np.empty(0)

    def read(self, most: int) -> tuple[list[int], bool]:
        """Take about ``most`` more events; return the rows of trials that had a segment end, and whether there are
        more."""
        rows: list[int] = self._find_homes()
        left = most
        for origin in self._log.origins:
            done = self._read.get(origin, 0)
            while done < self._log.count(origin):
                if left <= 0:
                    return self._note(rows), True
                batch = next(self._log.missing({origin: done}, _PIECE, among=(origin,)))
                for seq, event in enumerate(decode_batch(batch), batch.first):
                    if isinstance(event, Unknown):
                        continue
                    if isinstance(event, Proposed):
                        self._begins[origin, (origin, seq)] = seq
                    elif isinstance(event, Claimed):
                        self._begins[origin, trial_of(origin, event.trial)] = seq
                    span = self._segments.account_for(origin, seq, event)
                    if isinstance(event, Ended):
                        first = self._begins.pop((origin, trial_of(origin, event.trial)), 0)
                        if span is not None:
                            rows += self._append(span, first, seq)
                left -= len(batch.raws)
                self._read[origin] = done = batch.last
        return self._note(rows), False

    def _append(self, span: Span, first: int, last: int) -> list[int]:
        entry = self._entry(span, first, last)
        if entry is None:
            return []
        at = len(self._columns[0])
        for column, value in zip(self._columns, entry, strict=True):
            column.append(value)
        if entry[0] < 0:
            self._homeless[at] = span.trial
            return []
        return [at]

    def _entry(self, span: Span, first: int, last: int) -> tuple[float, ...] | None:
        seconds = math.nan if span.seconds is None else span.seconds
        worker = self._view.workers.get(span.worker)
        if worker is None or abs(span.began) >= _LATEST or seconds >= _LATEST:
            return None
        row = self._view.row(span.trial)
        row = -1 if row is None else row
        return (
            row, worker.index, span.began, seconds, _CODE[span.how], span.attempt, span.to_step or 0, first, last
        )  # fmt: skip

    def _find_homes(self) -> list[int]:
        found = {at: row for at, trial in self._homeless.items() if (row := self._view.row(trial)) is not None}
        for at, row in found.items():
            self._columns[0][at] = row
            del self._homeless[at]
        return list(found)

    def _note(self, places: list[int]) -> list[int]:
        """Take note of when the segments at these places ended; return their rows."""
        missing = self._view.n_rows - len(self.ended)
        if missing > 0:
            self.ended = np.concatenate([self.ended, np.full(missing + self._view.n_rows // 2, np.nan)])
        rows, _, began, seconds = self._columns[:4]
        for at in places:
            end = began[at] + seconds[at]
            if not self.ended[rows[at]] >= end:
                self.ended[rows[at]] = end
        return [rows[at] for at in places]

    def table(self) -> SegmentTable:
        """All segments that were read of, those that have not ended at the end."""
        entries = [
            entry
            for span in self._segments.running()
            if (entry := self._entry(span, self._begins.get((span.worker, span.trial), 0), 0)) is not None
        ]
        opened = zip(*entries, strict=True) if entries else [()] * len(self._columns)
        columns: Any = (
            np.concatenate([np.array(column), np.array(more, dtype=column.typecode)])
            for column, more in zip(self._columns, opened, strict=True)
        )
        return SegmentTable(*columns)

    def reports(self, segment: SegmentTable, trial: TrialId) -> Iterator[Reported]:
        """What was reported of a trial in the segments of ``segment``, in their order."""
        names = list(self._view.workers)
        for worker, first, last in zip(segment.worker, segment.first, segment.last, strict=True):
            origin, at = names[worker], max(int(first), 1)
            end = int(last) or self._log.count(origin)
            while at <= end:
                batch = next(self._log.missing({origin: at - 1}, _PIECE, among=(origin,)))
                for event in decode_batch(batch)[: end - at + 1]:
                    if isinstance(event, Reported) and trial_of(origin, event.trial) == trial:
                        yield event
                at = batch.last + 1

    def __repr__(self) -> str:
        return f"<History of {len(self._columns[0])} segments>"
