"""Measuring how long news takes."""

from __future__ import annotations

import asyncio

import pytest

import aiohpo
from aiohpo.events.schema import Proposed, Started
from aiohpo.plugin.objective import Objective
from aiohpo.simulation.loop import run
from aiohpo.simulation.probe import Probe, ProbedView

SPACE = aiohpo.Space(x=aiohpo.Float(0, 1))
LOSS = Objective("loss", "min")


def swarm(probe: Probe, names: str) -> list[ProbedView]:
    for place, name in enumerate(names):
        probe.admit(place, name)
    return [ProbedView(SPACE, LOSS, None, name, probe) for name in names]


def test_an_event_is_followed_from_its_recorder_to_the_others() -> None:
    """Its delay counts once for each worker that hears of it; one that never does counts as hearing at the end."""
    probe = Probe(0, 3, 3)

    async def main() -> None:
        mine, other, _ = swarm(probe, "abc")
        await asyncio.sleep(20)
        mine.apply("a", 1, Proposed(1, 0.0, (0.5,)))
        await asyncio.sleep(0.25)
        other.apply("a", 1, Proposed(1, 0.0, (0.5,)))

    run(main)
    times, delays = probe.delays(120.0, 2)
    assert (times.tolist(), delays.tolist()) == ([20.0, 20.0], [0.25, 100.0])


def test_what_had_no_time_to_travel_does_not_count() -> None:
    """Nor does what a worker says when it starts, or what it said before another one did, or before all had met."""
    probe = Probe(0, 3, 3)

    async def main() -> None:
        early, _, _ = swarm(probe, "abc")
        early.apply("b", 1, Proposed(1, 0.0, (0.5,)))
        await asyncio.sleep(20)
        mine, other, _ = swarm(probe, "abc")
        mine.apply("a", 1, Started(1, 0.0, "host", 1, ""))
        other.apply("a", 1, Started(1, 0.0, "host", 1, ""))
        mine.apply("a", 2, Proposed(2, 0.0, (0.5,)))
        await asyncio.sleep(1)
        late = ProbedView(SPACE, LOSS, None, "c", probe)
        late.apply("a", 2, Proposed(2, 0.0, (0.5,)))

    run(main)
    assert [len(column) for column in probe.delays(29.0, 2)] == [0, 0]
    assert probe.delays(100.0, 0)[1].tolist() == []


@pytest.mark.parametrize(("followed", "counted"), [(0, 0), (1, 1), (9, 3)])
def test_only_some_workers_are_followed(followed: int, counted: int) -> None:
    """The seed chooses them."""

    async def main() -> int:
        probe = Probe(0, 3, followed)
        swarm(probe, "abc")
        return len(probe.followed)

    assert run(main) == counted
