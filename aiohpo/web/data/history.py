"""Who ran which trial when, read on from a growing log: the segments that ended, as columns.

A view keeps what segments add up to, not the segments; so they are read from the log, each event once and in pieces, so
that no request waits for a long log to be read to its end.
"""

from __future__ import annotations

import math
from array import array
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...events.codec import decode_batch
from ...events.log import Log
from ...events.schema import ENDINGS, TrialId, Unknown
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
    """

    row: NDArray[np.int32]
    worker: NDArray[np.int32]
    began: NDArray[np.float64]
    seconds: NDArray[np.float64]
    how: NDArray[np.int8]
    attempt: NDArray[np.int32]
    to_step: NDArray[np.int64]

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
        self._homeless: dict[int, TrialId] = {}  # the trials of segments without a row, by their place
        self._columns: tuple[array[Any], ...] = tuple(array(kind) for kind in "iiddbiq")
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
                    span = self._segments.account_for(origin, seq, event)
                    if span is not None:
                        rows += self._append(span)
                left -= len(batch.raws)
                self._read[origin] = done = batch.last
        return self._note(rows), False

    def _append(self, span: Span) -> list[int]:
        entry = self._entry(span)
        if entry is None:
            return []
        at = len(self._columns[0])
        for column, value in zip(self._columns, entry, strict=True):
            column.append(value)
        if entry[0] < 0:
            self._homeless[at] = span.trial
            return []
        return [at]

    def _entry(self, span: Span) -> tuple[float, ...] | None:
        seconds = math.nan if span.seconds is None else span.seconds
        worker = self._view.workers.get(span.worker)
        if worker is None or abs(span.began) >= _LATEST or seconds >= _LATEST:
            return None
        row = self._view.row(span.trial)
        row = -1 if row is None else row
        return (
            row, worker.index, span.began, seconds, _CODE[span.how], span.attempt  , span.to_step or 0
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
        entries = [entry for span in self._segments.running() if (entry := self._entry(span)) is not None]
        opened = zip(*entries, strict=True) if entries else [()] * len(self._columns)
        columns: Any = (
            np.concatenate([np.array(column), np.array(more, dtype=column.typecode)])
            for column, more in zip(self._columns, opened, strict=True)
        )
        return SegmentTable(*columns)

    def __repr__(self) -> str:
        return f"<History of {len(self._columns[0])} segments>"
