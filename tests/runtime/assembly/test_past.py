"""Tests of what a study takes over from earlier runs."""

from __future__ import annotations

import pytest

from aiohpo import Float, Space, Study
from aiohpo.errors import UsageError
from aiohpo.events.log import Log
from aiohpo.events.schema import EXTERNAL, QUEUED
from aiohpo.plugin.objective import Objective
from aiohpo.runtime.ask_tell import AskTell
from aiohpo.runtime.assembly.past import Wishes, check_comparable, results_of
from aiohpo.view.view import View
from tests.support.run_directories import SPACE as RUN_SPACE
from tests.support.run_directories import make_climb, make_run

SPACE = Space(x=Float(0.0, 1.0))
CONFIG = {"x": 0.25}


def hand(view: View, wishes: Wishes, worker: str) -> AskTell:
    return AskTell(worker * 12, view, Log(), 0, None, "", wishes=wishes)


def test_each_wish_of_another_process_is_matched_once():
    """A script that asks for something twice has it twice, however often it is run."""
    view = View(SPACE, Objective("loss", "min"))
    first = hand(view, Wishes(), "a")
    ids = [first.enqueue(CONFIG), first.enqueue(CONFIG)]
    assert len(set(ids)) == 2
    again = hand(view, Wishes(), "b")
    assert [again.enqueue(CONFIG), again.enqueue(CONFIG)] == ids
    assert again.enqueue(CONFIG) not in ids
    assert view.n_rows == 3


def test_a_past_trial_is_known_by_its_value_too():
    """A corrected value is another wish; a failed trial is one without a value."""
    view = View(SPACE, Objective("loss", "min"))
    hand(view, Wishes(), "a").add([(CONFIG, 0.5), (CONFIG, None)])
    hand(view, Wishes(), "b").add([(CONFIG, 0.5), (CONFIG, None), (CONFIG, 0.75)])
    assert sorted(record.value or 0.0 for record in view.records()) == [0.0, 0.5, 0.75]


def test_what_is_queued_is_not_what_is_added():
    """A configuration of which a result was added can still be queued."""
    view, wishes = View(SPACE, Objective("loss", "min")), Wishes()
    hand(view, Wishes(), "a").add([(CONFIG, 0.5)])
    assert wishes.match(view, QUEUED, CONFIG) is None
    assert wishes.match(view, EXTERNAL, CONFIG, 0.5) == 0


@pytest.mark.parametrize(
    ("objective", "steps", "says"),
    [
        (Objective("accuracy", "max"), 9, "greatest 'accuracy', and this study is one for the least 'loss'"),
        (Objective("loss", "max"), 9, "greatest 'loss', and this study is one for the least 'loss'"),
        (Objective("loss", "min"), 3, "have 3 steps, and those of this study have 9"),
    ],
)
def test_results_that_mean_something_else_are_refused(objective, steps, says):
    """The error names both sides, and how to add the trials all the same."""
    with pytest.raises(UsageError, match=r"study\.add\(\[") as caught:
        check_comparable("runs/one", (objective, steps), (Objective("loss", "min"), 9))
    assert says in str(caught.value)


@pytest.mark.parametrize(("steps", "ours"), [(9, 9), (None, 9), (9, None), (None, None)])
def test_results_of_the_same_kind_are_not_refused(steps, ours):
    """A study without steps says nothing about how long its trials are."""
    check_comparable("it", (Objective("loss"), steps), (Objective("loss"), ours))


def test_only_complete_and_failed_trials_are_taken(tmp_path):
    """A trial that never ended has no result, and is counted among the others."""
    past = Study(None, RUN_SPACE, directory=make_run(tmp_path / "r", [1.0, "boom", None], left=False))
    taken, others = results_of(past.result.trials)
    assert [value for _, value in taken] == [1.0, None]
    assert others == "1 running"


def test_surplus_is_taken_for_what_it_would_be_within_the_budget(tmp_path):
    """Beyond the budget's line a failed trial has failed all the same."""
    study = Study(None, RUN_SPACE, directory=make_run(tmp_path / "r", [3.0, 2.0, "boom", 1.0], goal=1))
    assert [(t.status, t.ended_as) for t in study.result.trials] == [
        ("finished", "finished"),
        ("surplus", "finished"),
        ("surplus", "failed"),
        ("surplus", "finished"),
    ]
    other = Study(None, RUN_SPACE)
    assert other.add(study.result) == 4
    assert other.result.counts == {"finished": 3, "failed": 1}
    assert other.result.best.value == 1.0


def test_partial_trials_are_left_out_with_a_word(tmp_path):
    """So that nobody wonders why fewer trials arrive than the run had."""
    study = Study(None, RUN_SPACE, metric="accuracy", mode="max", max_steps=9)
    assert study.add(make_climb(tmp_path / "climb", [9, 3, 1])) == 1
    (notice,) = study.notices
    assert "left out 2 paused of" in notice
    assert str(tmp_path / "climb") in notice
