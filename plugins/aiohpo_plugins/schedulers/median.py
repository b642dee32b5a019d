"""The median stopping rule (Golovin et al., Google Vizier, KDD 2017, section 3.2.2).

At step s a trial is stopped if its best loss so far is worse than the median of the other trials' running averages,
each the mean of what that trial had reported up to s. Vizier takes the averages of completed trials; here, as in Ray
Tune and Syne Tune, those of all trials that got to s, as there is a search to steer before the first has completed.
Comparing the *best* with *averages* is lenient on purpose: curves cross. A failed trial counts as the worst.

Curves are compared at checkpoints, at most 100 along a trial: every step if there are no more. A report decides at the
first checkpoint that it reaches. So objectives that report seconds as steps, no two at the same one, are compared
too, and the cost is bounded.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence

import numpy as np

from aiohpo.plugin import Claims, Decision, Identity, NewTrial, Options, StudyView, TrialState

from .rungs import NOWHERE, Ladder, Place, TrialTracker
from .steps import steps_of

CHECKPOINTS = 100


class MedianScheduler:
    """Stop trials whose best is worse than the median of the others' averages.

    Args:
        grace_steps: a trial is not stopped before this step.
        grace_trials: so many others must have got as far.

    Raises UsageError for values that are out of range.
    """

    def __init__(self, *, grace_steps: int = 1, grace_trials: int = 5) -> None:
        options = Options("median")
        self.grace_steps = options.whole("grace_steps", grace_steps, least=1)
        self.grace_trials = options.whole("grace_trials", grace_trials, least=1)
        self._tracker = TrialTracker(self._update, self._clear)

    def setup(self, max_steps: int | None, seed: int, identity: Identity) -> None:
        """Lay out the checkpoints. Raises ``ValueError`` if there are no steps, or only one."""
        steps = steps_of("median", max_steps)
        self._levels = tuple(range(1, steps, math.ceil((steps - 1) / CHECKPOINTS)))
        self._clear()

    def _clear(self) -> None:
        self._ladder = Ladder(self._levels)

    def _update(self, trial: TrialState) -> None:
        self._ladder.put(trial.order, trial.id, self._locate(trial))

    def _locate(self, trial: TrialState) -> Place:
        if trial.status == "cancelled" or trial.status == "queued":
            return NOWHERE
        averages = running_averages(trial.curve, self._levels)
        if trial.status == "failed" and len(averages) < len(self._levels):
            averages = (*averages, math.inf)
        return Place(averages, len(averages), False)

    def next(self, view: StudyView, claims: Claims, rng: np.random.Generator) -> NewTrial:
        """Start a new trial and let it run."""
        return NewTrial()

    def on_report(self, view: StudyView, trial: str, step: int) -> Decision:
        """Stop ``trial`` if its best is worse than the median of the others' averages."""
        if step < self.grace_steps:
            return Decision.CONTINUE
        at = bisect_right(self._levels, step) - 1
        state = self._tracker.reported(view, trial)
        if step not in state.curve or any(self._levels[at] <= s < step for s in state.curve):
            return Decision.CONTINUE  # nothing to compare, or an earlier report was compared
        averages = self._ladder.place(trial).losses
        if at >= len(averages):
            return Decision.CONTINUE  # another worker withdrew the trial while it runs here
        median = self._median_of_others(trial, at)
        if median is None:
            return Decision.CONTINUE
        best = min(loss for s, loss in state.curve.items() if s <= step)
        return Decision.STOP if best > median else Decision.CONTINUE

    def _median_of_others(self, trial: str, at: int) -> float | None:
        rung = self._ladder.rungs[at]
        others = len(rung) - 1
        if others < self.grace_trials:
            return None
        own = self._ladder.rank(trial, at)
        low, high = (rung.entries[k + (k >= own)][0] for k in ((others - 1) // 2, others // 2))
        return low / 2 + high / 2  # a sum of the largest losses would be infinite

    def __repr__(self) -> str:
        return f"MedianScheduler(grace_steps={self.grace_steps}, grace_trials={self.grace_trials})"


def running_averages(curve: Mapping[int, float], levels: Sequence[int]) -> tuple[float, ...]:
    """Return the mean of what was reported up to the first report at or after each level, for the levels reached."""
    averages: list[float] = []
    total = 0.0
    for count, step in enumerate(sorted(curve), 1):
        total += curve[step]
        while len(averages) < len(levels) and levels[len(averages)] <= step:
            averages.append(total / count)
    return tuple(averages)
