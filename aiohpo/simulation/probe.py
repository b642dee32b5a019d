"""What is measured in a simulated swarm: how long news takes to reach everybody.

Each worker's view tells the probe of the events that it takes in. Only those of some workers are followed, as there are
workers times events of them; and only events about trials, since what a worker says when it starts travels over links
that are just being made.
"""

from __future__ import annotations

import asyncio
import random
from array import array
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from ..events.schema import Event, Goal, Left, Over, Started, Unanswered
from ..plugin.objective import Objective
from ..space.space import Space
from ..view.view import View

SETTLED_AFTER = 10.0  # seconds for an event to reach everybody: later ones are still on their way at the end
_MET_AFTER = 10.0  # seconds for a swarm to meet, in which news takes its time; at most a tenth of the whole


def met_after(end: float) -> float:
    """When a swarm has met, if it is simulated up to ``end``: what comes before is its beginning."""
    return min(_MET_AFTER, end / 10)


def counts_as_news(times: NDArray[np.float64], end: float) -> NDArray[np.bool_]:
    """Which of the events that were recorded at ``times`` count for how long news takes: those between the swarm's
    beginning and the last ones that everybody can have heard of by the ``end``."""
    return (times >= met_after(end)) & (times <= end - SETTLED_AFTER)


class Probe:
    """Follows events of at most ``followed`` of the ``places`` of a swarm, chosen by the seed."""

    def __init__(self, seed: int, places: int, followed: int) -> None:
        chosen = random.Random(f"{seed}/probe").sample(range(places), min(followed, places))
        self._places = frozenset(chosen)
        self._workers: set[str] = set()
        self._recorded: dict[tuple[str, int], int] = {}  # the number of the event in the columns below
        self._times = array("d")
        self._arrivals = array("i")
        self._event = array("i")
        self._delay = array("d")

    def admit(self, place: int, worker: str) -> None:
        """A worker starts in ``place``."""
        if place in self._places:
            self._workers.add(worker)

    @property
    def followed(self) -> Collection[str]:
        """The workers whose events are followed."""
        return self._workers

    def note(self, me: str, since: float, origin: str, seq: int) -> None:
        """Worker ``me``, which started at ``since``, has taken in an event, its own or another's. What was recorded
        before it started does not count: it hears of that when it joins."""
        now = asyncio.get_running_loop().time()
        key = origin, seq
        at = self._recorded.get(key)
        if me == origin:
            if at is None:
                self._recorded[key] = len(self._times)
                self._times.append(now)
                self._arrivals.append(0)
        elif at is not None and self._times[at] >= since:
            self._arrivals[at] += 1
            self._event.append(at)
            self._delay.append(now - self._times[at])

    def delays(self, end: float, others: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return when events were recorded and how long they took, for each that arrived somewhere, in seconds.

        Args:
            end: when the simulation ended. Events that it left no time to travel are left out.
            others: how many workers should have heard of each. Where fewer have, the rest counts as arriving at the
                end.
        """
        times, arrivals = np.array(self._times), np.array(self._arrivals, dtype=np.int64)
        event, delay = np.array(self._event, dtype=np.int64), np.array(self._delay)
        settled = counts_as_news(times, end)
        kept = settled[event] if len(event) else np.empty(0, bool)
        missing = np.where(settled, np.maximum(others - arrivals, 0), 0)
        late = np.repeat(np.arange(len(times)), missing)
        return (
            np.concatenate([times[event[kept]], times[late]]),
            np.concatenate([delay[kept], end - times[late]]),
        )

    def __repr__(self) -> str:
        return f"<Probe of {len(self._workers)} workers: {len(self._times)} events, {len(self._delay)} arrivals>"


class ProbedView(View):
    """The view of worker ``me``, which tells a probe what it takes in."""

    def __init__(self, space: Space, objective: Objective, max_steps: int | None, me: str, probe: Probe) -> None:
        super().__init__(space, objective, max_steps)
        self._me = me
        self._probe = probe
        self._since = asyncio.get_running_loop().time()
        self._followed = probe.followed

    def apply(self, origin: str, seq: int, event: Event, again: bool = False) -> int | None:
        row = super().apply(origin, seq, event, again)
        if origin in self._followed and not isinstance(event, Started | Left | Goal | Over | Unanswered):
            self._probe.note(self._me, self._since, origin, seq)
        return row
