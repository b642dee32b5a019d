"""Swarms of the model."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

import aiohpo
from aiohpo.simulation.costs import Cost, Costs
from aiohpo.simulation.durations import ConstantTime, NormalTime
from aiohpo.simulation.figures import Figures, figures_of
from aiohpo.simulation.model.swarm import ModelSwarm
from aiohpo.simulation.swarm import Scenario, Swarm
from tests.support.simulated_studies import FREE, study, train


def play(of: aiohpo.Study, way: Any = ModelSwarm, **scenario: Any) -> tuple[Any, Figures]:
    given = {"workers": 40, "times": NormalTime(10, 3), "costs": FREE, "seconds": 60.0, **scenario}
    swarm = way(of, Scenario(**given)).play()
    return swarm, figures_of(swarm)


def test_a_seed_repeats_exactly() -> None:
    """Everything that is counted is the same, and another seed plays another search."""
    texts = [
        json.dumps(
            play(study(searcher="kde"), seed=seed, seconds=25.0, crash_rate=30.0, restart_after=5.0)[1].as_dict()
        )
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]
    assert json.loads(texts[0])["way"] == "model"


def test_it_agrees_with_production_s_code() -> None:
    """Utilisation is within .005, and evaluations differ by those that just ended or did not."""
    costs = Costs((Cost(10, 0.05, 0.0, 0.3),))
    (_, model), (_, production) = (
        play(study(searcher="kde"), way, workers=16, costs=costs, seconds=50.0) for way in (ModelSwarm, Swarm)
    )
    assert model.utilisation == pytest.approx(production.utilisation, abs=0.005)
    assert model.evaluations == pytest.approx(production.evaluations, abs=2)


def test_slots_are_busy_until_the_end() -> None:
    """Only the first workers begin at once, the others when they have waited for news for a second."""
    _, figures = play(study(), slots=3, workers=20)
    assert 0.99 < figures.utilisation < 1.0
    assert figures.endings["running"] == 60
    assert figures.evaluations == figures.endings["finished"] == figures.trials["finished"]
    assert figures.best == figures.best_over_time[-1][1] > 0


def test_a_budget_ends_the_search() -> None:
    """It is met exactly."""
    _, figures = play(study(), trials=100, times=ConstantTime(10.0), seconds=float("inf"))
    assert figures.trials == {"finished": 100}
    assert 30.0 < figures.seconds < 35.0
    assert figures.end == "the budget is met"


def test_a_fit_delays_what_is_suggested() -> None:
    """With a fit of a second and trials of ten, a part of the time is spent waiting."""
    costs = Costs((Cost(10, 0.0, 0.0, 1.0),))
    _, figures = play(study(searcher="kde"), costs=costs, workers=10, times=ConstantTime(10.0), seconds=200.0)
    assert 0.8 < figures.utilisation < 0.95


def test_workers_with_nothing_to_do_look_round_twice_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often they are woken, they do not look more often: that was most of what a simulation cost."""
    looks = Counter[int]()
    look = ModelSwarm._look_again

    def counted(swarm: ModelSwarm, worker: Any) -> None:
        looks[worker.place] += swarm._idle.get(worker.place) is worker and worker.looks_at <= swarm.now
        look(swarm, worker)

    monkeypatch.setattr(ModelSwarm, "_look_again", counted)
    halving = study(train, max_steps=9, scheduler="sha:eta=3,r_min=1,n=27")
    _, figures = play(halving, workers=12, times=NormalTime(18.0, 9.0), trials=27, seconds=float("inf"))
    assert 10 < max(looks.values()) <= 2 * figures.seconds + 1


def test_workers_collide_while_news_of_a_claim_is_under_way() -> None:
    """With slow news and fast trials they do; the loser is aborted when it hears, and nothing is recorded twice."""
    swarm, figures = play(
        study(train, max_steps=9, scheduler="asha:r_min=1"), latency=0.2, times=ConstantTime(18.0), seconds=80.0
    )
    assert figures.collisions["count"] > 5
    aborted = [note for note in swarm.diary if note.how == "aborted"]
    assert aborted
    assert all((note.ended or 0) - note.began < 3.0 for note in aborted)
    finished = Counter(note.trial for note in swarm.diary if note.how == "finished" and note.value is not None)
    assert figures.trials["finished"] == len(finished)


def test_who_has_lost_a_race_claims_nothing_again_before_it_hears_of_that() -> None:
    """Even where what is left of the trial takes no time: else it would claim it for ever, in no time."""
    asha = study(train, max_steps=9, scheduler="asha:r_min=1")
    swarm, figures = play(asha, latency=0.2, times=NormalTime(9.0, 18.0), seconds=80.0)
    assert figures.collisions["count"] > 5
    claims = Counter((note.worker, note.trial, note.attempt) for note in swarm.diary if note.how == "aborted")
    assert set(claims.values()) == {1}


def test_a_scheduler_pauses_promotes_and_stops() -> None:
    """Steps take their share of the time, and a stopped trial plays no further."""
    swarm, figures = play(study(train, max_steps=9, scheduler="asha:r_min=1"), times=ConstantTime(9.0), seconds=60.0)
    assert figures.endings["paused"] > figures.endings["finished"] > 0
    promoted = [note for note in swarm.diary if note.attempt > 0 and note.how in ("paused", "finished")]
    assert {round((note.ended or 0) - note.began, 6) for note in promoted} == {2.0, 6.0}
    stopping = study(train, max_steps=9, scheduler="median")
    assert play(stopping, times=ConstantTime(9.0))[1].endings["stopped"] > 0


def test_a_crash_loses_what_was_running_and_others_go_on_with_it() -> None:
    """Once they have noticed; a new worker takes the place if that was asked for."""
    swarm, figures = play(study(), crash_rate=60.0, restart_after=5.0, seconds=120.0)
    assert figures.crashes["count"] > 20
    assert figures.crashes["restarted"] > 10
    crashed = {note.trial for note in swarm.diary if note.how == "crashed"}
    taken_over = {note.trial for note in swarm.diary if note.attempt > 0}
    assert taken_over
    assert taken_over <= crashed
    first = next(crash for crash in swarm.crashes)
    early = [note for note in swarm.diary if note.attempt > 0 and note.began < first.time + 6.0]
    assert not early
    assert figures.trials["finished"] == figures.endings["finished"]


def test_objectives_that_fail_end_a_search_as_they_do_anywhere() -> None:
    """It is given up after max_failures of them."""
    _, figures = play(study(lambda trial: 1 / 0, max_failures=3), times=ConstantTime(1.0))
    assert figures.end is not None
    assert figures.end.endswith("trials failed and none succeeded")


def test_whoever_watches_may_end_it() -> None:
    """The figures are those of the time until then."""
    swarm = ModelSwarm(
        study(), Scenario(workers=2, times=ConstantTime(10.0), costs=FREE, seconds=60.0), lambda swarm: swarm.now > 15
    ).play()
    assert swarm.interrupted
    assert 15.0 < figures_of(swarm).seconds < 25.0


def test_configurations_to_try_first_are_tried() -> None:
    """What a file queues is begun by somebody."""
    asked = study()
    asked.enqueue({"x": 0.0, "y": 0.0})
    assert play(asked)[1].best == 0.0
