"""What of a run changed since a reader last looked: the one account that the page, live or in a file, is drawn from.

Every trial remembers at which position of the log it last changed. So what a reader at any position lacks is one
comparison, whoever it is and however long it was away: nothing is kept for readers, a slow one gets fewer and larger
pieces, and the whole state is what a reader lacks that has nothing.

A *position* is the number of events that were read; it means something only with the *epoch*, which is another one
whenever the log is read anew (after a restart, or once the study goes on with more steps).
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...events.lifecycle import Status
from ...report.sources import ProgressSource
from ...report.tally import Tally
from ...space.parameter import Parameter
from ...view.promotions import Promotions
from ...view.summary import Summary
from ...view.view import View
from .columns import encode, encode_shortly
from .history import HOW, History
from .overview import summarise

STATUSES = ("queued", "running", "paused", "lost", "finished", "stopped", "failed", "cancelled", "surplus")
_CODES = {name: code for code, name in enumerate(STATUSES)}
_MOST_READ = 40_000  # events of the history that are read with a look, which takes about a tenth of a second
_EVERY = 1.0  # seconds between two summaries of a run in which something happens
_AT_LEAST_EVERY = 5.0
_GROWTH = 1.5

# What is kept for each trial: how a column is encoded, and what it holds where nothing is known.
_KEPT: dict[str, tuple[str, float]] = {
    "number": ("i32", -1), "status": ("u8", 0), "complete": ("u8", 0), "value": ("f64", math.nan),
    "worker": ("i32", 0), "attempt": ("u8", 0), "bracket": ("i32", 0), "parent": ("i32", -1),
    "parent_step": ("i32", 0), "retry_of": ("i32", -1), "retried": ("u8", 0),
}  # fmt: skip
_UNTOLD = {"first_rung": ("i32", 0)}  # the same, of what readers have no need of


class Feed:
    """Follows a source. ``position`` is how far it was read, ``epoch`` names the reading."""

    def __init__(self, source: ProgressSource) -> None:
        self.source = source
        self.tally = Tally(source)
        self._begin()

    def _begin(self) -> None:
        self.view: View = self.source.view
        self.history = History(self.source.log, self.view)
        self.epoch = secrets.token_hex(4)
        self.position = 0
        self.base = 0.0
        self._late: set[int] = set()  # trials that changed between two looks
        self._moment = 0
        self._rows = 0
        self._numbered = 0
        self._changed = np.empty(0, dtype=np.int64)  # the position at which each trial last changed
        self._lamport = np.empty(0, dtype=np.int64)
        self._kept = {name: np.empty(0) for name in _KEPT | _UNTOLD}
        self._named = (0, 0)  # how many workers are known, and the position since when
        self._summary: dict[str, Any] = {}
        self._summary_at = (-math.inf, -1)  # when it was made, and the position at which it became another one
        self.is_behind = False  # whether there is more of the history to be read

    # -------------------------------------------------------------------------------------------- looking
    def look(self, now: float) -> bool:
        """Take what became known. Return whether a reader who knew everything lacks something now."""
        before = self.position
        events = self.tally.poll()
        if self.view is not self.source.view:
            self._begin()
        view = self.view
        states = self.source.states()
        rows, self._moment = view.touched(self._moment)
        position = max(self.source.log.size, before + (events > 0))
        self._grow()
        changed = self._take(rows, Summary(view, states))
        # What the page shows first has no need of the history.
        ended, self.is_behind = self.history.read(_MOST_READ) if before else ([], True)
        changed.update(self._ended_later(ended), self._late)
        self._late.clear()
        if changed or len(view.workers) != self._named[0]:
            position = max(position, self.position + 1)
        self._changed[list(changed)] = position
        if len(view.workers) != self._named[0]:
            self._named = len(view.workers), position
        if not self.base:
            self.base = self._first_moment()
        since = now - self._summary_at[0]
        if since >= _AT_LEAST_EVERY or (since >= _EVERY and position != self._summary_at[1]):
            position = max(position, self.position + 1)
            self._summary = summarise(self, self.tally.snapshot(now, states))
            self._summary_at = now, position
        self.position = position
        return position != before

    def _first_moment(self) -> float:
        """When the first worker began, or the first trial of a search without any."""
        began = [info.started.time for info in self.view.workers.values() if info.started is not None]
        if not began and self._rows:
            began = self.view.proposals(np.arange(self._rows)).started.tolist()
        return float(min((at for at in began if 0 < at < 1e11), default=0.0))

    def _grow(self) -> None:
        self._rows = n = self.view.n_rows
        if n > len(self._changed):
            size = max(int(n * _GROWTH), 1024)
            self._changed = _grown(self._changed, size, 0)
            self._lamport = _grown(self._lamport, size, -1)
            self._kept = {name: _grown(kept, size, (_KEPT | _UNTOLD)[name][1]) for name, kept in self._kept.items()}

    def _take(self, rows: list[int], summary: Summary) -> set[int]:
        """Bring what is kept of trials up to date; return the rows of those that changed."""
        view = self.view
        known, self._numbered = self._numbered, self._rows
        changed = set(rows)
        for row in rows:
            self._keep(row)
            lamport = view.stamp(row)[0]
            if row < known and self._lamport[row] != lamport:
                known = 0  # a forked log: all numbers may be others
            self._lamport[row] = lamport
        moved, numbers = view.numbers_since(known)
        number = self._kept["number"]
        changed.update(moved[number[moved] != numbers].tolist())
        number[moved] = numbers
        self._restate(changed, {*view.beyond_line(), *view.waiting, *summary.abandoned}, summary)
        return changed

    def _restate(self, changed: set[int], unusual: set[int], summary: Summary) -> None:
        """Bring the status of trials up to date, and add those whose status is another one to ``changed``. Of all but
        the ``unusual`` ones people are told what the log says."""
        view, n = self.view, self._rows
        stated = view.statuses()
        told = stated.astype(np.int64)
        for row in unusual:
            told[row] = _CODES[summary.status(row)]
        finished, surplus = stated == Status.FINISHED, told == _CODES["surplus"]
        for row in np.flatnonzero(finished & surplus).tolist():  # not those that only were paused
            finished[row] = not 0 < view.step(row) < (view.max_steps or 0)
        complete = finished & (surplus | (told == _CODES["finished"]))
        status, known = self._kept["status"], self._kept["complete"]
        changed.update(np.flatnonzero((status[:n] != told) | (known[:n] != complete)).tolist())
        status[:n], known[:n] = told, complete

    def _keep(self, row: int) -> None:
        """Take note of what is not in the view's columns."""
        view, kept = self.view, self._kept
        brief = view.brief(row)
        kept["value"][row] = brief.value
        kept["worker"][row] = view.workers[brief.worker].index
        kept["attempt"][row] = max(brief.attempt, 0)
        kept["first_rung"][row] = brief.first_rung
        kept["bracket"][row] = brief.bracket
        kept["retried"][row] = view.is_retried(row)
        if brief.parent is not None and (at := view.row(brief.parent.trial)) is not None:
            kept["parent"][row], kept["parent_step"][row] = at, brief.parent.step
        if brief.retry_of is not None and (at := view.row(brief.retry_of)) is not None:
            kept["retry_of"][row] = at

    # -------------------------------------------------------------------------------------------- telling
    @property
    def id(self) -> str:
        """The present position, as readers name it."""
        return f"{self.epoch}.{self.position}"

    def since(self, id: str | None) -> dict[str, Any]:
        """What a reader lacks who knows everything up to the position ``id``; everything if that is none of this
        reading."""
        epoch, _, text = (id or "").partition(".")
        known = epoch == self.epoch and text.isascii() and text.isdecimal() and int(text) <= self.position
        position = int(text) if known else -1
        rows = np.flatnonzero(self._changed[: self._rows] > position)
        delta: dict[str, Any] = {
            "complete": not known,
            "id": self.id,
            "base": self.base,
            "time": self._summary_at[0] if math.isfinite(self._summary_at[0]) else 0.0,
            "trials": self._trials(rows) if len(rows) or not known else None,
            "summary": self._summary if self._summary_at[1] > position else None,
        }
        if not known:
            delta["study"] = self._study()
        if not known or self._named[1] > position:
            delta["names"] = list(self.view.workers)
        return delta

    def _study(self) -> dict[str, Any]:
        study = {name: value for name, value in self.source.study.items() if name not in ("format", "space")}
        space = self.view.space
        parameters = [_described(name, space[name]) for name in space.names]
        return {**study, "parameters": parameters, "statuses": list(STATUSES), "endings": list(HOW)}

    def _trials(self, rows: NDArray[np.int64]) -> dict[str, Any]:
        found = self.view.proposals(rows)
        ended = self._ended_of(rows, found.started + found.seconds)
        return {
            "rows": encode(rows, "i32"),
            "total": self._rows,
            "origin": encode(found.origin, "i32"),
            "seq": encode(found.seq, "i32"),
            "step": encode(found.step, "i32"),
            "to_step": encode(found.to_step, "i32"),
            "started": encode(found.started - self.base, "f64"),
            "ended": encode(ended - self.base, "f64"),
            "seconds": encode(found.seconds, "f32"),
            **{name: encode(self._kept[name][rows], kind) for name, (kind, _) in _KEPT.items()},
            "params": {name: encode_shortly(found.native[:, i]) for i, name in enumerate(self.view.space.names)},
        }

    # --------------------------------------------------------------------------------- for other accounts
    @property
    def rungs(self) -> Promotions:
        """How far the trials got."""
        return self.tally.rungs

    @property
    def now(self) -> float:
        """When the summary was made, in seconds since the epoch."""
        return self._summary_at[0]

    def status(self, row: int) -> str:
        """A trial's status as people are told."""
        return STATUSES[int(self._kept["status"][row])]

    @staticmethod
    def code(status: str) -> int:
        """The number that stands for a status."""
        return _CODES[status]

    def column(self, name: str) -> NDArray[Any]:
        """What is kept of all trials under this name."""
        return self._kept[name][: self._rows]

    def ended(self, rows: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """When the last segment of these trials, or of all, ended, in seconds since the epoch; NaN where none has."""
        rows = np.arange(self._rows) if rows is None else rows
        proposals = self.view.proposals(rows)
        return self._ended_of(rows, proposals.started + proposals.seconds)

    def _ended_of(self, rows: NDArray[np.int64], in_one: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same, where it is known when each would have ended if it had run ``in_one`` piece: as long as the history
        has not been read so far, that is what is told."""
        known = self.history.ended
        found = np.where(rows < len(known), known[np.minimum(rows, len(known) - 1)], np.nan) if len(known) else in_one
        return np.where(np.isnan(found), in_one, found)

    def _ended_later(self, rows: list[int]) -> list[int]:
        """Those of these trials that did not run in one piece, so that they ended at another time than was told."""
        at = np.array(rows, dtype=np.int64)
        proposals = self.view.proposals(at)
        in_one = proposals.started + proposals.seconds
        found: list[int] = at[np.abs(self._ended_of(at, in_one) - in_one) > 1e-3].tolist()
        return found

    def progress(self) -> dict[str, Any] | None:
        """The few numbers that a list of runs shows; None before the first look."""
        study = self._summary.get("study")
        if study is None:
            return None
        best = study["best"]
        return {
            "time": self._summary["time"],
            "ended": study["ended"],
            "done": study["done"],
            "running": study["running"],
            "failed": study["counts"].get("failed", 0),
            "workers": self._summary["here"],
            "best": None if best is None else best["value"],
        }

    def catch_up(self) -> None:
        """Read the history to its end."""
        more = True
        while more:
            rows, more = self.history.read(1 << 30)
            self._late.update(self._ended_later(rows))

    def row_of(self, name: str) -> int:
        """The row of a trial, named by number or id. Raises ``KeyError``."""
        if name.isascii() and name.isdecimal():
            found = np.flatnonzero(self.column("number") == int(name))
            if not len(found):
                raise KeyError(f"no trial {name!r}")
            return int(found[0])
        return self.view.row_of(name)

    def __repr__(self) -> str:
        return f"<Feed of {self.source.name} at {self.id}>"


def _grown(values: NDArray[Any], size: int, missing: float) -> NDArray[Any]:
    kind = np.int64 if isinstance(missing, int) else np.float64
    return np.concatenate([values.astype(kind), np.full(size - len(values), missing, dtype=kind)])


def _described(name: str, parameter: Parameter) -> dict[str, Any]:
    """What a page needs of a parameter: its axis, and the names of its choices."""
    scale = parameter.scale
    levels = None if scale.numeric else parameter.values(np.arange(float(parameter.levels or 0)))
    condition: Mapping[str, Any] = parameter.condition
    return {
        "name": name,
        "type": parameter.type,
        "kind": "number" if scale.numeric else "choice",
        "log": scale.log,
        "whole": parameter.native_type is int,
        "low": scale.first,
        "high": scale.last,
        "choices": None if levels is None else [str(level) for level in levels],
        "when": {other: [str(value) for value in values] for other, values in condition.items()} or None,
    }
