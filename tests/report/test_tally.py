"""What a search's events amount to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from aiohpo import Float, Space
from aiohpo.events.schema import (
    EXTERNAL,
    QUEUED,
    Claimed,
    Ended,
    Event,
    Goal,
    Left,
    Lost,
    Proposed,
    Reported,
    Started,
)
from aiohpo.mesh.health import Health
from aiohpo.plugin.objective import Objective
from aiohpo.report.snapshot import Snapshot
from aiohpo.report.sources import ProgressSource
from aiohpo.report.tally import WINDOW, Tally
from aiohpo.report.words import rungs_in_words
from aiohpo.view.view import View

NOW = 10_000.0
HEALTH = Health(3, 0.002, 0.1, 1, 2, 0, 10, 1000, 11, 2000)


class Told(ProgressSource):
    """A source that is told what happens."""

    name = "told"
    study: Mapping[str, Any] = MappingProxyType({})
    view = View(Space(x=Float(0.0, 1.0)), Objective("loss", "min"))

    def __init__(self, mode: str = "min") -> None:
        self.study = {"format": 1, "metric": "loss", "mode": mode, "space": {}, "seed": 3}
        self.view = View(Space(x=Float(0.0, 1.0)), Objective("loss", "max" if mode == "max" else "min"))
        self.believed: dict[str, str] = {}
        self._new = 0
        self._count: dict[str, int] = {}
        self._clock = 0

    def add(self, origin: str, kind: type, *fields: Any) -> int:
        self._clock += 1
        event: Event = kind(self._clock, *fields)
        seq = self._count[origin] = self._count.get(origin, 0) + 1
        self.view.apply(origin, seq, event)
        self._new += 1
        return seq

    def start(self, origin: str, at: float, rank: int | None = None, slots: int = 1) -> None:
        self.add(origin, Started, at, "node1", 100, "", rank, None, slots)
        self.believed[origin] = "alive"

    def trial(self, origin: str, at: float, seconds: float, value: float | None, how: str = "finished") -> int:
        seq = self.add(origin, Proposed, at, (0.5,))
        self.add(origin, Ended, seq, 0, how, 0, value, seconds)
        return seq

    def poll(self) -> int:
        new, self._new = self._new, 0
        return new

    def states(self) -> dict[str, str]:
        return dict(self.believed)

    def health(self) -> Health | None:
        return HEALTH


@pytest.fixture
def told() -> Told:
    return Told()


def look(source: Told, now: float = NOW) -> Snapshot:
    return Tally(source).look(now)


def test_a_search_without_anybody_is_shown_as_such(told: Told) -> None:
    """Before the first event there is nothing to divide by and nothing is invented."""
    now = look(told)
    assert (now.ended, now.total, now.best, now.workers, now.rate) == (0, None, None, (), 0.0)
    assert (now.utilisation, now.remaining, now.elapsed, now.curve) == (None, None, 0.0, ())
    assert not now.deserted
    json.dumps(now.as_dict(), allow_nan=False)


def test_each_worker_is_shown_with_what_it_runs(told: Told) -> None:
    """Number, configuration and seconds so far of the trial that is its own."""
    told.start("a", NOW - 100)
    told.start("b", NOW - 50)
    told.trial("a", NOW - 90, 10, 3.0)
    told.add("b", Proposed, NOW - 4.0, (0.25,))
    idle, busy = look(told).workers
    assert (idle.id, idle.host, idle.pid, idle.slots, idle.trials, idle.running) == ("a", "node1", 100, 1, 1, ())
    (trial,) = busy.running
    assert (trial.number, trial.config, trial.seconds, busy.trials) == (1, {"x": 0.25}, 4.0, 0)


def test_a_worker_is_shown_with_what_all_its_slots_run(told: Told) -> None:
    """Whatever began first stands first; numbers are those of the study's trials, also where workers are concurrent."""
    told.start("a", NOW - 100, 0, 3)
    told.start("b", NOW - 100, 1, 4)
    for i in range(3):
        told.add("b", Proposed, NOW - 50 + i, (i / 4,))
        told.add("a", Proposed, NOW - 50 - i, (i / 8,))
    now = look(told)
    first, second = now.workers
    assert (first.slots, second.slots, now.slots) == (3, 4, 7)
    assert [(trial.seconds, trial.config["x"]) for trial in first.running] == [(52.0, 0.25), (51.0, 0.125), (50.0, 0.0)]
    numbers = {trial.id: trial.number for worker in now.workers for trial in worker.running}
    assert numbers == {record.id: record.number for record in told.view.records()}


