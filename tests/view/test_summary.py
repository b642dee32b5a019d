"""How a search stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiohpo.events.lifecycle import MOST_LOSSES
from aiohpo.events.schema import Claimed, Goal, Lost, Reported
from aiohpo.storage.run import open_run
from aiohpo.view.summary import Summary, last_error_in_words, value_in_words
from tests.support.run_directories import make_climb, make_run


def test_the_best_complete_trial_is_best(tmp_path: Path) -> None:
    """Whatever those that were given up were worth."""
    best = open_run(make_climb(tmp_path / "r", [9, 1, 3, 1])).summary.best(0)
    assert best is not None
    assert (best.status, value_in_words(best, 9)) == ("finished", "0.09")


def test_while_no_trial_is_complete_the_best_of_the_farthest_is(tmp_path: Path) -> None:
    """With the step that its value is from."""
    best = open_run(make_climb(tmp_path / "r", [3, 3, 1])).summary.best(0)
    assert best is not None
    assert (best.status, value_in_words(best, 9)) == ("paused", "1.03 after 3 of 9 steps")


@pytest.mark.parametrize("outcomes", [[], ["boom"], [None]])
def test_without_a_value_there_is_no_best(outcomes: list[str | None], tmp_path: Path) -> None:
    """Nothing has run, or nothing with success."""
    assert open_run(make_run(tmp_path / "r", outcomes)).summary.best() is None


def test_a_trial_is_done_once_it_ended_or_paused(tmp_path: Path) -> None:
    """Failed ones too; and it stays done while a worker goes on with it, but not if that worker dies."""
    first = open_run(make_run(tmp_path / "a", [1.0, "boom", None]))
    assert first.summary.done(first.rungs()) == 2
    run = open_run(make_climb(tmp_path / "b", [9, 3, 1]))
    assert run.summary.done(run.rungs()) == 3
    paused = next(iter(run.view.paused))
    run.view.apply("zoe", 1, Claimed(99, 0.0, run.view.id(paused), run.view.attempt(paused) + 1, 9))
    done = {state: Summary(run.view, {"zoe": state}).done(run.rungs()) for state in ("alive", "unknown", "dead")}
    assert done == {"alive": 3, "unknown": 3, "dead": 2}


def test_what_is_beyond_the_budget_is_not_done(tmp_path: Path) -> None:
    """Surplus is no progress."""
    run = open_run(make_run(tmp_path / "r", [3.0, 2.0, 1.0], goal=2))
    assert (run.summary.ended, run.summary.done(run.rungs()), run.summary.total) == (2, 2, 2)
    assert run.summary.counts() == {"finished": 2, "surplus": 1}


@pytest.mark.parametrize(
    ("state", "status"),
    [("alive", "running"), ("suspect", "running"), ("unknown", "running"), ("dead", "lost"), ("left", "lost")],
)
def test_a_trial_is_lost_if_its_worker_is_certainly_away(state: str, status: str, tmp_path: Path) -> None:
    """In the counts as in the list of trials; of a worker of which nothing is known it runs on."""
    view = open_run(make_run(tmp_path / "r", [1.0, None], left=False)).view
    (worker,) = view.workers
    summary = Summary(view, {worker: state})
    assert summary.counts() == {"finished": 1, status: 1}
    assert [record.status for record in summary.records()] == ["finished", status]
    assert [record.status for record in Summary(view).records()] == ["finished", "running"]


def test_no_trial_is_lost_in_a_search_that_is_over(tmp_path: Path) -> None:
    """Nobody will go on with it: without a report it is not told of, with one it is surplus."""
    view = open_run(make_run(tmp_path / "r", [1.0, 2.0, None, None], goal=2, left=False)).view
    (worker,) = view.workers
    dead = {worker: "dead"}
    assert Summary(view, dead).counts() == {"finished": 2}
    assert [record.status for record in Summary(view, dead).records()] == ["finished", "finished"]
    view.apply("zoe", 1, Reported(99, view.id(2), 0, 1, 3.0))
    for seq in (2, 4):  # it does not matter whether a worker said that they are lost or it follows
        assert Summary(view, dead).counts() == {"finished": 2, "surplus": 1}
        assert [(r.status, r.ended_as) for r in Summary(view, dead).records()][2:] == [("surplus", None)]
        if seq == 2:
            view.apply("zoe", 2, Lost(100, view.id(2), 0))
            view.apply("zoe", 3, Lost(101, view.id(3), 0))
    view.apply("zoe", 4, Goal(102, 3))
    assert Summary(view).counts() == {"finished": 2, "lost": 2}


def test_a_trial_of_a_dead_worker_is_lost_until_the_budget_is_met_without_it(tmp_path: Path) -> None:
    """While it still counts, what it keeps out of the budget is surplus."""
    view = open_run(make_run(tmp_path / "r", [1.0, None, 2.0], goal=2, left=False)).view
    (worker,) = view.workers
    assert Summary(view, {worker: "dead"}).counts() == {"finished": 1, "lost": 1, "surplus": 1}
    view.apply("zoe", 1, Lost(100, view.id(1), 0))
    assert Summary(view).counts() == {"finished": 2}


def test_a_trial_that_killed_too_many_workers_has_failed(tmp_path: Path) -> None:
    """It is given up, and its record says why."""
    view = open_run(make_run(tmp_path / "r", [1.0, None])).view
    for attempt in range(MOST_LOSSES + 1):
        view.apply("zoe", 2 * attempt + 1, Claimed(90 + attempt, 0.0, view.id(1), attempt + 1))
        view.apply("zoe", 2 * attempt + 2, Lost(91 + attempt, view.id(1), attempt + 1))
    assert Summary(view).counts() == {"finished": 1, "failed": 1}
    record = Summary(view).record(1)
    assert (record.status, record.error) == ("failed", "given up: 5 workers died while they ran it")


def test_the_best_trial_may_be_lost(tmp_path: Path) -> None:
    """It is as lost as it is in the list of trials."""
    run = open_run(make_climb(tmp_path / "r", [3, 1]))
    best = run.summary.best(0)
    assert best is not None
    row = run.view.row_of(best.id)
    run.view.apply("zoe", 1, Claimed(99, 0.0, run.view.id(row), run.view.attempt(row) + 1, 9))
    found = {state: Summary(run.view, {"zoe": state}).best(0) for state in ("alive", "dead")}
    assert {state: (record.id, record.status) for state, record in found.items() if record} == {
        "alive": (best.id, "running"),
        "dead": (best.id, "lost"),
    }


def test_the_last_error_is_told(tmp_path: Path) -> None:
    """With the place where all are."""
    records = list(open_run(make_run(tmp_path / "r", ["boom", "bang\x1b[2J", 1.0])).records())
    assert last_error_in_words(records, "there") == r"; the last error: bang\x1b[2J (see all: there)"
    assert last_error_in_words(records[2:], "there") == ""
