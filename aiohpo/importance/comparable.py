"""Which trials can be compared with one another, and by which loss.

Complete trials can. Where a scheduler gives most trials up early, the few complete ones are a choice of the best, from
which little can be learned; then all trials that got to a certain step are compared by what they were worth there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..plugin.objective import Objective
    from ..space.encoding import FloatArray
    from ..view.trials import TrialRecord

_PART = 0.25  # of the trials with a value, that the compared ones should be at least


@dataclass(frozen=True, slots=True)
class Comparable:
    """Trials and their losses (n,). ``step``: at which step they are compared; None: at their end."""

    records: Sequence[TrialRecord]
    loss: FloatArray
    step: int | None


def comparable(trials: Sequence[TrialRecord], objective: Objective, least: int) -> Comparable:
    """Choose the complete trials if they are a quarter of those with a value and at least ``least``, else the highest
    step that so many reached.

    A trial that reports less often counts with its first report at the step or beyond it. Failed and running
    trials and values that are not finite are left out.
    """
    valued = [r for r in trials if r.status not in ("failed", "running") and r.value is not None]
    complete = [r for r in valued if r.ended_as == "finished"]
    enough = max(least, math.ceil(_PART * len(valued)))
    step: int | None = None
    if len(complete) < enough:
        last = sorted((max(r.curve) for r in valued if r.curve), reverse=True)
        if len(last) > len(complete):
            step = last[min(enough, len(last)) - 1]
    if step is None:
        found = [(r, r.value) for r in complete]
    else:
        found = [(r, r.curve[min(s for s in r.curve if s >= step)]) for r in valued if max(r.curve, default=0) >= step]
    kept = [(r, objective.loss(value)) for r, value in found if value is not None and math.isfinite(value)]
    return Comparable([r for r, _ in kept], np.array([loss for _, loss in kept], np.float64), step)