def test_a_worker_runs_no_more_than_it_has_slots(told: Told) -> None:
    """Of segments whose end it did not record, the newest are what it runs."""
    told.start("a", NOW - 100, 0, 2)
    for i in range(5):
        told.add("a", Proposed, NOW - 50 + i, (i / 5,))
    (worker,) = look(told).workers
    assert [trial.seconds for trial in worker.running] == [47.0, 46.0]


def test_utilisation_is_that_of_all_slots(told: Told) -> None:
    """A worker's is the part of its slots' time, that of the search weighs each worker by its slots; none exceeds 1."""
    told.start("many", NOW - 1000, 0, 4)
    for i in range(3):  # three slots of four busy for half of the minute, one of them goes on
        told.trial("many", NOW - WINDOW, 30, float(i))
    told.add("many", Proposed, NOW - 15, (0.5,))
    told.start("one", NOW - 1000, 1)
    told.add("one", Proposed, NOW - 100, (0.5,))
    now = look(told)
    assert [w.utilisation for w in now.workers] == [pytest.approx((3 * 30 + 15) / 240), pytest.approx(1.0)]
    assert now.utilisation == pytest.approx((3 * 30 + 15 + 60) / 300)
    for _ in range(20):  # which cannot be
        told.trial("many", NOW - WINDOW, 60, 1.0)
    assert look(told).workers[0].utilisation == 1.0


def test_utilisation_is_that_of_the_last_minute(told: Told) -> None:
    """Older segments do not count, a running one does, and a young worker is measured since its start."""
    told.start("old", NOW - 1000)
    told.trial("old", NOW - 900, 500, 1.0)  # long ago
    told.trial("old", NOW - WINDOW - 10, 25, 1.0)  # 15 s of it within the minute
    told.add("old", Proposed, NOW - 15, (0.5,))
    told.start("young", NOW - 20)
    told.add("young", Proposed, NOW - 10, (0.5,))
    now = look(told)
    assert [w.utilisation for w in now.workers] == [pytest.approx(0.5), pytest.approx(0.5)]
    assert now.utilisation == pytest.approx((30 + 10) / (60 + 20))


def test_the_dead_are_not_idle(told: Told) -> None:
    """Who is dead or left has no utilisation, runs nothing, and what it ran is lost."""
    for name, state in (("a", "alive"), ("b", "dead"), ("c", "left"), ("d", "suspect")):
        told.start(name, NOW - 30)
        told.add(name, Proposed, NOW - 30, (0.5,))
        told.believed[name] = state
    now = look(told)
    assert [(w.id, w.status, bool(w.running)) for w in now.workers] == [
        ("a", "alive", True),
        ("d", "suspect", True),
        ("b", "dead", False),
        ("c", "left", False),
    ]
    assert now.counts == {"running": 2, "lost": 2}
    assert now.utilisation == pytest.approx(1.0)
    assert now.states() == {"alive": 1, "suspect": 1, "dead": 1, "left": 1}


