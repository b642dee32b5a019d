"""Pictures: what is drawn stands where it should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from run_directories import make_run

from aiohpo.inspect import open_run
from aiohpo.interfaces import UsageError
from aiohpo.plots import KINDS, _Clock, draw, save


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["min", "max"])
def test_every_kind_draws_every_run(kind: str, mode: str, tmp_path: Path) -> None:
    """Failures, conditions, mixed choices, a constant, an outlier and an unfinished trial are no obstacle."""
    run = open_run(make_run(tmp_path / "r", [3.0, "boom", 1.0, 2.0, 1e6, 1.5, 2.5, None], mode=mode, left=False))
    save(run, kind, tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_trial_can_be_drawn(kind: str, tmp_path: Path) -> None:
    """One result is enough for each kind."""
    save(open_run(make_run(tmp_path / "r", [3.0])), kind, tmp_path / "p.svg")


def test_history_shows_the_best_so_far(tmp_path: Path) -> None:
    """The step line is the running minimum of the results, or the maximum of a maximised metric."""
    for mode, best in (("min", [3.0, 3.0, 1.0, 1.0, 1.0]), ("max", [3.0, 4.0, 4.0, 5.0, 5.0])):
        run = open_run(make_run(tmp_path / mode, [3.0, 4.0, 1.0, 5.0], mode=mode))
        lines = draw(run, "history").axes[0].get_lines()
        (step,) = [line for line in lines if line.get_label() == "best so far"]
        assert list(step.get_ydata()) == best


def test_outliers_are_cut_and_counted(tmp_path: Path) -> None:
    """One result a million times worse does not flatten the others, and the title says that it is outside."""
    run = open_run(make_run(tmp_path / "r", [3.0, 1.0, 2.0, 1e6, 1.5, 2.5]))
    axes = draw(run, "history").axes[0]
    assert axes.get_ylim()[1] < 100
    assert "1 worse ones lie outside" in axes.get_title(loc="left")


def test_without_outliers_nothing_is_cut(tmp_path: Path) -> None:
    """Results of one magnitude are all inside."""
    axes = draw(open_run(make_run(tmp_path / "r", [3.0, 1.0, 2.0, 4.0])), "history").axes[0]
    assert axes.get_ylim()[1] > 4.0
    assert "outside" not in axes.get_title(loc="left")


def test_the_best_configuration_is_on_top_in_the_parallel_plot(tmp_path: Path) -> None:
    """The highlighted line goes through the best trial's values, and below the axis where it has none."""
    run = open_run(make_run(tmp_path / "r", [3.0, 1.0, 2.0]))  # trial 1: lr 1e-2, adam, no momentum, 2 layers, "one"
    (line,) = [line for line in draw(run, "parallel").axes[0].get_lines() if line.get_linewidth() == 2.4]
    lr, optimizer, momentum, layers, mixed, metric = line.get_ydata()
    assert (lr, optimizer, layers, mixed, metric) == pytest.approx((0.75, 1.0, 1 / 3, 1 / 3, 1.0))
    assert momentum < 0


def test_true_and_one_are_different_choices_in_a_slice(tmp_path: Path) -> None:
    """Choices that compare equal stand at places of their own."""
    run = open_run(make_run(tmp_path / "r", [3.0, 1.0, 2.0, 4.0]))
    (axes,) = [axes for axes in draw(run, "slice").axes if axes.get_xlabel() == "mixed"]
    places = np.rint(np.asarray(axes.collections[0].get_offsets())[:, 0])
    assert list(places) == [0, 1, 2, 3]


def test_an_unknown_kind_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    """The error lists what there is."""
    with pytest.raises(UsageError, match="no plot of kind 'pie'; there are: overview, history"):
        draw(open_run(make_run(tmp_path / "r", [3.0])), "pie")


def test_a_killed_worker_is_not_shown_busy_after_its_death(tmp_path: Path) -> None:
    """Of a worker that is gone nothing is known after what it last wrote, so nothing is drawn there."""
    axes = draw(open_run(make_run(tmp_path / "r", [3.0, None], left=False)), "timeline").axes[0]
    (gone,) = [line for line in axes.get_lines() if line.get_label() == "gone"]
    bars = [path.get_extents().x1 for drawn in axes.collections for path in drawn.get_paths()]
    assert max(bars) <= gone.get_xdata()[0] + 1e-6


def test_pauses_between_runs_are_cut_out() -> None:
    """A search resumed the next day fills the axis; where the night was is marked."""
    clock = _Clock([(100_000.0, 100_020.0), (0.0, 10.0), (5.0, 20.0)])
    assert [clock(t) for t in (0.0, 10.0, 20.0, 100_000.0, 100_020.0)] == [0.0, 10.0, 20.0, 20.0, 40.0]
    assert clock.cuts == [20.0]
