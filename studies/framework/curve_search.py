"""Searches of learning curves in virtual time, and what they had found by when.

The workers are those of :class:`~aiohpo.simulation.model.swarm.ModelSwarm`: production's searchers, schedulers, claims
and view, with a modelled network, and with decisions that are charged to the clock. The objective tells the losses of a
curve; how long a segment takes follows from the curve's seconds.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aiohpo import Study, Trial
from aiohpo.plugin.objective import Objective
from aiohpo.simulation.costs import Costs, obtain
from aiohpo.simulation.evaluator import Evaluation
from aiohpo.simulation.model.swarm import ModelSwarm
from aiohpo.simulation.swarm import Scenario

from .curve_tasks import Curve, CurveTask

PARTS = 25  # of the time, for what is told over it


@dataclass(slots=True)
class Segment:
    """A part of a training on a worker: from ``start`` steps to ``end`` steps, as it was meant to go."""

    curve: Curve
    start: int
    end: int

    def seconds_to(self, step: int) -> float:
        """The seconds from the segment's beginning to the end of a step."""
        before = float(self.curve.seconds[self.start - 1]) if self.start else 0.0
        return float(self.curve.seconds[step - 1]) - before


@dataclass(slots=True)
class CurveObjective:
    """Tells the losses of a task's curves, and keeps what it was asked for."""

    task: CurveTask
    segments: list[Segment] = field(default_factory=list)
    _known: dict[str, Curve] = field(default_factory=dict)

    def __call__(self, trial: Trial) -> None:
        curve = self._known.get(trial.id)
        if curve is None:
            curve = self._known[trial.id] = self.task.curve(trial.config)
        segment = Segment(curve, trial.start, trial.start)
        self.segments.append(segment)
        for step in trial.steps():
            segment.end = step
            if not self.task.anew:
                trial.report(float(curve.loss[step - 1]))
        if self.task.anew:
            trial.report(float(curve.loss[segment.end - 1]))
        else:
            trial.save(b"")


@dataclass(slots=True)
class CurveTimes:
    """The seconds of the segment that the objective told last: a simulation calls it just before it draws them.

    What is drawn is the time of all steps, of which each takes its share. A segment's seconds are exact, those of the
    steps within it are taken to be equal.
    """

    objective: CurveObjective

    def draw(self, rng: random.Random) -> float:
        segment = self.objective.segments[-1]
        steps = max(segment.end - segment.start, 1)
        return segment.seconds_to(segment.end) * self.objective.task.max_steps / steps

    def __str__(self) -> str:
        return f"those of {self.objective.task.name}"


@dataclass(frozen=True, slots=True)
class Told:
    """A loss, when a worker told it, and whether it was that of a complete training."""

    time: float
    loss: float
    is_last: bool


def play(
    task: CurveTask, searcher: str, scheduler: str, workers: int, seconds: float, seed: int, costs: Path
) -> dict[str, Any]:
    """Play a search, and return what it came to, as JSON; see :func:`outcome`. ``costs``: the file that keeps what the
    searcher's decisions cost. Unless ``scheduler`` says otherwise the rungs of ``asha`` are fixed, as published."""
    objective = CurveObjective(task)
    scheduler = with_fixed_rungs(scheduler)
    study = Study(objective, task.space, max_steps=task.max_steps, searcher=searcher, scheduler=scheduler, seed=seed)
    table = costs_of(task, searcher, costs)
    scenario = Scenario(workers=workers, times=CurveTimes(objective), costs=table, seconds=seconds, seed=seed)
    swarm = ModelSwarm(study, scenario).play()
    return outcome(swarm.diary, objective.segments, task, workers, seconds, table)


def with_fixed_rungs(scheduler: str) -> str:
    """Return ``asha``, with its options, as it was published: all trials begin at the lowest rung."""
    name, _, options = scheduler.partition(":")
    if name != "asha" or "first_rung=" in options or "brackets=" in options:
        return scheduler
    return f"{name}:{options},first_rung=fixed" if options else f"{name}:first_rung=fixed"


def costs_of(task: CurveTask, searcher: str, file: Path) -> Costs:
    """Return what the searcher's decisions cost, measured once for a space of this size; its options hardly matter."""
    return obtain(file, searcher.partition(":")[0], task.space, Objective("loss", "min"), task.max_steps, print)


def told(diary: Sequence[Evaluation], segments: Sequence[Segment], task: CurveTask, end: float) -> list[Told]:
    """Return every loss that was told, in order. A segment of ``segments`` belongs to each note of ``diary``."""
    found: list[Told] = []
    for note, segment in zip(diary, segments, strict=True):
        if note.how in ("aborted", "crashed"):
            continue
        until = end if note.ended is None else min(note.ended, end)
        whole = segment.seconds_to(segment.end)
        steps = segment.end - segment.start
        for step in [segment.end] if task.anew else range(segment.start + 1, segment.end + 1):
            when = note.began + whole * (step - segment.start) / steps
            if when > until + 1e-6:
                break
            found.append(Told(when, float(segment.curve.loss[step - 1]), step == task.max_steps))
    return sorted(found, key=lambda one: one.time)


def outcome(
    diary: Sequence[Evaluation],
    segments: Sequence[Segment],
    task: CurveTask,
    workers: int,
    seconds: float,
    costs: Costs,
) -> dict[str, Any]:
    """Return the figures that a run keeps.

    utilisation              the part of the workers' time in which they trained
    utilisation_over_time    the same in equal parts of the time
    best                     the lowest loss that was told, at whatever step
    best_over_time           (second, lowest loss from then on)
    complete                 the lowest loss of a complete training; None: there was none
    trials, trained, steps   trainings begun and completed, and steps done
    fit_over_time            (second, seconds that a fit of the model takes then)
    """
    words = told(diary, segments, task, seconds)
    began = np.array([note.began for note in diary])
    ended = np.array([seconds if note.ended is None else min(note.ended, seconds) for note in diary])
    edges = np.linspace(0.0, seconds, PARTS + 1)
    busy = np.array([np.clip(edge - began, 0.0, ended - began).sum() for edge in edges])
    known = np.searchsorted(np.sort(ended), edges[1:], side="left")
    return {
        "utilisation": round(float(busy[-1]) / (workers * seconds), 5),
        "utilisation_over_time": [round(float(part), 4) for part in np.diff(busy) / (workers * seconds / PARTS)],
        "best": min((_short(word.loss) for word in words), default=None),
        "best_over_time": _improvements(words),
        "complete": min((_short(word.loss) for word in words if word.is_last), default=None),
        "trials": len({note.trial for note in diary}),
        "trained": sum(word.is_last for word in words),
        "steps": len(words),
        "fit_over_time": [float(f"{costs.of_fit(count):.3g}") for count in known.tolist()],
    }


def _improvements(words: Sequence[Told]) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for word in words:
        if not found or _short(word.loss) < found[-1][1]:
            found.append((round(word.time, 1), _short(word.loss)))
    return found


def _short(loss: float) -> float:
    return float(f"{loss:.5g}")


def best_at(best_over_time: Sequence[Sequence[float]], moment: float) -> float:
    """Return the lowest loss that was told until a moment; infinite before the first."""
    at = bisect_right(best_over_time, moment, key=lambda pair: pair[0])
    return best_over_time[at - 1][1] if at else math.inf
