"""The pieces of the multi-fidelity benchmark: what it measures must be what it says."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1]))

import collisions

from support import curves, peers, standings, tasks, virtual
from support.anytime import Trace, regret, speed_up
from support.curves import Curve, Scale

SCALE = Scale(best=0.0, typical=1.0, seconds=100.0)


def trace(*best: tuple[float, float], horizon: float = 80.0) -> Trace:
    return Trace(best=list(best), complete=[best[-1]], horizon=horizon, workers=1, trials=1, asks=1)


class Policy:
    """Complete trainings of random configurations."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.jobs = 0
        self.failures = 0

    def next(self, now: float) -> peers.Job:
        self.jobs += 1
        return peers.Job(str(self.jobs), collisions.SPACE.decode(collisions.SPACE.sample(self.rng, 1))[0], None)

    def report(self, job: peers.Job, step: int, loss: float) -> bool:
        return True

    def complete(self, job: peers.Job, loss: float) -> None: ...

    def fail(self, job: peers.Job) -> None:
        self.failures += 1


def test_regret_counts_what_was_reported_by_then():
    """The anytime regret is that of the best loss so far, 1 before there is one and never more."""
    history = trace((10.0, 3.0), (20.0, 0.5), (60.0, 0.25))
    assert [regret(history, SCALE, f) for f in (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)] == [1.0, 1.0, 0.5, 0.5, 0.25]


def test_speed_up_is_how_much_sooner_somebody_was_as_good():
    """Twice as soon is 2, and whoever never was as good gets a quarter."""
    reference = trace((10.0, 3.0), (60.0, 0.25))
    assert speed_up(trace((30.0, 0.2)), reference) == 2.0
    assert speed_up(trace((30.0, 0.3)), reference) == 0.25


def test_standings_rank_within_each_pair_of_task_and_seed():
    """Ranks are shared on ties and only pairs that everybody has count."""
    results = {
        "good": {("t", 0): trace((1.0, 0.1)), ("t", 1): trace((1.0, 0.2)), ("t", 2): trace((1.0, 9.0))},
        "bad": {("t", 0): trace((1.0, 0.3)), ("t", 1): trace((1.0, 0.2))},
    }
    lines = standings.standings(results, ["bad", "good"], {"t": SCALE}, "bad")
    assert [line.name for line in lines] == ["good", "bad"]
    assert [line.rank[-1] for line in lines] == [1.25, 1.75]
    assert lines[0].regret[-1] == pytest.approx(0.15)


def test_traces_survive_the_cache():
    """A search read back from its file is the search that was written."""
    history = trace((1.0, 0.5))
    history.step(2.0, "a", 3, 0.4, True)
    history.close(80.0, 1)
    assert Trace.from_dict(json.loads(json.dumps(history.to_dict()))) == history


def test_workers_in_virtual_time_promote_and_repeat_nothing():
    """Production workers spend the whole budget on steps, each done once, and a seed gives the same search again."""
    runs = [virtual.Bench(collisions.TASK, "random", "asha", 4, 300.0, 1).play() for _ in range(2)]
    assert runs[0].best == runs[1].best
    assert runs[0].resumed > 0
    assert runs[0].repeated == 0
    assert runs[0].used > 0.99
    assert sum(runs[0].depth.values()) <= runs[0].trials


def test_a_learning_searcher_fits_only_when_it_is_asked():
    """Fits that were put off are done by the next suggestion, so that the model is in use."""
    bench = virtual.Bench(collisions.TASK, "adbo", "fifo", 2, 2000.0, 0)
    found = bench.play()
    assert found.asks >= found.trials > 4
    assert found.cpu > 0.0


def test_the_simulator_of_others_ends_on_time():
    """Peers get the same budget: no step is counted that ends after the horizon."""
    policy = Policy()
    found = peers.drive(collisions.TASK, policy, workers=3, horizon=500.0)
    assert found.used == pytest.approx(1.0)
    assert found.steps <= found.busy / 5.0
    assert policy.failures == 0


def test_single_asker_promotes_by_the_same_rule():
    """A recorder with one asker pauses, promotes and finishes."""
    found = peers.drive(collisions.TASK, collisions.SingleAsker(0, "asha"), workers=4, horizon=600.0)
    assert found.resumed > 0
    assert found.finished > 0


def test_overlap_is_what_ran_twice():
    """Seconds in which a trial ran on two workers count once; its later segments do not."""
    segments = [
        ("a", 0, 0.0, 10.0, 0, 1),
        ("a", 1, 8.0, 9.0, 0, 1),
        ("a", 2, 10.0, 20.0, 1, 2),
        ("b", 3, 0.0, 5.0, 0, 1),
    ]
    assert collisions.overlap(segments) == 1.0


def test_curves_have_a_time_for_every_loss():
    """Each family's curves increase in time, fit into the task's steps and reach the scale's best or worse."""
    if reason := tasks.available():
        pytest.skip(reason)
    rng = np.random.default_rng(0)
    for name in ("lcbench:167168", "alexnet", "taskset:3", "mnli"):
        task = curves.make(name)
        scale = task.measure()
        assert scale.best < scale.typical
        failures, curve = 0, task.curves()
        for config in task.space.decode(task.space.sample(rng, 30)):
            found: Curve = curve(config)
            assert len(found.loss) == len(found.seconds) <= task.max_steps
            assert (np.diff(found.seconds) > 0).all()
            assert np.isfinite(found.loss).all()
            failures += found.fails
        assert (failures > 0) == (name in ("alexnet", "taskset:3"))


def test_a_search_of_a_table_has_each_row_once():
    """The same configuration again gets the next nearest row, and another search starts afresh."""
    if reason := tasks.available():
        pytest.skip(reason)
    task = curves.make("taskset:0")
    config = task.space.decode(np.full((1, task.space.dim), 0.5))[0]
    first, second = task.curves(), task.curves()
    found = [first(config) for _ in range(20)]
    assert len({id(curve) for curve in found}) == 20
    assert second(config) is found[0]
