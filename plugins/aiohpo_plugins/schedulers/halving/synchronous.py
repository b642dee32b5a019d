"""Synchronous successive halving without a master.

A *bracket* is a plan (:class:`~.brackets.Plan`): n_0 trials run to r_0 steps; when all have, the
best n_1 go on to r_1, and so forth to the end. Brackets are numbered, and every trial carries its bracket's number.
A worker with nothing to do in one bracket works on the next: it never waits.

group     No one assigns slots, so many workers may start a trial for the last one at the same time; all 512 of a
          swarm may start the first bracket at once. Hence the trials of a number in canonical order, n_0 by n_0, are
          that number's *groups*, and each group is a bracket of its own. A surplus trial fills the next group. Which
          trial is in which group follows from the set of proposals; while an early one is still on its way to some
          worker, that worker may see one trial in another group, and promote one more or less.
complete  A rung is complete when it has its n_i trials and each has a value there (a failed one has the worst). The
          best n_{i+1} may go on, (loss, canonical order) deciding. A trial promoted in error (a result that arrived
          late would have been better) keeps its slot.
lost      A trial whose worker died holds its rung up until another worker has continued it, which happens at once.
budget    When no more trials may be started, the last group is a bracket with as many as it has.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import islice

import numpy as np

from aiohpo.plugin import Claims, Decision, NewTrial, Resume, StudyView, TrialState

from ..rungs import NOWHERE, Ladder, TrialTracker, locate
from .brackets import Plan, shrunk

Key = tuple[int, int]  # bracket number, group


class _Bracket:
    """The trials of one number, in groups."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.members: list[tuple[tuple[int, str], str]] = []  # order and id
        self.groups: list[Ladder] = []

    @property
    def full(self) -> bool:
        """Whether no group has a free slot."""
        return bool(self.members) and len(self.members) % self.plan.sizes[0] == 0

    def group_of(self, trial: TrialState) -> int:
        return bisect_left(self.members, (trial.order, trial.id)) // self.plan.sizes[0]

    def update(self, trial: TrialState) -> range:
        """Take a trial as it is now; return the groups in which something changed."""
        place, member, size = locate(trial, self.plan.levels), (trial.order, trial.id), self.plan.sizes[0]
        at = bisect_left(self.members, member)
        group, known = at // size, at < len(self.members) and self.members[at] == member
        if place != NOWHERE and not known:
            self.members.insert(at, member)
            if len(self.members) > size * len(self.groups):
                self.groups.append(Ladder(self.plan.levels))
            for g in range(group + 1, len(self.groups)):  # the last of each group becomes the first of the next
                self._move(self.members[g * size] if g * size < len(self.members) else None, g - 1, g)
        elif place == NOWHERE and known:
            self.groups[group].take(*member)
            del self.members[at]
            for g in range(group, len(self.groups) - 1):
                self._move(self.members[g * size + size - 1], g + 1, g)
            if len(self.members) <= size * (len(self.groups) - 1):
                self.groups.pop()
            return range(group, len(self.groups))
        if place != NOWHERE:
            self.groups[group].put(*member, place)
        return range(group, group + 1 if known else len(self.groups))

    def _move(self, member: tuple[tuple[int, str], str] | None, source: int, target: int) -> None:
        if member is not None:
            self.groups[target].put(*member, self.groups[source].take(*member))


class SynchronousHalving:
    """The scheduler around brackets; :mod:`~.sha` and :mod:`~.hyperband` say
    which brackets there are."""

    def __init__(self) -> None:
        self._tracker = TrialTracker(self._update, self._clear)

    def _begin(self, plans: Sequence[Plan]) -> None:
        """Go through these brackets, round after round."""
        self._plans = plans
        self._clear()

    def _clear(self) -> None:
        self._brackets: dict[int, _Bracket] = {}
        self._open: list[Key] = []  # groups in which something may be left to do, in order
        self._unfilled: set[int] = set()

    def _update(self, trial: TrialState) -> None:
        number = trial.bracket
        bracket = self._brackets.get(number)
        if bracket is None:
            bracket = self._brackets[number] = _Bracket(self._plans[number % len(self._plans)])
        for group in bracket.update(trial):
            key = number, group
            at = bisect_left(self._open, key)
            if at == len(self._open) or self._open[at] != key:
                self._open.insert(at, key)
        (self._unfilled.discard if bracket.full else self._unfilled.add)(number)

    def next(self, view: StudyView, claims: Claims, rng: np.random.Generator) -> NewTrial | Resume:
        """Promote in the oldest bracket where that is due; else fill the oldest with a free slot; else open one."""
        self._tracker.catch_up(view)
        room = claims.may_start()
        closed: list[Key] = []
        found: Resume | None = None
        for key in self._open:
            number, group = key
            bracket = self._brackets[number]
            if group >= len(bracket.groups):  # its last trial was withdrawn
                closed.append(key)
                continue
            due = _due(bracket.groups[group], bracket.plan, room, claims)
            if due is None:
                closed.append(key)
            elif due:
                found = Resume(due[0], _to_step(bracket.plan, due[1]))
                break
        for key in closed:
            del self._open[bisect_left(self._open, key)]
        if found is not None:
            return found
        number = min(self._unfilled, default=max(self._brackets, default=-1) + 1)
        return NewTrial(_to_step(self._plans[number % len(self._plans)], 0), number)

    def on_report(self, view: StudyView, trial: str, step: int) -> Decision:
        """Continue: segments end at rungs by themselves."""
        return Decision.CONTINUE

    def keeps(self, view: StudyView, trial: TrialState) -> list[int]:
        """Keep the newest checkpoint of a trial that runs, is to be taken over, or is not out of its bracket yet:
        as long as fewer than n_{i+1} are better at its rung."""
        if not trial.checkpoints:
            return []
        newest = [trial.checkpoints[0]]
        if trial.status in ("running", "lost", "queued"):
            return newest
        if trial.status != "paused":
            return []
        self._tracker.catch_up(view)
        bracket = self._brackets.get(trial.bracket)
        if bracket is None or (group := bracket.group_of(trial)) >= len(bracket.groups):
            return []
        ladder = bracket.groups[group]
        standing = ladder.standing(trial)
        if standing is None or standing[0] is ladder.rungs[-1]:
            return []
        above = len(ladder.place(trial.id).losses)
        return newest if standing[1] < bracket.plan.sizes[above] else []


def _to_step(plan: Plan, rung: int) -> int | None:
    return None if rung == len(plan.levels) - 1 else plan.levels[rung]


def _due(ladder: Ladder, plan: Plan, room: bool, claims: Claims) -> tuple[str, int] | tuple[()] | None:
    """Return a trial to be promoted and the rung that it is promoted to; () for none now; None for none ever."""
    rungs, entered = ladder.rungs, ladder.entered
    sizes = plan.sizes if room else shrunk(plan, entered[0])
    if entered[0] < sizes[0]:
        return ()
    for i, rung in enumerate(rungs[:-1]):
        if len(rung) < entered[i]:
            return ()
        slots = sizes[i + 1] - entered[i + 1]
        if slots > 0 and rung.waiting:
            eligible = [id for _, _, id in islice(rung.waiting, slots) if claims.may_claim(id)]
            best = next((id for id in eligible if claims.holds(id)), eligible[0] if eligible else None)
            return () if best is None else (best, i + 1)
    return () if len(rungs[-1]) < entered[-1] else None
