"""Tests of swarms that something happens to."""

from __future__ import annotations

import pytest

from aiohpo import Study
from aiohpo.simulation.costs import Cost, Costs
from aiohpo.simulation.evaluator import Evaluation
from aiohpo.simulation.model.swarm import ModelSwarm
from aiohpo.simulation.swarm import Scenario, Swarm
from studies.adbo.ackley import space_of
from studies.framework.sharing import SharingSwarm
from studies.stopping.curves import DIMENSIONS, STEPS, TIMES, train
from studies.stopping.faults import LateModel, LateSwarm, PartitionedSwarm, results_lost, seconds_wasted


def study() -> Study:
    return Study(train, space_of(DIMENSIONS), max_steps=STEPS, searcher="random", scheduler="asha")


def scenario(seconds: float) -> Scenario:
    return Scenario(workers=4, times=TIMES, costs=Costs((Cost(10, 1e-5, 0.0, 0.0),)), seconds=seconds)


def begin(swarm: Swarm | ModelSwarm) -> list[float]:
    """When each worker's first evaluation began."""
    first: dict[str, float] = {}
    for note in swarm.diary:
        first[note.worker] = min(first.get(note.worker, note.began), note.began)
    return sorted(first.values())


@pytest.mark.parametrize("late", [LateModel, LateSwarm])
def test_half_of_the_workers_come_late(late: type[LateModel | LateSwarm]) -> None:
    """They begin when they come, and not before; the others do not wait for them."""
    begins = begin(late(study(), scenario(60.0), 30.0).play())
    assert len(begins) == 4
    assert begins[1] < 5.0
    assert 30.0 <= begins[2] <= begins[3] < 35.0


def test_a_partition_costs_time_and_no_result() -> None:
    """Each half takes over what the other one was running; once they have met again everybody knows every result."""
    swarm = PartitionedSwarm(study(), scenario(200.0), 60.0, 120.0).play()
    assert results_lost(swarm) == 0
    assert seconds_wasted(swarm, STEPS) > 0
    swarm.diary += [Evaluation(swarm.diary[0].worker, 0, "nobody-1", 0, 0.0, 1.0, "paused")]
    assert results_lost(swarm) == 1


def test_without_a_fault_nothing_is_wasted() -> None:
    """All the seconds of a trial are in the steps that it has done."""
    swarm = SharingSwarm(study(), scenario(300.0)).play()
    assert seconds_wasted(swarm, STEPS) == pytest.approx(0.0, abs=0.5)
