"""A population as the log tells it: which trial stands for which member, and what each was worth at which age.

slot        a member's place, 0, 1, … A member is a chain of trials: each has one constant configuration, and when a
            member copies another one, a new trial takes over its slot
generation  a trial's number within its slot. The trial of the highest generation *holds* the slot. Where several
            have the same one (two workers filled it at once, or two halves of a cut network did), the first in the
            canonical order does; the others were superseded and end
age         how many intervals of steps a trial has behind it, those of its ancestors included; step // interval
round       the losses that trials reported themselves at one age. Never what they inherited: a copy of the best
            would count twice, and everybody else would look worse than he is

Slot and generation travel in the trial's bracket, so all of this follows from the set of events: no worker asks
another one, and when a network that was cut grows together again, everybody agrees on who holds what.
"""

from __future__ import annotations

import math

from aiohpo.plugin import Inherit, StudyView, TrialState

# In decimal, so that people can read it: bracket 3000002 is the third trial of the third slot. Brackets below
# are other schedulers' (a directory may have been searched with one before), 0 that of queued trials.
GENERATIONS = 1_000_000
NEVER = 1 << 62  # later than any step or age
GOING = frozenset({"running", "paused", "lost"})
MOST_FAILURES = 4  # trials of one slot that fail in a row, each within its first interval; then it is given up


def bracket(slot: int, generation: int) -> int:
    """What ``NewTrial.bracket`` says of a member."""
    return (slot + 1) * GENERATIONS + generation


def place(bracket: int) -> tuple[int, int]:
    """The slot and generation that a bracket says; slot -1: it is nothing of ours."""
    slot, generation = divmod(bracket, GENERATIONS)
    return slot - 1, generation


class Population:
    """The slots and rounds of one view, kept up to date at the cost of what changed.

    last    the last age at which trials are judged
    rounds  {age: {trial: loss}}, inf where a trial failed on its way to that age
    """

    def __init__(self, size: int, interval: int, max_steps: int) -> None:
        self.size = size
        self.interval = interval
        self.last = (max_steps - 1) // interval
        self.rounds: dict[int, dict[str, float]] = {}
        self.holders: list[TrialState | None] = [None] * size
        self._trials: dict[str, TrialState] = {}
        self._slots: list[dict[int, set[str]]] = [{} for _ in range(size)]
        self._moment = 0

    def read(self, view: StudyView) -> None:
        """Take in what changed in the view."""
        changed, self._moment = view.changed(self._moment)
        for name in changed:
            self._take(view.trial(name))

    def _take(self, trial: TrialState) -> None:
        known = self._trials.get(trial.id)
        if known is not None and (trial.status == "cancelled" or trial.bracket != known.bracket):
            # Its proposal was withdrawn; or it had been queued and two workers began it, of which this is the first.
            self._forget(known)
        slot, generation = place(trial.bracket)
        if 0 <= slot < self.size and trial.status not in ("queued", "cancelled"):
            self._trials[trial.id] = trial
            self._slots[slot].setdefault(generation, set()).add(trial.id)
            self._judge(trial)
            self._settle(slot)

    def _forget(self, trial: TrialState) -> None:
        slot, generation = place(trial.bracket)
        del self._trials[trial.id]
        self._slots[slot][generation].discard(trial.id)
        if not self._slots[slot][generation]:
            del self._slots[slot][generation]
        for round_ in self.rounds.values():
            round_.pop(trial.id, None)
        self._settle(slot)

    def _settle(self, slot: int) -> None:
        generations = self._slots[slot]
        latest = generations[max(generations)] if generations else ()
        self.holders[slot] = min((self._trials[mate] for mate in latest), key=lambda mate: mate.order, default=None)

    def _judge(self, trial: TrialState) -> None:
        """Enter a trial's losses into the rounds: at each age the first report at or after it."""
        losses: dict[int, float] = {}
        first = age = self.born(trial) + 1
        for step in sorted(trial.curve):
            while age <= self.last and age * self.interval <= step:
                losses[age] = trial.curve[step]
                age += 1
        if trial.status == "finished" and trial.loss is not None:  # earlier than others, or it reported nothing
            losses.update(dict.fromkeys(range(age, self.last + 1), trial.loss))
        elif trial.status == "failed" and age <= self.last:
            losses[age] = math.inf
        for age in range(first, self.last + 1):
            if age in losses:
                self.rounds.setdefault(age, {})[trial.id] = losses[age]
            elif age in self.rounds:  # it was given up, and then a late report of it arrived
                self.rounds[age].pop(trial.id, None)

    # ------------------------------------------------------------------------------------------ reading
    def trial(self, name: str) -> TrialState:
        """A trial by its name."""
        return self._trials[name]

    def heirs(self, donor: Inherit) -> list[str]:
        """The trials that began with this checkpoint."""
        return [trial.id for trial in self._trials.values() if trial.parent == donor]

    def __contains__(self, name: object) -> bool:
        return name in self._trials

    def superseded(self, name: str) -> bool:
        """Whether another trial holds the slot of this one."""
        trial = self._trials.get(name)
        if trial is None:  # none of ours
            return False
        holder = self.holders[place(trial.bracket)[0]]
        return holder is not None and holder.id != name

    def born(self, trial: TrialState) -> int:
        """The age of the checkpoint with which a trial began."""
        return 0 if trial.parent is None else trial.parent.step // self.interval

    def age(self, trial: TrialState) -> int:
        """How many intervals a trial has behind it."""
        return max(trial.step // self.interval, self.born(trial))

    def next_step(self, age: int) -> int | None:
        """Where to pause after ``age``; None: nowhere, what comes is the last stretch."""
        return None if age >= self.last else (age + 1) * self.interval

    def checkpoint(self, trial: TrialState, age: int) -> int | None:
        """The step of the first checkpoint that a trial has of ``age``."""
        return min((step for step in trial.checkpoints if step // self.interval == age), default=None)

    def failures(self, slot: int) -> int:
        """How many trials of a slot failed one after the other, each before it came to the next age."""
        generations, number = self._slots[slot], 0
        for generation in sorted(generations, reverse=True):
            mates = [self._trials[mate] for mate in generations[generation]]
            if any(mate.status != "failed" or self.age(mate) > self.born(mate) for mate in mates):
                break
            number += 1
        return number

    def history(self, name: str, age: int) -> list[float]:
        """A trial's losses up to an age, step by step; before it began, those of the trial that it inherited from."""
        trial = self._trials.get(name)
        until = NEVER
        if trial is not None:
            until = min((step for step in trial.curve if step >= age * self.interval), default=NEVER)
        losses: list[float] = []  # the latest first
        while trial is not None:
            began = 0 if trial.parent is None else trial.parent.step
            losses += [trial.curve[step] for step in sorted(trial.curve, reverse=True) if began < step <= until]
            until = began
            trial = None if trial.parent is None else self._trials.get(trial.parent.trial)
        return losses[::-1]

    def lives(self, slot: int) -> bool:
        """Whether a slot's member is still to be trained on, or replaced."""
        holder = self.holders[slot]
        if holder is None or holder.status == "finished":
            return False
        return holder.status in GOING or self.failures(slot) < MOST_FAILURES

    def floor(self) -> int:
        """The least age of a living member: no one will inherit anything younger."""
        ages = (self.age(holder) for slot, holder in enumerate(self.holders) if holder and self.lives(slot))
        return min(ages, default=NEVER)

    def __repr__(self) -> str:
        filled = sum(holder is not None for holder in self.holders)
        return f"<Population {filled} of {self.size} slots filled, {len(self._trials)} trials>"