def test_counts_tell_what_became_of_trials(told: Told) -> None:
    """Failed, paused, lost, queued and what is beyond the budget's line."""
    told.start("a", NOW - 100)
    told.add("a", Goal, 2)
    told.trial("a", NOW - 90, 1, 3.0)
    told.trial("a", NOW - 80, 1, None, "failed")
    told.trial("a", NOW - 70, 1, 2.0)
    told.add("a", Proposed, NOW - 60, (0.5,), QUEUED)
    lost = told.add("a", Proposed, NOW - 50, (0.5,))
    told.add("a", Lost, lost, 0)
    now = look(told)
    assert now.counts == {"finished": 1, "failed": 1, "surplus": 1, "queued": 1}  # nobody goes on with the lost one
    assert (now.ended, now.total, now.remaining) == (2, 2, 0.0)
    assert now.rate == pytest.approx(3 / 100)
    told.add("a", Goal, 4)
    assert look(told).counts == {"finished": 2, "failed": 1, "queued": 1, "lost": 1}


def test_a_trial_that_was_taken_over_is_shown_where_it_runs(told: Told) -> None:
    """The worker that lost it is not shown with it."""
    told.start("a", NOW - 100, 0)
    told.start("b", NOW - 100, 1)
    seq = told.add("a", Proposed, NOW - 50, (0.5,))
    told.add("b", Lost, ("a", seq), 0)
    told.add("b", Claimed, NOW - 5, ("a", seq), 1)
    first, second = look(told).workers
    assert first.running == ()
    assert [trial.seconds for trial in second.running] == [5.0]


def test_a_worker_that_holds_on_runs_its_trial_since_it_began(told: Told) -> None:
    """Given up for lost by mistake, it claims what it runs without a time."""
    told.start("a", NOW - 100)
    told.start("b", NOW - 100)
    seq = told.add("a", Proposed, NOW - 50, (0.5,))
    told.add("b", Lost, ("a", seq), 0)
    told.add("a", Claimed, 0.0, seq, 1)
    told.add("a", Reported, seq, 1, 1, 0.5)
    assert [[trial.seconds for trial in w.running] for w in look(told).workers] == [[50.0], []]


def test_the_rate_is_that_of_the_last_minute_or_of_twenty_trials(told: Told) -> None:
    """Fast searches are averaged over a minute, slow ones over their last twenty trials, young ones since the start."""
    told.start("a", NOW - 10_000)
    for i in range(30):
        told.trial("a", NOW - 9_000 + 100 * i, 50, 1.0)
    last = NOW - 9_000 + 2900 + 50
    assert look(told, last).rate == pytest.approx(20 / 1900)
    fast = Told()
    fast.start("a", NOW - 1000)
    for i in range(900):
        fast.trial("a", NOW - 900 + i, 1, 1.0)
    assert look(fast).rate == pytest.approx(61 / 60, abs=0.02)
    young = Told()
    young.start("a", NOW - 10)
    young.trial("a", NOW - 10, 5, 1.0)
    assert look(young).rate == pytest.approx(0.1)


def test_looking_again_forgets_nothing(told: Told) -> None:
    """A tally that looked after every event says the same as one that looks once."""
    tally = Tally(told)
    twin = Told()
    for source in (told, twin):
        source.start("a", NOW - 100)
    for i in range(50):
        told.trial("a", NOW - 100 + 2 * i, 1.5, 50.0 - i)
        twin.trial("a", NOW - 100 + 2 * i, 1.5, 50.0 - i)
        tally.look(NOW - 100 + 2 * i + 2)
    assert tally.look(NOW).as_dict() == look(twin).as_dict()


@pytest.mark.parametrize(("mode", "improved"), [("min", [5.0, 3.0, 1.0]), ("max", [5.0, 9.0])])
def test_the_curve_holds_the_improvements(mode: str, improved: list[float]) -> None:
    """Whichever way is up, in the order in which trials ended, whatever the order of arrival."""
    source = Told(mode)
    source.start("a", 1000.0)
    source.start("b", 1000.0)
    source.trial("b", 1020.0, 10, 3.0)
    source.trial("a", 1000.0, 10, 5.0)
    source.trial("a", 1030.0, 10, 9.0)
    source.trial("a", 1040.0, 10, 1.0)
    curve = look(source, 1100.0).curve
    assert [value for _, value in curve] == improved
    assert curve[0] == (10.0, 5.0)


