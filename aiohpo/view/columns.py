"""The view's columns: one row a trial, in order of arrival, and the canonical order over them.

Values are kept as *native rows* (what ``Space.pack`` made), so a configuration comes back exactly as it went in;
the unit-encoded matrix is computed when it is needed. About 130 bytes a 10-parameter trial.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..events.lifecycle import Stamp
from ..events.schema import TrialId
from ..plugin import Config
from ..space.space import Space

if TYPE_CHECKING:
    from ..plugin import FloatArray


_BLOCK = 1024  # rows


def canonical(
    lamport: NDArray[np.int64], origin: NDArray[np.int32], seq: NDArray[np.int32], names: list[str]
) -> NDArray[np.intp]:
    """The order of rows by (lamport, worker): their ``lamport`` times and ``origin``, the place of their worker in
    ``names``. A worker that gives one time to several events orders them by their numbers ``seq``."""
    rank = np.empty(len(names) or 1, dtype=np.int64)
    rank[np.argsort(names)] = np.arange(len(names))
    return np.lexsort((seq, rank[origin], lamport))


class Proposals(NamedTuple):
    """Some trials as arrays of one entry each.

    origin   their workers' places in the order in which these became known
    seq      the numbers of their proposals in those workers' logs
    step     the last step that was done, ``to_step`` where the latest segment pauses (0: at its end)
    started  seconds since the epoch; ``seconds`` that their segments took, NaN before one has ended
    native   (n, d) native values of the parameters, NaN for inactive ones
    """

    origin: NDArray[np.int32]
    seq: NDArray[np.int32]
    step: NDArray[np.int64]
    to_step: NDArray[np.int64]
    started: NDArray[np.float64]
    seconds: NDArray[np.float32]
    native: NDArray[np.float64]


class Columns:
    """Growing arrays; only :class:`~aiohpo.view.view.View` writes to them."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self._whole = [space[name].native_type is int for name in space.names]
        self._names: list[str] = []
        self._lamport = array("q")
        self._origin = array("i")
        self._seq = array("i")
        self._status = array("b")
        self._value = array("d")
        self._step = array("q")
        self._to_step = array("q")  # where the latest segment pauses; 0: at its end
        self._started = array("d")
        self._seconds = array("f")
        self._ended_after = array("I")  # lamport time from the proposal to its owner's result
        self._rows = array("d")
        self._newest = -1  # the row of the latest proposal by (lamport, worker); -1 if several have its lamport time
        self._newest_lamport = -1
        self._highest = array("q")  # the highest lamport time before row _BLOCK, 2 * _BLOCK, …, or a higher one

    @property
    def n_rows(self) -> int:
        """Rows ever proposed, withdrawn ones included."""
        return len(self._lamport)

    def id(self, row: int) -> TrialId:
        return self._names[self._origin[row]], self._seq[row]

    def stamp(self, row: int) -> Stamp:
        """The proposal's place in the order of things."""
        return self._lamport[row], self._names[self._origin[row]]

    def config(self, row: int) -> Config:
        d = self.space.dim
        native = self._rows[row * d : row * d + d]
        pairs = zip(native, self._whole, strict=True)
        return self.space.unpack(tuple(None if v != v else int(v) if whole else v for v, whole in pairs))

    def config_bytes(self, row: int) -> bytes:
        """The packed configuration as bytes: the same for trials of the same configuration."""
        d = self.space.dim
        return self._rows[row * d : row * d + d].tobytes()

    def number(self, row: int) -> int:
        """The rank of a trial among all proposals known now, by (lamport, worker)."""
        if row == self._newest:
            return len(self._lamport) - 1
        mine = self.stamp(row)
        first = self._all_before(mine[0])
        lamport = np.array(self._lamport[first:])
        before = first + int((lamport < mine[0]).sum())
        ties = (first + np.flatnonzero(lamport == mine[0])).tolist()
        return before + sum((self._names[self._origin[i]], self._seq[i]) < (mine[1], self._seq[row]) for i in ties)

    def numbers(self, rows: Sequence[int]) -> list[int]:
        """The :meth:`number` of each of several trials, all of them at once."""
        if not rows:
            return []
        earliest = min(self._lamport[row] for row in rows)
        first = self._all_before(earliest)
        late = first + np.flatnonzero(_values(self._lamport)[first:] >= earliest)  # all before need no order
        place = np.zeros(self.n_rows - first, dtype=np.int64)
        place[self._sorted(late) - first] = np.arange(self.n_rows - len(late), self.n_rows)
        found: list[int] = place[np.array(rows) - first].tolist()
        return found

    def canonical_rows(self) -> list[int]:
        """The rows of all trials in canonical order: a trial's place in it is its number."""
        rows: list[int] = self._sorted(np.arange(self.n_rows)).tolist()
        return rows

    def numbers_since(self, known: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The rows whose numbers may have changed since there were ``known`` rows, new ones included, and their
        numbers."""
        if known >= self.n_rows:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        lamport = np.array(self._lamport)
        earliest = int(lamport[known:].min())
        late = self._sorted(np.flatnonzero(lamport >= earliest))
        return late, np.arange(self.n_rows - len(late), self.n_rows)

    def statuses(self) -> NDArray[np.int8]:
        """The status of every trial, by row, as numbers of :class:`~aiohpo.events.lifecycle.Status`."""
        return np.array(self._status, dtype=np.int8)

    def proposals(self, rows: NDArray[np.int64]) -> Proposals:
        """Copies of what the columns hold of these trials."""
        d = self.space.dim
        return Proposals(
            origin=_values(self._origin)[rows],
            seq=_values(self._seq)[rows],
            step=_values(self._step)[rows],
            to_step=_values(self._to_step)[rows],
            started=_values(self._started)[rows],
            seconds=_values(self._seconds)[rows],
            native=_values(self._rows).reshape(-1, d)[rows] if d else np.empty((len(rows), 0)),
        )

    def _all_before(self, lamport: int) -> int:
        """How many of the first rows were all proposed before this time. As they arrive nearly in order, few others
        were."""
        return bisect_left(self._highest, lamport) * _BLOCK

    def _note_lamport(self, row: int) -> None:
        """Take note of a new row, or of a row's new time."""
        lamport = self._lamport[row]
        for i in range(row // _BLOCK, len(self._highest)):
            self._highest[i] = max(self._highest[i], lamport)
        if row == len(self._highest) * _BLOCK + _BLOCK - 1:
            block = max(self._lamport[row + 1 - _BLOCK :])
            self._highest.append(max(block, self._highest[-1]) if self._highest else block)

    def _sorted(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        lamport, origin, seq = (_values(column)[rows] for column in (self._lamport, self._origin, self._seq))
        return rows[canonical(lamport, origin, seq, self._names)]

    def _encode(self, rows: NDArray[np.int64]) -> FloatArray:
        d = self.space.dim
        native = _values(self._rows).reshape(-1, d)[rows] if d else np.empty((len(rows), 0))
        return self.space.encode_native(native)


def _values(column: array[Any]) -> NDArray[Any]:
    """The values of a column without a copy of it. Not to be kept, not even as a local variable, which code that reads
    a frame keeps alive: a column cannot grow while it is read so."""
    return np.frombuffer(column, dtype=column.typecode)
