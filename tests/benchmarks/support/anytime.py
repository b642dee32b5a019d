"""What a search had found by when, however it was run."""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from .curves import Scale


@dataclass(slots=True)
class Trace:
    """One search: improvements and sums. Times are virtual seconds, ``cpu`` real ones.

    best      (time, loss) whenever the lowest validation loss seen at *any* step improved: the anytime incumbent
    complete  the same, of complete trainings only
    trials    trials begun;  ``steps`` done;  ``repeated`` steps among them that had been done before
    busy      seconds of training, of all workers;  ``asks`` and ``cpu`` seconds of the searcher
    """

    best: list[tuple[float, float]] = field(default_factory=list)
    complete: list[tuple[float, float]] = field(default_factory=list)
    horizon: float = 0.0
    workers: int = 1
    trials: int = 0
    finished: int = 0
    failed: int = 0
    resumed: int = 0
    steps: int = 0
    repeated: int = 0
    busy: float = 0.0
    asks: int = 0
    cpu: float = 0.0
    depth: dict[int, int] = field(default_factory=dict)  # trials by the highest step that they reached
    reached: dict[str, int] = field(default_factory=dict)

    def step(self, now: float, trial: str, step: int, loss: float, last: bool) -> None:
        """Note one step's loss; ``last`` if it completes the training."""
        before = self.reached.get(trial, 0)
        self.steps += 1
        self.repeated += step <= before
        self.reached[trial] = max(step, before)
        if not self.best or loss < self.best[-1][1]:
            self.best.append((now, loss))
        if last and (not self.complete or loss < self.complete[-1][1]):
            self.complete.append((now, loss))

    def close(self, horizon: float, workers: int) -> Trace:
        """Finish the notes."""
        self.horizon, self.workers = horizon, workers
        for step in self.reached.values():
            self.depth[step] = self.depth.get(step, 0) + 1
        self.reached.clear()
        return self

    @property
    def used(self) -> float:
        """The share of the workers' time in which they trained."""
        return self.busy / (self.horizon * self.workers)

    def at(self, time: float, complete: bool = False) -> float:
        """Return the incumbent's loss at ``time``; infinite before there is one."""
        history = self.complete if complete else self.best
        k = bisect.bisect_right(history, (time, np.inf))
        return history[k - 1][1] if k else np.inf

    def when(self, loss: float) -> float:
        """Return when the incumbent first was as good as ``loss``; infinite if it never was."""
        return next((t for t, value in self.best if value <= loss), np.inf)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Trace:
        pairs = {k: [(t, v) for t, v in data[k]] for k in ("best", "complete")}
        depth = {int(k): v for k, v in data["depth"].items()}
        return cls(**{**data, **pairs, "depth": depth})


def regret(trace: Trace, scale: Scale, fraction: float, complete: bool = False) -> float:
    """Return the normalised regret at a fraction of the budget, 1 where there is no incumbent."""
    loss = trace.at(fraction * trace.horizon, complete)
    return scale.regret(loss) if np.isfinite(loss) else 1.0


def speed_up(trace: Trace, reference: Trace) -> float:
    """Return how many times earlier than ``reference`` this search was as good as ``reference`` became.

    1/4 at least: where it never was, it is taken to need four times the budget.
    """
    if not reference.best:
        return 1.0
    target_time, target = reference.best[-1]
    own = trace.when(target)
    return target_time / min(max(own, 1e-9), 4.0 * max(reference.horizon, target_time)) if own < np.inf else 0.25


def geometric(values: Iterable[float]) -> float:
    """Return the geometric mean."""
    array = np.fromiter(values, float)
    return float(np.exp(np.log(array).mean())) if len(array) else np.nan
