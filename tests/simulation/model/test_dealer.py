"""What a free slot of the model runs next."""

from __future__ import annotations

from typing import Any

import pytest

import aiohpo
from aiohpo.errors import AiohpoError
from aiohpo.plugin import Inherit, NewTrial, Resume
from aiohpo.simulation.costs import Cost, Costs
from aiohpo.simulation.durations import ConstantTime
from aiohpo.simulation.model.dealer import Wait
from aiohpo.simulation.model.swarm import ModelSwarm
from aiohpo.simulation.swarm import Scenario

SPACE = aiohpo.Space(x=aiohpo.Float(0, 1))
COSTS = Costs((Cost(10, 1.0, 0.25, 4.0),))


class Wants:
    """A scheduler that always wants the same."""

    def __init__(self, choice: Any) -> None:
        self.choice = choice

    def setup(self, max_steps: int | None, seed: int, identity: Any) -> None:
        pass

    def next(self, view: Any, claims: Any, rng: Any) -> Any:
        return self.choice

    def on_report(self, view: Any, trial: str, step: int) -> Any:
        raise AssertionError("nothing is reported here")


def played(choice: Any, searcher: str = "random", seconds: float = 0.5) -> ModelSwarm:
    """Two workers of two slots that have just begun."""
    study = aiohpo.Study(lambda trial: trial["x"], SPACE, searcher=searcher, scheduler=Wants(choice))
    scenario = Scenario(workers=2, slots=2, times=ConstantTime(60.0), costs=COSTS, seconds=seconds)
    return ModelSwarm(study, scenario).play()


def test_slots_that_are_free_together_are_asked_for_together() -> None:
    """The second configuration costs less than the first, and both begin when the worker's loop is free."""
    swarm = played(NewTrial(), seconds=10.0)
    assert {note.began for note in swarm.diary} == {0.01 + 1.25}
    assert len(swarm.diary) == 4


def test_a_scheduler_may_name_the_configuration() -> None:
    """Then no searcher is asked, and nothing is waited for."""
    swarm = played(NewTrial(config={"x": 0.25}))
    assert [note.began for note in swarm.diary] == [0.01] * 4
    assert {record.config["x"] for record in swarm.view.records()} == {0.25}


def test_a_model_is_waited_for() -> None:
    """A worker that has results to learn from waits for the fit in flight, or for the next one."""
    swarm = played(NewTrial(), searcher="kde")
    dealer, worker = swarm._dealer, swarm._workers[0]
    swarm._results.times.append(0.2)
    worker.busy_seconds, worker.ended = 60.0, 1
    worker.running.clear()
    answer = dealer.choose(worker, [0, 1], 10.0, answered=False)
    assert answer == Wait(ready=12.0, knows=10.0)  # two seconds are the most that is waited


@pytest.mark.parametrize(
    ("choice", "said"),
    [(Resume("nobody-1"), "unknown trial 'nobody-1'"), (NewTrial(parent=Inherit("nobody-1", 3)), "never saved")],
)
def test_what_a_scheduler_makes_up_is_an_error(choice: Any, said: str) -> None:
    """As it is for production's workers."""
    with pytest.raises(AiohpoError, match=said):
        played(choice)
