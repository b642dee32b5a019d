"""Rungs: who stands where among those that got as far.

A *ladder* has levels r_0 < r_1 < … (steps), one *rung* at each. A trial's value at a rung is the loss of its first
report at a step >= r (objectives may report seconds as steps, and overshoot). Without such a report

    finished   its final loss stands for it at all rungs it was heading to: it will never be any different;
    failed     it is the worst, +inf, at the next rung it was heading to;
    paused     likewise: it got there and had nothing to show.

A paused trial *waits* at the highest rung where it has a value: it was not promoted from there. All others were
promoted, or cannot be. Queued and withdrawn trials stand nowhere, nor does a past result of which no step is known.

All this follows from a :class:`~aiohpo.plugin.TrialState` alone (:func:`locate`), so a rung is a function of the
set of trials, whatever was revised on the way: a trial that changed is taken out of where it stood and put where it
stands now.

Who waits has a ranking of its own, as in a long search nearly all at the top of a rung were promoted, and looking
through them for one who was not would cost O(n): what makes Syne Tune's promotion take 400 µs at 10,000 trials. Places
are kept as bytes: 100,000 trials of a search with three rungs take 200 bytes each, all rankings included.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from struct import pack, unpack
from typing import NamedTuple

from aiohpo.plugin import StudyView, TrialState

from .ranking import Order, Ranking, Roster


class Place(NamedTuple):
    """Where a trial stands on a ladder.

    losses   its values at rungs one above the other, as many as it has
    entered  where the rungs end that it has a value at or is on its way to, counted from the lowest of the ladder
    waits    whether it is paused at the last of ``losses`` and could go on
    first    the rung of the first of ``losses``
    """

    losses: tuple[float, ...]
    entered: int
    waits: bool
    first: int = 0

    @property
    def above(self) -> int:
        """The rung above the last one that it has a value at."""
        return self.first + len(self.losses)


NOWHERE = Place((), 0, False)


def locate(trial: TrialState, levels: Sequence[int], began: int = 0) -> Place:
    """Return where ``trial`` stands on a ladder with these ``levels`` (ascending).

    A trial whose first pause was at the rung ``began`` stands on lower ones as well if it reported there.
    """
    status, curve, to_step = trial.status, trial.curve, trial.to_step
    if status == "cancelled" or status == "queued":
        return NOWHERE
    first = 0
    if began and levels[0] not in curve:
        first = min(began, max(bisect_right(levels, min(curve)) - 1, 0) if curve else began)
        levels = levels[first:]
    losses = values_at(curve, trial.step, levels)
    entered = len(levels) if to_step is None else max(bisect_right(levels, to_step), len(losses))
    if entered > len(losses):
        if status == "finished":
            if trial.loss is not None and (curve or to_step is not None):
                losses += (trial.loss,) * (entered - len(losses))
        elif status == "failed" or status == "paused":
            losses += (math.inf,)
    if status != "running" and status != "lost":
        entered = len(losses)
    waits = status == "paused" and losses != () and losses[-1] < math.inf
    return Place(losses, first + entered, waits, first)


def values_at(curve: Mapping[int, float], step: int, levels: Sequence[int]) -> tuple[float, ...]:
    """Return the loss of the first report at or after each level, for the levels up to the last report.

    Args:
        curve: losses by step.
        step: no step in ``curve`` is greater.
        levels: ascending.
    """
    found: list[float] = []
    for level in levels:
        if level > step:
            break
        loss = curve.get(level)
        if loss is None:  # the steps are irregular
            steps = sorted(curve)
            at = (bisect_left(steps, level) for level in levels)
            return tuple(curve[steps[i]] for i in at if i < len(steps))
        found.append(loss)
    return tuple(found)


class Rung:
    """Those with a value at one level, the best first."""

    __slots__ = ("entries", "level", "waiting")

    def __init__(self, level: int, roster: Roster) -> None:
        self.level = level
        self.entries = Ranking(roster)
        self.waiting = Ranking(roster)  # a part of entries

    def __len__(self) -> int:
        return len(self.entries)

    def __repr__(self) -> str:
        best = f", best {self.entries[0][0]:.6g}" if self.entries else ""
        return f"<Rung at step {self.level}: {len(self.entries)} trials, {len(self.waiting)} waiting{best}>"


class Ladder:
    """The rungs of one bracket.

    rungs    from the lowest level to the highest
    entered  for each, how many trials have a value there or are on their way there
    begun    for each, how many of those with a value there were first to pause at the lowest rung, the next one, …, or
             at it or higher
    """

    def __init__(self, levels: Sequence[int]) -> None:
        self.levels = tuple(levels)
        self._roster = Roster()
        self.rungs = [Rung(level, self._roster) for level in levels]
        self.entered = [0] * len(self.rungs)
        self.begun = [[0] * len(self.rungs) for _ in self.rungs]
        # Where trials stand, by their number in the roster: the losses as bytes, and the rest of their places.
        self._losses: list[bytes] = []
        self._entered = array("H")
        self._waits = array("B")
        self._first = array("B")
        self._began = array("B")

    def __repr__(self) -> str:
        return f"<Ladder {', '.join(f'{rung.level}: {len(rung)}' for rung in self.rungs)}>"

    def update(self, trial: TrialState, began: int = 0) -> None:
        """Put ``trial``, which was first to pause at the rung ``began``, where it stands now."""
        self.put(trial.order, trial.id, locate(trial, self.levels, began), began)

    def put(self, order: Order, id: str, new: Place, began: int = 0) -> None:
        """Put a trial, which was first to pause at the rung ``began``, at ``new``."""
        number = self._roster.find(id)
        old = NOWHERE if number is None else self._place(number)
        if old == new:
            return
        if number is None:
            number = self._roster.enrol(order, id)
        began_before = 0 if number == len(self._losses) else self._began[number]
        self._note(number, new, began)
        kept = len(old.losses)
        if old.waits:
            self.rungs[old.above - 1].waiting.remove(old.losses[-1], number)
        if new.first != old.first or began != began_before or new.losses[:kept] != old.losses:  # something was revised
            for at, loss in enumerate(old.losses, old.first):
                self.rungs[at].entries.remove(loss, number)
                self.begun[at][min(began_before, at)] -= 1
            kept = 0
        for at in range(new.first + kept, new.above):
            self.rungs[at].entries.add(new.losses[at - new.first], number)
            self.begun[at][min(began, at)] += 1
        if new.waits:
            self.rungs[new.above - 1].waiting.add(new.losses[-1], number)
        if new.first == old.first:
            for i in range(old.entered, new.entered):
                self.entered[i] += 1
            for i in range(new.entered, old.entered):
                self.entered[i] -= 1
        else:
            for i in range(old.first, old.entered):
                self.entered[i] -= 1
            for i in range(new.first, new.entered):
                self.entered[i] += 1

    def take(self, order: Order, id: str) -> Place:
        """Remove a trial and return where it stood."""
        old = self.place(id)
        self.put(order, id, NOWHERE)
        if self._roster.find(id) is not None:
            self._roster.strike(id)
        return old

    def moving(self) -> bool:
        """Whether a trial is on its way to some rung."""
        return any(entered > len(rung) for entered, rung in zip(self.entered, self.rungs, strict=True))

    def place(self, id: str) -> Place:
        """Return where a trial stands."""
        number = self._roster.find(id)
        return NOWHERE if number is None else self._place(number)

    def rank(self, id: str, rung: int) -> int:
        """Return how many are better than a trial at a rung, counted from 0, that it has a value at."""
        number = self._roster.find(id)
        assert number is not None, f"{id} is not on {self!r}"
        place = self._place(number)
        return self.rungs[rung].entries.rank(place.losses[rung - place.first], number)

    def standing(self, trial: TrialState) -> tuple[Rung, int] | None:
        """Return the rung where ``trial`` waits and how many are better there; None if it does not wait."""
        place = self.place(trial.id)
        if not place.waits:
            return None
        at = place.above - 1
        return self.rungs[at], self.rank(trial.id, at)

    def _place(self, number: int) -> Place:
        packed = self._losses[number]
        losses = unpack(f"{len(packed) // 8}d", packed)
        return Place(losses, self._entered[number], bool(self._waits[number]), self._first[number])

    def _note(self, number: int, place: Place, began: int) -> None:
        if number == len(self._losses):
            self._losses.append(b"")
            self._entered.append(0)
            self._waits.append(0)
            self._first.append(0)
            self._began.append(0)
        self._began[number] = began
        self._losses[number] = pack(f"{len(place.losses)}d", *place.losses)
        self._entered[number], self._waits[number], self._first[number] = place.entered, place.waits, place.first


class TrialTracker:
    """Keeps what a scheduler derives from the trials up to date with a view.

    Args:
        update: takes each trial that changed.
        clear: forgets everything; called when the view is another one than last time.
    """

    def __init__(self, update: Callable[[TrialState], None], clear: Callable[[], None]) -> None:
        self._update, self._clear = update, clear
        self._view: StudyView | None = None
        self._moment = 0
        self._last: TrialState | None = None

    def catch_up(self, view: StudyView) -> None:
        """Take everything that changed in ``view`` since the last call."""
        if view is not self._view:
            self._clear()
            self._view, self._moment, self._last = view, 0, None
        changed, self._moment = view.changed(self._moment)
        for id in changed:
            self._last = view.trial(id)
            self._update(self._last)

    def reported(self, view: StudyView, id: str) -> TrialState:
        """Catch up, then return the trial that has just reported: normally the last one that changed."""
        self.catch_up(view)
        last = self._last
        return last if last is not None and last.id == id else view.trial(id)
