"""Tests of searches of learning curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aiohpo.plugin import Config
from aiohpo.simulation.costs import Cost, Costs
from aiohpo.simulation.evaluator import Evaluation
from aiohpo.space.space import Float, Space
from studies.framework.curve_search import Segment, best_at, outcome, play, told, with_fixed_rungs
from studies.framework.curve_tasks import Curve, CurveTask, Scale
from studies.networks.manager import play_central

CURVE = Curve(np.array([0.9, 0.5, 0.4]), np.array([10.0, 20.0, 40.0]))
COSTS = Costs((Cost(10, 0.0, 0.0, 0.0),))


def curve(config: Config) -> Curve:
    """Takes from 30 to 60 s."""
    return Curve(config["x"] + np.array([0.3, 0.1, 0.0]), (10.0 + 10.0 * config["x"]) * np.arange(1, 4))


def task(anew: bool = False) -> CurveTask:
    return CurveTask("line", Space(x=Float(0.0, 1.0)), 3, curve, lambda: Scale(0.0, 0.5, 45.0), anew)


def costs(tmp_path: Path) -> Path:
    file = tmp_path / "costs.json"
    file.write_text('{"random, 1 parameters, with steps": [{"trials": 10, "ask": 0.001, "more": 0.0, "fit": 0.0}]}')
    return file


def test_losses_are_told_when_their_steps_are_over() -> None:
    """A segment's seconds are those of its curve, in equal parts, and what its end cuts off is not told."""
    diary = [
        Evaluation("a", 0, "t", 0, 100.0, 110.0, "paused"),
        Evaluation("b", 0, "t", 1, 200.0, 230.0, "finished"),
        Evaluation("c", 0, "u", 0, 215.0),
        Evaluation("d", 0, "v", 0, 0.0, 40.0, "aborted"),
    ]
    segments = [Segment(CURVE, 0, 1), Segment(CURVE, 1, 3), Segment(CURVE, 0, 1), Segment(CURVE, 0, 3)]
    words = told(diary, segments, task(), 220.0)
    assert [(word.time, word.loss, word.is_last) for word in words] == [(110.0, 0.9, False), (215.0, 0.5, False)]
    assert [word.loss for word in told(diary, segments, task(anew=True), 300.0)] == [0.9, 0.9, 0.4]


def test_outcomes_count_what_the_workers_did() -> None:
    """Utilisation includes what the end cuts off, trials are counted once, and the best is that at any step."""
    diary = [Evaluation("a", 0, "t", 0, 0.0, 10.0, "paused"), Evaluation("a", 0, "t", 1, 10.0, 40.0, "finished")]
    diary.append(Evaluation("b", 0, "u", 0, 20.0))
    segments = [Segment(CURVE, 0, 1), Segment(CURVE, 1, 3), Segment(CURVE, 0, 3)]
    found = outcome(diary, segments, task(), 2, 50.0, COSTS)
    assert found["utilisation"] == 0.7
    assert (found["trials"], found["trained"], found["best"]) == (2, 1, 0.4)
    assert best_at(found["best_over_time"], 9.0) == np.inf
    assert best_at(found["best_over_time"], 39.0) == 0.5


@pytest.mark.parametrize("anew", [False, True])
def test_a_search_takes_the_seconds_of_its_curves(tmp_path: Path, anew: bool) -> None:
    """Workers of the model train all the time, promote, and complete the best."""
    found = play(task(anew), "random", "asha:eta=2,r_min=1", 4, 400.0, 0, costs(tmp_path))
    assert found["utilisation"] > 0.99
    assert 5 < found["trained"] < found["trials"]
    assert found["best"] == found["complete"]


def test_asha_is_as_published_unless_an_option_says_otherwise() -> None:
    """All trials begin at the lowest rung."""
    assert with_fixed_rungs("asha") == "asha:first_rung=fixed"
    assert with_fixed_rungs("asha:type=stopping") == "asha:type=stopping,first_rung=fixed"
    for other in ("hyperband", "asha:first_rung=learned", "asha:brackets=4"):
        assert with_fixed_rungs(other) == other


def test_a_manager_makes_workers_wait(tmp_path: Path) -> None:
    """Complete trainings only, and a cost of every decision."""
    file = costs(tmp_path)
    file.write_text(file.read_text().replace('"ask": 0.001', '"ask": 5.0'))
    found = play_central(task(), "random", 20, 400.0, 0, file)
    assert found["utilisation"] < 0.7
    assert found["trials"] == 80
