"""How a search stands, by its view and by what is believed of its workers: what every display and every JSON counts.

The log says that a trial runs until its end is recorded. If its worker is dead, no worker may be left to record that
the trial is lost, so that follows from what is believed of the worker. This is the only place where it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from ..events.lifecycle import FINAL, Status
from ..text import printable
from .trials import HIDDEN

if TYPE_CHECKING:
    from .promotions import Promotions
    from .trials import TrialRecord
    from .view import View

_AWAY = ("dead", "left")
_TOLD = (
    Status.FINISHED, Status.STOPPED, Status.FAILED, Status.RUNNING, Status.PAUSED, Status.LOST, Status.QUEUED,
)  # fmt: skip


class Summary:
    """The trials of a view at one moment, given {worker: alive, suspect, dead, left or unknown}.

    abandoned  rows of trials that the log says are running and whose worker is dead or left: they are lost
    """

    def __init__(self, view: View, states: Mapping[str, str] | None = None) -> None:
        self._view = view
        states = states or {}
        self.abandoned = frozenset(row for row in view.running if states.get(view.owner_of(row) or "") in _AWAY)

    @property
    def total(self) -> int | None:
        """The budget of trials; None if it has no limit."""
        return self._view.goal[1] if self._view.goal else None

    @property
    def ended(self) -> int:
        """Trials of the budget that have ended for good, without those beyond its line."""
        view = self._view
        return view.n_ended - sum(view.status(row) in FINAL for row in view.beyond_line())

    def done(self, rungs: Promotions) -> int:
        """Trials of the budget that ran as far as they were meant to at first: they ended, or they pause, or they go on
        after a pause. Those beyond the budget's line do not count."""
        view, beyond = self._view, self._view.beyond_line()
        going_on = view.running - self.abandoned - beyond
        paused = view.counts[Status.PAUSED] - sum(view.status(row) is Status.PAUSED for row in beyond)
        return self.ended + paused + sum(map(rungs.was_paused, going_on))

    def counts(self) -> dict[str, int]:
        """How many trials have each status, those that were added included; cancelled ones are left out."""
        view = self._view
        census = view.census()
        counts = {status.name.lower(): census[status] for status in _TOLD} | {"surplus": 0}
        for row in {*view.beyond_line(), *view.waiting, *self.abandoned}:
            counts[view.status(row).name.lower()] -= 1
            shown = view.shown_status(row, abandoned=row in self.abandoned)
            if shown in counts:
                counts[shown] += 1
        return {name: n for name, n in counts.items() if n}

    def record(self, row: int, number: int | None = None) -> TrialRecord:
        """One trial. Its ``number`` costs a scan unless it is given."""
        return self._view.record(row, number, abandoned=row in self.abandoned)

    def status(self, row: int) -> str:
        """A trial's status as people are told."""
        return self._view.shown_status(row, abandoned=row in self.abandoned)

    def listed(self) -> Iterator[tuple[int, int]]:
        """Number and row of all trials in canonical order, but for cancelled and queued ones."""
        for number, row in enumerate(self._view.canonical_rows()):
            if self.status(row) not in HIDDEN:
                yield number, row

    def records(self) -> Iterator[TrialRecord]:
        """The trials that :meth:`listed` yields."""
        return (self.record(row, number) for number, row in self.listed())

    def best(self, number: int | None = None) -> TrialRecord | None:
        """The best trial so far: the best complete one, or, while there is none, the best of those that got farthest.
        Its ``number`` costs a scan unless it is given. See :meth:`aiohpo.view.view.View.leader`."""
        row = self._view.leader()
        return None if row is None else self.record(row, number)

    def __repr__(self) -> str:
        return f"<Summary {self.ended} ended, {len(self.abandoned)} abandoned>"


# What aiohpo.report.words says too, and Result, which is below it.
def value_in_words(record: TrialRecord | None, max_steps: int | None, digits: int = 6) -> str:
    """What a trial is worth, and after how many steps where it is not complete; a dash for none."""
    if record is None or record.value is None:
        return "–"
    return f"{record.value:.{digits}g}{_after(record, max_steps)}"


def _after(record: TrialRecord, max_steps: int | None) -> str:
    """`` after 9 of 27 steps`` for a trial that is not complete, else nothing."""
    step = max(record.curve, default=0)
    if record.ended_as == "finished" or not step:
        return ""
    return f" after {step} steps" if max_steps is None else f" after {step} of {max_steps} steps"


def last_error_in_words(records: Iterable[TrialRecord], where: str) -> str:
    """``; the last error: ValueError: … (see all: WHERE)``; empty if no trial has an error."""
    errors = [record.error for record in records if record.error]
    return f"; the last error: {printable(errors[-1])} (see all: {where})" if errors else ""
