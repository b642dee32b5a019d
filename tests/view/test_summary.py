"""How a search stands, in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiohpo.events.schema import Claimed
from aiohpo.storage.run import open_run
from aiohpo.view.summary import best_in_words, best_of, ensemble_in_words, n_done
from tests.support.run_directories import make_climb, make_run


def test_the_best_complete_trial_is_best(tmp_path: Path) -> None:
    """Whatever those that were given up were worth."""
    run = open_run(make_climb(tmp_path / "r", [9, 1, 3, 1]))
    assert best_in_words(run.view) == "best accuracy 0.09"
    assert best_of(run.view, 0).status == "finished"


def test_while_no_trial_is_complete_the_best_of_the_farthest_is(tmp_path: Path) -> None:
    """With the step that its value is from."""
    run = open_run(make_climb(tmp_path / "r", [3, 3, 1]))
    assert best_in_words(run.view) == "best accuracy 1.03 after 3 of 9 steps"
    assert best_of(run.view, 0).status == "paused"


def test_what_a_run_directory_says_of_its_ensemble_is_printable() -> None:
    """Its file may come from anybody."""
    state = {"metric": "\x1b[2J", "size": "\n", "score": 0.5, "single": 0.25}
    assert ensemble_in_words(state) == r"ensemble of  : \x1b[2J 0.5 (best single 0.25)"


@pytest.mark.parametrize("outcomes", [[], ["boom"], [None]])
def test_without_a_value_there_is_no_best(outcomes: list[str | None], tmp_path: Path) -> None:
    """Nothing has run, or nothing with success."""
    run = open_run(make_run(tmp_path / "r", outcomes))
    assert best_in_words(run.view) == "best loss –"
    assert best_of(run.view) is None


def test_a_trial_is_done_once_it_ended_or_paused(tmp_path: Path) -> None:
    """Failed ones too; and it stays done when somebody goes on with it, as far as the rungs know."""
    assert n_done(open_run(make_run(tmp_path / "a", [1.0, "boom", None])).view) == 2
    run = open_run(make_climb(tmp_path / "b", [9, 3, 1]))
    assert n_done(run.view) == 3
    paused = next(iter(run.view.paused))
    attempt = run.view.attempt(paused) + 1
    run.view.apply("zoe", 1, Claimed(99, 0.0, run.view.id(paused), attempt, 9))
    assert (n_done(run.view), n_done(run.view, run.rungs())) == (2, 3)


def test_what_is_beyond_the_budget_is_not_done(tmp_path: Path) -> None:
    """Surplus is no progress."""
    assert n_done(open_run(make_run(tmp_path / "r", [3.0, 2.0, 1.0], goal=2)).view) == 2
