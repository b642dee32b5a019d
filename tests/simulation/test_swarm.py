"""Swarms of production workers, simulated for users."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

import aiohpo
from aiohpo.errors import UsageError
from aiohpo.simulation.costs import Cost, Costs
from aiohpo.simulation.durations import ConstantTime, NormalTime
from aiohpo.simulation.figures import Figures, figures_of
from aiohpo.simulation.swarm import Scenario, Swarm
from tests.support.simulated_studies import FREE, study, train


def play(of: aiohpo.Study, **scenario: Any) -> tuple[Swarm, Figures]:
    given = {"workers": 4, "times": NormalTime(10, 3), "costs": FREE, "seconds": 60.0, **scenario}
    swarm = Swarm(of, Scenario(**given)).play()
    return swarm, figures_of(swarm)


def finished_at_first(swarm: Swarm) -> set[str]:
    """The trials that their first worker finished. Who has claimed one asks its peers before it records the end, some
    of which may just have died."""
    return {note.trial for note in swarm.diary if note.how == "finished" and note.attempt == 0}


def known(swarm: Swarm, status: str) -> set[str]:
    return {record.id for record in swarm.known_together().records() if record.status == status}


def test_a_seed_repeats_exactly() -> None:
    """Everything that is counted is the same, and another seed plays another search."""
    texts = [
        json.dumps(
            play(study(searcher="kde"), seed=seed, seconds=30.0, crash_rate=60.0, restart_after=5.0)[1].as_dict()
        )
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


def test_slots_are_busy_until_the_end() -> None:
    """Workers begin after they have met; then a slot is free for no longer than news of nothing takes."""
    _, figures = play(study(), slots=3)
    assert 0.97 < figures.utilisation < 1.0
    assert figures.completed_share < figures.utilisation
    assert figures.endings["running"] == 12
    assert figures.evaluations == figures.endings["finished"] > 40
    assert figures.best == figures.best_over_time[-1][1] > 0


def test_workers_that_start_together_begin_together() -> None:
    """Also where they are so many that most of them are not linked to the one that they join."""
    swarm, _ = play(study(), workers=20, seconds=0.5)
    assert [note.began for note in swarm.diary] == pytest.approx([0.01] * 20, abs=0.02)


def test_a_budget_ends_the_search() -> None:
    """It is met exactly, and the simulated time is what it took."""
    _, figures = play(study(), trials=10, times=ConstantTime(10.0), seconds=float("inf"))
    assert figures.trials == {"finished": 10}
    assert 30.0 < figures.seconds < 35.0
    assert figures.end == "the budget is met"


def test_what_is_asked_for_takes_time() -> None:
    """With evaluations of 10 s, a searcher that takes 10 s to answer halves the utilisation."""
    slow = Costs((Cost(10, 10.0, 0.0, 0.0),))
    _, figures = play(study(), costs=slow, times=ConstantTime(10.0), seconds=200.0)
    assert 0.45 < figures.utilisation < 0.55


def test_a_crash_loses_what_was_running_and_nothing_else() -> None:
    """What the workers had completed before is known to the others."""
    swarm, figures = play(study(), workers=8, crash_rate=40.0, seconds=90.0)
    assert figures.crashes["count"] >= 3
    assert figures.crashes["restarted"] == 0
    endings = Counter(note.how for note in swarm.diary)
    assert 0 < endings["crashed"] <= figures.crashes["count"]
    lost = sum((note.ended or 0) - note.began for note in swarm.diary if note.how == "crashed")
    assert figures.crashes["seconds_lost"] == pytest.approx(lost)
    assert finished_at_first(swarm) <= known(swarm, "finished")
    assert figures.crashes["seconds_missing"] > 0


def test_a_new_worker_takes_a_crashed_one_s_place() -> None:
    """It hears what is known, and works."""
    swarm, figures = play(study(), crash_rate=120.0, restart_after=2.0, seconds=90.0)
    assert figures.crashes["restarted"] >= 3
    workers = {note.worker for note in swarm.diary}
    assert len(workers) > 4
    assert finished_at_first(swarm) <= known(swarm, "finished")


def test_a_swarm_without_any_worker_waits_for_the_next() -> None:
    """A crash of the only worker ends the simulation only where none takes its place."""
    crashing = {"workers": 1, "crash_rate": 720.0, "seconds": 100.0}
    swarm, figures = play(study(), **crashing, restart_after=5.0)
    assert figures.seconds == 100.0
    assert len({note.worker for note in swarm.diary}) > 1
    assert play(study(), **crashing)[1].seconds < 100.0


def test_workers_of_a_large_swarm_fetch_from_anybody() -> None:
    """Most are not linked to each other, yet no promotion starts over or waits for a checkpoint."""

    def unlike(trial: aiohpo.Trial) -> None:
        train(trial)
        trial.save(trial.config)

    of = study(unlike, max_steps=3, scheduler="asha:r_min=1")
    swarm, figures = play(of, workers=18, times=NormalTime(3, 1), seconds=4.0)
    assert sum(note.attempt > 0 for note in swarm.diary) > 10
    assert swarm.notices == {}
    assert figures.utilisation > 0.99


def test_a_scheduler_pauses_and_promotes() -> None:
    """Trials are resumed from their checkpoints, also on other workers, and steps take their share of the time."""
    swarm, figures = play(study(train, max_steps=9, scheduler="asha:r_min=1"), times=ConstantTime(9.0), seconds=120.0)
    assert figures.endings["paused"] > figures.endings["finished"] > 0
    promoted = [note for note in swarm.diary if note.attempt > 0 and note.how in ("paused", "finished")]
    assert promoted
    assert {round((note.ended or 0) - note.began, 6) for note in promoted} <= {2.0, 6.0}
    assert figures.utilisation > 0.97


def test_objectives_that_fail_end_a_search_as_they_do_anywhere() -> None:
    """It is given up after max_failures of them."""
    _, figures = play(study(lambda trial: 1 / 0, max_failures=3), times=ConstantTime(1.0))
    assert figures.end == "3 trials failed and none succeeded"
    assert figures.best is None
    assert figures.best_over_time == []


def test_whoever_watches_may_end_it() -> None:
    """The figures are those of the time until then."""
    swarm = Swarm(
        study(), Scenario(workers=2, times=ConstantTime(10.0), costs=FREE, seconds=60.0), lambda swarm: swarm.now > 15
    ).play()
    assert swarm.interrupted
    assert 15.0 < figures_of(swarm).seconds < 15.1


def test_configurations_to_try_first_are_tried() -> None:
    """What a file queues is known to the first worker, and begun by somebody."""
    asked = study()
    asked.enqueue({"x": 0.0, "y": 0.0})
    _, figures = play(asked)
    assert figures.best == 0.0


def test_a_study_without_a_function_is_refused() -> None:
    """There is nothing to call for values."""
    with pytest.raises(UsageError, match="no Python objective"):
        play(study(None))
