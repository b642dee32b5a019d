"""Pictures: what is drawn stands where it should."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from aiohpo import Categorical, Float, Int, Space
from aiohpo.errors import UsageError
from aiohpo.events.schema import Proposed
from aiohpo.plots import timeline
from aiohpo.plots.drawing import compute
from aiohpo.plots.subject import Subject
from aiohpo.storage.run import open_run
from tests.support.pictures import draw, save
from tests.support.run_directories import HOSTILE, SPACE, config, make_climb, make_named_run, make_run

LARGEST = sys.float_info.max
VALUES = [1.0, 2.0, 0.5, 4.0, 3.0, 0.1, 7.0, 8.0]
WITHOUT_STEPS = ["overview", "history", "parallel", "slice", "timeline"]
NEED_PAIRS_OR_MORE = ["contour", "rank", "edf"]  # test_pairs and test_edf say what is in them


@pytest.mark.parametrize("kind", WITHOUT_STEPS)
@pytest.mark.parametrize("mode", ["min", "max"])
def test_every_kind_draws_every_run(kind: str, mode: str, tmp_path: Path) -> None:
    """Failures, conditions, mixed choices, a constant, an outlier and an unfinished trial are no obstacle."""
    run = open_run(make_run(tmp_path / "r", [3.0, "boom", 1.0, 2.0, 1e6, 1.5, 2.5, None], mode=mode, left=False))
    save(run, kind, tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [(kind, "png") for kind in [*WITHOUT_STEPS, *NEED_PAIRS_OR_MORE, "curves", "schedule"]]
    + [("parallel", "svg"), ("overview", "svg")],
)
def test_any_name_can_be_drawn(kind: str, suffix: str, tmp_path: Path) -> None:
    """Formulas, control characters, letters without a glyph and 300 characters are text, and no reason to warn."""
    choices = [HOSTILE, "$a{$b$", "\\$", "$", "", None, 1.5, "W" * 5000]
    space = Space({HOSTILE: Float(0, 1), "$\\frac{$": Int(0, 3), "n" * 300: Categorical(choices), "_x": Int(0, 1)})
    save(open_run(make_named_run(tmp_path / "r", space, HOSTILE[:-1], VALUES)), kind, tmp_path / f"p.{suffix}")


@pytest.mark.parametrize("kind", [*WITHOUT_STEPS, *NEED_PAIRS_OR_MORE, "curves", "schedule"])
def test_any_numbers_can_be_drawn(kind: str, tmp_path: Path) -> None:
    """The largest and the smallest there are, as results and as bounds of parameters."""
    space = Space(
        wide=Float(-1e308, 1e307), log=Float(5e-324, 1e308, log=True), tiny=Float(1e-320, 5e-320), one=Int(1, 1)
    )
    extremes = {"min": [LARGEST, -LARGEST, 5e-324, 0.0], "max": [5e-324, 1e-320, 1e-300]}
    for mode, values in extremes.items():
        run = open_run(make_named_run(tmp_path / mode, space, "loss", values, mode))
        save(run, kind, tmp_path / "p.png")


@pytest.mark.parametrize("kind", ["slice", "parallel", "schedule"])
def test_many_parameters_and_many_choices_can_be_drawn(kind: str, tmp_path: Path) -> None:
    """Twelve choices of an axis are named; slices say how many parameters they leave out."""
    space = Space(
        c=Categorical([f"choice {i}" for i in range(200)]), **{f"parameter_{i}": Float(0, 1) for i in range(59)}
    )
    figure = draw(open_run(make_named_run(tmp_path / "r", space, "loss", VALUES)), kind)
    if kind == "slice":
        assert len(figure.axes[0].get_xticks()) == 12
        assert figure.get_suptitle() == "loss against the first 24 parameters (36 more are left out)"


def test_impossible_times_are_left_out(tmp_path: Path) -> None:
    """A peer whose clock says nonsense does not end the picture."""
    run = open_run(make_run(tmp_path / "r", [3.0, 1.0]))
    (worker,) = run.view.workers
    run.log.append_own(worker, run.log.count(worker) + 1, Proposed(99, 1e11, SPACE.pack(config(0))))
    assert len(timeline.drawable(Subject.of_run(run))) == 2
    draw(run, "timeline")


def test_a_style_that_typesets_text_with_tex_is_not_used(tmp_path: Path) -> None:
    """Names are no TeX, and there may be none installed."""
    import matplotlib

    with matplotlib.rc_context({"text.usetex": True, "text.parse_math": False}):
        save(open_run(make_run(tmp_path / "r", [3.0, 1.0])), "slice", tmp_path / "p.png")


@pytest.mark.parametrize("kind", WITHOUT_STEPS)
def test_a_single_trial_can_be_drawn(kind: str, tmp_path: Path) -> None:
    """One result is enough for each kind."""
    save(open_run(make_run(tmp_path / "r", [3.0])), kind, tmp_path / "p.svg")


@pytest.mark.parametrize("kind", [*WITHOUT_STEPS, "curves", "rungs"])
@pytest.mark.parametrize("tops", [[1, 1, 3], [1, 3, 9, 1]])
def test_every_kind_shows_paused_trials(kind: str, tops: list[int], tmp_path: Path) -> None:
    """Whether or not any of them is complete."""
    assert compute(Subject.of_run(open_run(make_climb(tmp_path / "r", tops))), kind).panels


def test_what_has_no_steps_has_no_curves_and_no_rungs(tmp_path: Path) -> None:
    """The error says what to do, or what to look at instead."""
    run = open_run(make_run(tmp_path / "r", [3.0]))
    with pytest.raises(UsageError, match=r"no trial in .* has a curve: call trial.report\(...\)"):
        draw(run, "curves")
    with pytest.raises(UsageError, match="its scheduler, fifo, does not pause trials at common steps"):
        draw(run, "rungs")
    with pytest.raises(UsageError, match=r"no trial in .* reported at a step, so there is no schedule"):
        draw(run, "schedule")


@pytest.mark.parametrize("kind", ["slice", "schedule", "curves", "history", "parallel"])
def test_what_is_whole_has_no_half_ticks(kind: str, tmp_path: Path) -> None:
    """Axes of steps, of trials and of whole parameters are marked at whole numbers."""
    space = Space(a=Int(1, 2), b=Int(1, 4, log=True), c=Int(3, 6))
    figure = draw(open_run(make_named_run(tmp_path / "r", space, "loss", [1.0, 2.0, 0.5])), kind)
    figure.canvas.draw()
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        if axis.get_label_text() in ("a", "b", "c", "step", "trials", "trial number"):
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis.get_majorticklocs() if low <= tick <= high]
            assert ticks == list(map(round, ticks)), axis.get_label_text()
    if kind == "parallel":
        named = {text.get_text() for text in figure.axes[0].texts}
        assert {"1", "2", "4", "3", "6"} <= named
        assert not {"1.5", "2.5", "4.5"} & named


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


def test_the_best_curve_is_on_top_and_all_are_there(tmp_path: Path) -> None:
    """Every report is drawn; the trials are grouped by how far they got."""
    axes = draw(open_run(make_climb(tmp_path / "r", [1, 3, 9, 1])), "curves").axes[0]
    (best,) = [line for line in axes.get_lines() if line.get_label() == "best: trial 2"]
    assert list(best.get_xdata()) == list(range(1, 10))
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["to step 1 (2)", "to step 3 (1)", "to the end, 9 (1)", "best: trial 2"]
    drawn = sum(len(path) for lines in axes.collections for path in lines.get_paths())
    assert drawn + len(best.get_xdata()) == 1 + 3 + 9 + 1
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "3", "9"]


def test_rungs_are_counted_and_promotions_joined(tmp_path: Path) -> None:
    """A bar for each rung with its number of trials; a line through the values of each promoted trial."""
    bars, climbs = draw(open_run(make_climb(tmp_path / "r", [1, 3, 9, 1])), "rungs").axes
    assert [bar.get_height() for bar in bars.patches] == [4, 2, 1]
    (best,) = [line for line in climbs.get_lines() if line.get_linewidth() == 2.2]
    assert list(best.get_ydata()) == [2.01, 2.03, 2.09]  # trial 2: see make_climb
    assert len(climbs.collections[0].get_paths()) == 1


def test_rungs_have_a_column_for_each_bracket(tmp_path: Path) -> None:
    """Trials that begin to be compared at a higher rung stand by themselves, and not below it."""
    figure = draw(open_run(make_climb(tmp_path / "r", [1, 3, 9, 3], first=[1, 1, 1, 3])), "rungs")
    heights = [[bar.get_height() for bar in axes.patches] for axes in figure.axes if axes.patches]
    assert heights == [[3, 2, 1], [0, 1, 0]]
    assert all(axes.get_ylim()[1] > 3 for axes in figure.axes if axes.patches)  # no bar is cut off


def test_the_timeline_shows_how_far_segments_went_and_who_went_on(tmp_path: Path) -> None:
    """Shades by rung, and a line from each pause to the worker that resumed the trial."""
    axes = draw(open_run(make_climb(tmp_path / "r", [1, 3, 9])), "timeline").axes[0]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["to step 1", "to step 3", "to the end", "went on\nelsewhere (3)", "left"]


def test_an_unknown_kind_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    """The error lists what there is."""
    with pytest.raises(UsageError, match="no plot of kind 'pie'; the kinds are: overview, history"):
        draw(open_run(make_run(tmp_path / "r", [3.0])), "pie")


def test_a_killed_worker_is_not_shown_busy_after_its_death(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a dead worker nothing is known after what it last wrote, so nothing is drawn there."""
    monkeypatch.setattr("platform.node", lambda: "host")
    axes = draw(open_run(make_run(tmp_path / "r", [3.0, None], left=False)), "timeline").axes[0]
    (dead,) = [line for line in axes.get_lines() if line.get_label() == "dead"]
    bars = [path.get_extents().x1 for drawn in axes.collections for path in drawn.get_paths()]
    assert max(bars) <= dead.get_xdata()[0] + 1e-6


def test_of_very_many_curves_some_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each group those from the best to the worst at equal distances; the title says how many."""
    run = open_run(make_climb(tmp_path / "r", [1, 1, 1, 1, 1, 3, 3, 9]))
    monkeypatch.setattr("aiohpo.plots.curves._MOST", 3)
    axes = draw(run, "curves").axes[0]
    drawn = [sorted({round(float(v[-1][1]), 2) for v in c.get_segments()}) for c in axes.collections]
    assert drawn[0] == [0.01, 2.01, 4.01]
    assert axes.get_title(loc="left").startswith("8 curves (6 drawn), 1 of complete trials")
