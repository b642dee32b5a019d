"""Swarms that something happens to: half of their workers come late, or the network is in two parts for a while."""

from __future__ import annotations

import asyncio

from aiohpo import Study
from aiohpo.events.schema import Ended, parse_trial
from aiohpo.simulation.durations import full_seconds
from aiohpo.simulation.figures import COMPLETED
from aiohpo.simulation.model.swarm import ModelSwarm
from aiohpo.simulation.swarm import Scenario, Swarm

from ..framework.sharing import SharingSwarm

SETTLED = 10.0  # seconds within which everybody should have heard of a result


class LateModel(SharingSwarm):
    """The second half of the places is filled after ``late`` seconds, by the model."""

    def __init__(self, study: Study, scenario: Scenario, late: float) -> None:
        super().__init__(study, scenario)
        self._late = late

    def _start(self, place: int) -> None:
        if place >= self.scenario.workers // 2 and self.now < self._late:
            self._agenda.add(self._late, self._start, place)
        else:
            super()._start(place)


class LateSwarm(Swarm):
    """The same with production's code."""

    def __init__(self, study: Study, scenario: Scenario, late: float) -> None:
        super().__init__(study, scenario)
        self._late = late
        self._arrivals: list[asyncio.Task[None]] = []

    async def _start(self, place: int) -> None:
        wait = self._late - asyncio.get_running_loop().time()
        if place >= self.scenario.workers // 2 and wait > 0:
            self._restarting += 1  # the place is empty for now
            self._arrivals.append(asyncio.create_task(self._arrive(place, wait)))
        else:
            await super()._start(place)

    async def _arrive(self, place: int, wait: float) -> None:
        await asyncio.sleep(wait)
        await super()._start(place)
        self._restarting -= 1


class PartitionedSwarm(Swarm):
    """Production's code on a network that is in two halves from ``begins`` to ``ends``, in seconds."""

    def __init__(self, study: Study, scenario: Scenario, begins: float, ends: float) -> None:
        super().__init__(study, scenario)
        self._begins, self._ends = begins, ends

    async def _main(self) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(self._begins, self._divide)
        loop.call_later(self._ends, self.network.heal)
        await super()._main()

    def _divide(self) -> None:
        halves: tuple[list[str], list[str]] = ([], [])
        for place, peer in enumerate(self.peers):
            if peer is not None:
                halves[place % 2].append(peer.services.transport.address)
        self.network.partition(*halves)


def results_lost(swarm: Swarm) -> int:
    """Count the results that some living worker does not have at the end: of evaluations that came to their end on any
    worker, crashed ones included, so long before that everybody should have heard of them. It is the largest number
    that one worker lacks."""
    recorded: dict[str, int] = {}
    for note in swarm.diary:
        if note.how in COMPLETED and note.ended is not None and note.ended < swarm.now - SETTLED:
            recorded[note.worker] = recorded.get(note.worker, 0) + 1
    lacking = [0]
    for peer in swarm.peers:
        if peer is not None:
            log = peer.services.log
            known = {origin: sum(_is_result(event) for _, _, event in log.events(origin)) for origin in log.origins}
            lacking.append(sum(max(count - known.get(worker, 0), 0) for worker, count in recorded.items()))
    return max(lacking)


def seconds_wasted(swarm: Swarm | ModelSwarm, steps: int) -> float:
    """Return the seconds of evaluation that brought no trial further: lost with a crashed worker, or done twice. Trials
    of ``steps`` steps that are running at the end are left out."""
    scenario, view = swarm.scenario, swarm.known_together()
    spent: dict[str, float] = {}
    running = set()
    for note in swarm.diary:
        if note.ended is None:
            running.add(note.trial)
        else:
            spent[note.trial] = spent.get(note.trial, 0.0) + note.ended - note.began
    wasted = 0.0
    for trial in spent.keys() - running:
        row = view.row(parse_trial(trial))
        reached = 0 if row is None else view.step(row)
        wasted += max(spent[trial] - full_seconds(scenario.times, scenario.seed, trial) * reached / steps, 0.0)
    return wasted


def _is_result(event: object) -> bool:
    return isinstance(event, Ended) and event.how in COMPLETED