def test_a_search_that_is_over_lasted_until_its_last_result(told: Told) -> None:
    """Who looks a day later sees the same curve."""
    told.start("a", 1000.0)
    told.trial("a", 1000.0, 10, 5.0)
    told.add("a", Left, 1020.0, "done")
    told.believed["a"] = "left"
    now = look(told, 90_000.0)
    assert now.deserted
    assert now.elapsed == 10.0


def test_who_only_queued_trials_is_no_worker(told: Told) -> None:
    """An origin that never started and is not in the mesh is not shown; a member that said nothing yet is."""
    told.add("hand", Proposed, NOW, (0.5,), QUEUED)
    told.believed["silent"] = "alive"
    (worker,) = look(told).workers
    assert (worker.id, worker.host, worker.utilisation) == ("silent", None, None)


def test_paused_trials_are_done_and_their_climb_is_told(told: Told) -> None:
    """A trial is done when it first pauses, and once; who went on with it where is counted."""
    told.start("a", NOW - 20, 0)
    told.start("b", NOW - 20, 1)
    told.add("a", Goal, 4)
    seq = told.add("a", Proposed, NOW - 18, (0.5,), 0, 1)
    told.add("a", Reported, seq, 0, 1, 0.5)
    told.add("a", Ended, seq, 0, "paused", 1, None, 1.0)
    told.add("b", Claimed, NOW - 10, ("a", seq), 1, 3)
    tally = Tally(told)
    now = tally.look(NOW)
    assert (now.done, now.ended, now.promoted, now.moved, dict(now.rungs)) == (1, 0, 1, 1, {1: 1, 3: 0})
    assert rungs_in_words(now.rungs, now.promoted, now.moved) == "rungs 1:1 3:0, 1 promoted (1 on another worker)"
    assert (now.best.value, now.best.step) == (0.5, 1)
    told.add("b", Ended, ("a", seq), 1, "paused", 3, None, 2.0)
    later = tally.look(NOW)
    assert (later.done, later.rate) == (1, now.rate)


def test_the_json_form_is_documented(told: Told) -> None:
    """Keys that show has as well, and the mesh."""
    told.start("a", NOW - 10, 0)
    told.add("a", Goal, 9)
    told.trial("a", NOW - 9, 2, 0.5)
    told.add("a", Proposed, NOW - 1, (0.25,))
    plain = json.loads(json.dumps(look(told).as_dict(), allow_nan=False))
    assert set(plain) == {"time", "study", "workers", "mesh"}
    study = plain["study"]
    assert (study["trials"], study["ended"], study["running"], study["seed"]) == (9, 1, 1, 3)
    best = {name: study["best"][name] for name in ("id", "number", "status", "value", "config", "worker")}
    assert best == {"id": "a-3", "number": 0, "status": "finished", "value": 0.5, "config": {"x": 0.5}, "worker": "a"}
    assert study["curve"] == [[3.0, 0.5]]
    (worker,) = plain["workers"]
    assert worker["slots"] == 1
    assert worker["running"] == [{"id": "a-5", "number": 1, "config": {"x": 0.25}, "step": 0, "seconds": 1.0}]
    assert plain["mesh"]["round_trip"] == 0.002


@pytest.mark.parametrize("killed", [False, True])
def test_pauses_between_runs_are_left_out(told: Told, killed: bool) -> None:
    """A resumed search is as fast as it was, whether its workers left or were killed, and needs no longer for it."""
    told.add("a", Goal, 100)
    for run, began in enumerate((NOW - 100_000, NOW - 20)):
        name = "ab"[run]
        told.start(name, began)
        for i in range(20):
            told.trial(name, began + i, 1, 50.0 - i - 20 * run)
        if run == 0 and not killed:
            told.add(name, Left, began + 20, "done")
        told.believed[name] = ("dead" if killed else "left") if run == 0 else "alive"
    now = look(told)
    assert now.rate == pytest.approx(1.0)
    assert now.remaining == pytest.approx(60.0)
    assert now.elapsed == pytest.approx(40.0)
    assert now.curve[-1] == (pytest.approx(40.0), 11.0)


