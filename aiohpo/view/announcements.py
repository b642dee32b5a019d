"""What workers say of themselves and of the whole study: that they began or left, the budget, a call-off.

All must conclude the same from these events, in whatever order they arrive.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeVar

from ..events.lifecycle import Stamp
from ..events.schema import Claimed, Event, Goal, Left, Over, Proposed, Started, Unanswered
from ..plugin.objective import Objective
from ..space.space import Space
from .observations import ObservationColumns
from .trials import WorkerInfo

_Once = TypeVar("_Once", bound=Started | Left | Over | Unanswered | Goal)


def _later(event: _Once, known: _Once | None) -> _Once:
    """The one that holds of two events of a kind and time, whichever arrived first."""
    if known is None or (event.lamport, repr(event)) > (known.lamport, repr(known)):
        return event
    return known


def _in_order(stamped: tuple[Stamp, Event]) -> tuple[Stamp, str]:
    """By time; two events with one stamp, of a log that is forked, are in the same order for everybody."""
    return stamped[0], repr(stamped[1])


class Announcements(ObservationColumns):
    """The columns with what was announced: ``goal``, the budget that holds and the stamp of what set it;
    ``called_off``, the first call-off that concerns each worker; ``first_max_steps``, the steps of a complete trial
    when the study was begun."""

    def __init__(self, space: Space, objective: Objective, max_steps: int | None) -> None:
        super().__init__(space, objective, max_steps)
        self.workers: dict[str, WorkerInfo] = {}
        self.called_off: dict[str, tuple[Stamp, Over]] = {}
        self.goal: tuple[Stamp, int | None] | None = None
        self.first_max_steps = max_steps
        self._goals: list[tuple[Stamp, Goal]] = []

    def with_departures(self, states: Mapping[str, str]) -> dict[str, str]:
        """The ``states`` of workers, "left" where one said so. One that is alive has not left, whatever its log says:
        others may have written there."""
        left = (name for name, info in self.workers.items() if info.left and states.get(name) != "alive")
        return {**states, **dict.fromkeys(left, "left")}

    def host_of(self, worker: str) -> str | None:
        """The machine that a worker runs (or ran) on."""
        info = self.workers.get(worker)
        return info.started.host if info and info.started else None

    def slots_of(self, worker: str) -> int:
        """How many trials a worker runs at a time, as far as it has said."""
        info = self.workers.get(worker)
        return info.started.slots if info and info.started else 1

    def pause_of(self, event: Proposed | Claimed) -> int:
        """Where the segment that begins is to pause; 0: at its end."""
        step = event.to_step
        return step if step and (self.max_steps is None or step < self.max_steps) else 0

    def _announce(self, worker: WorkerInfo, event: Started | Left | Over | Unanswered | Goal) -> None:
        """Take what a worker said of itself or of the study."""
        if isinstance(event, Started):
            worker.started = _later(event, worker.started)
            if self.max_steps and event.max_steps and event.max_steps < (self.first_max_steps or self.max_steps):
                self.first_max_steps = event.max_steps
        elif isinstance(event, Left):
            worker.left = _later(event, worker.left)
        elif isinstance(event, Over):
            found = (event.lamport, worker.name), event
            for name in event.workers:
                self.called_off[name] = min(found, self.called_off.get(name, found), key=_in_order)
        elif isinstance(event, Unanswered):
            worker.unanswered = _later(event, worker.unanswered)
        else:
            self._goals.append(((event.lamport, worker.name), event))
            self._set_goal()

    def _set_goal(self) -> None:
        self._goals.sort(key=_in_order)
        self.goal = None
        for stamp, goal in self._goals:
            if self.goal is None or not goal.at_least or (self.goal[1] or math.inf) < (goal.trials or math.inf):
                self.goal = stamp, goal.trials