def test_a_search_that_nobody_works_on_keeps_its_rate(told: Told) -> None:
    """It is that of the time in which somebody worked, however much later one looks."""
    told.start("a", NOW - 100_000)
    for i in range(30):
        told.trial("a", NOW - 100_000 + 2 * i, 2, 1.0)
    told.add("a", Left, NOW - 100_000 + 60, "done")
    told.believed["a"] = "left"
    assert look(told).rate == pytest.approx(0.5)


def test_an_unknown_worker_counts_while_it_runs_something(told: Told) -> None:
    """One of another machine that is quiet between trials has perhaps ended: it is not idle, and no time passes."""
    told.start("a", NOW - 1000)
    told.trial("a", NOW - 1000, 10, 1.0)
    told.believed["a"] = "unknown"
    tally = Tally(told)
    idle = tally.look(NOW)
    assert (idle.elapsed, idle.utilisation, idle.deserted) == (10.0, None, False)
    told.add("a", Proposed, NOW - 30, (0.5,))
    busy = tally.look(NOW)
    assert busy.counts == {"finished": 1, "running": 1}
    assert (busy.elapsed, busy.workers[0].running[0].seconds) == (1000.0, 30.0)


def test_a_trial_that_pauses_often_is_one_trial(told: Told) -> None:
    """Of each worker the different trials are counted, and all the time that it spent."""
    told.start("a", NOW - 100)
    seq = told.add("a", Proposed, NOW - 90, (0.5,), 0, 1)
    told.add("a", Ended, seq, 0, "paused", 1, None, 5.0)
    told.add("a", Claimed, NOW - 80, ("a", seq), 1, 3)
    told.add("a", Ended, seq, 1, "paused", 3, None, 5.0)
    told.trial("a", NOW - 50, 5, 1.0)
    (worker,) = look(told).workers
    assert (worker.trials, worker.busy_seconds) == (2, 15.0)


def test_added_and_retried_trials_are_no_part_of_the_budget(told: Told) -> None:
    """They are counted by their status as well, so that the counts are those of the trials that are listed."""
    told.start("a", NOW - 100)
    told.add("a", Goal, 3)
    past = told.add("a", Proposed, NOW - 99, (0.1,), EXTERNAL)
    told.add("a", Ended, past, 0, "finished", 0, 4.0, 0.0)
    failed = told.trial("a", NOW - 90, 1, None, "failed")
    told.add("a", Proposed, NOW - 80, (0.5,), QUEUED, None, 0, None, ("a", failed))
    told.trial("a", NOW - 70, 1, 2.0)
    now = look(told)
    assert now.counts == {"finished": 2, "failed": 1, "queued": 1}
    assert (now.ended, now.done, now.retried, now.added) == (1, 1, 1, 1)


def test_clocks_that_disagree_make_no_nonsense(told: Told) -> None:
    """Workers from the future, or with a broken clock, give numbers within bounds."""
    told.start("a", NOW + 500)
    told.trial("a", NOW + 500, 10, 1.0)
    told.add("a", Proposed, NOW + 520, (0.5,))
    told.start("b", float("inf"))
    told.trial("b", float("inf"), 1.0, 2.0)
    told.trial("b", 0.0, float("nan"), 2.0)
    now = look(told)
    assert now.utilisation is None or 0 <= now.utilisation <= 1
    assert all(trial.seconds >= 0 for w in now.workers for trial in w.running)
    assert 0 <= now.rate < 10
    assert now.elapsed >= 0
