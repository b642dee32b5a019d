"""The timeline of workers with slots; what it shows of other runs is in test_drawing."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

import aiohpo
from aiohpo.events.log import Log
from aiohpo.mesh.effects import Persist
from aiohpo.peer.recorder import Recorder
from aiohpo.plots import timeline
from aiohpo.plots.subject import Subject
from aiohpo.plots.timeline import arrange
from aiohpo.plugin.objective import Objective
from aiohpo.storage.run import Run, open_run
from aiohpo.storage.run_directory import RunDirectory
from aiohpo.view.view import View
from tests.support.pictures import draw
from tests.support.run_directories import BEGAN

SPACE = aiohpo.Space(x=aiohpo.Float(0, 1))


def make_slots(path: Path, slots: list[int]) -> Run:
    """Make a run directory with workers "0", "1", … of so many slots: each of them ran a trial of half a second to a
    pause in every slot, and then went on with those of the worker before it, in the opposite order."""
    study = aiohpo.Study(None, SPACE, max_steps=3, searcher="random", scheduler="asha", directory=path)
    directory = RunDirectory(path, study._definition.as_dict())
    view, log = View(SPACE, Objective("loss", "min"), 3), Log()
    workers = [Recorder(str(i), view, log, directory.id) for i in range(len(slots))]
    for rank, (worker, many) in enumerate(zip(workers, slots, strict=True)):
        worker.begin(BEGAN, "host", os.getpid(), rank, many)
    paused = []
    for worker, many in zip(workers, slots, strict=True):
        mine = [worker.propose(BEGAN + i / 10_000, (i / many,), 1) for i in range(many)]
        for segment in mine:
            worker.report(segment, 1, 1.0, {})
            worker.end(segment, "paused", step=1, seconds=0.5, value=None)
        paused.append(mine)
    for i, (worker, many) in enumerate(zip(workers, slots, strict=True)):
        others = list(reversed(paused[i - 1]))[:many]
        resumed = [worker.record_claim(BEGAN + 1 + k / 10_000, segment.row, None) for k, segment in enumerate(others)]
        for segment in resumed:
            worker.end(segment, "finished", step=3, seconds=0.5, value=1.0)
        worker.record_leaving(BEGAN + 2, "done")
        journal = directory.journal(worker.me)
        journal.append([effect.batch for effect in worker.drain() if isinstance(effect, Persist)])
        journal.close()
    return open_run(path)


def heights(axes: Axes) -> list[float]:
    """The middles of all bars."""
    boxes = [path.get_extents() for drawn in axes.collections for path in drawn.get_paths()]
    return sorted({round(float(box.y0 + box.y1) / 2, 6) for box in boxes if box.width > 0})


def test_each_slot_has_a_lane(tmp_path: Path) -> None:
    """Those of a worker stand together, with its name in their middle."""
    axes = draw(make_slots(tmp_path / "r", [3, 2]), "timeline").axes[0]
    assert heights(axes) == [0, 1, 2, 4, 5]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["0 #0", "1 #1"]
    assert list(axes.get_yticks()) == [1.0, 4.5]
    assert axes.get_title(loc="left").startswith("2 workers with 5 slots, ")


def test_the_time_of_all_slots_is_counted(tmp_path: Path) -> None:
    """The part of the time that was busy is that of all slots."""
    run = make_slots(tmp_path / "r", [4])
    arranged = arrange(Subject.of_run(run))
    assert arranged is not None
    assert arranged.lanes == {"0": 4}
    busy = sum(bar.seconds for bar in arranged.bars) / (4 * 2.0)
    assert (
        draw(run, "timeline").axes[0].get_title(loc="left") == f"1 worker with 4 slots, {busy:.0%} of their time busy"
    )


def test_moves_lead_from_lane_to_lane(tmp_path: Path) -> None:
    """From the lane in which a trial paused to the one in which another worker went on with it."""
    run = make_slots(tmp_path / "r", [3, 3])
    arranged = arrange(Subject.of_run(run))
    assert arranged is not None
    (moves,) = [
        line for line in draw(run, "timeline").axes[0].get_lines() if str(line.get_label()).startswith("went on")
    ]
    y = np.asarray(moves.get_ydata()).reshape(-1, 3)
    ends = {tuple(row) for row in y[:, :2].tolist()}
    assert ends == {(0, 6), (1, 5), (2, 4), (4, 2), (5, 1), (6, 0)}
    for bar in arranged.bars:
        assert arranged.height_of(bar) in (0, 1, 2, 4, 5, 6)


@pytest.mark.parametrize("slots", [[1] * 70, [16] * 10, [300]], ids=["workers", "both", "slots"])
@pytest.mark.parametrize("kind", ["timeline", "overview"])
def test_many_lanes_take_a_picture_of_bounded_size(slots: list[int], kind: str, tmp_path: Path) -> None:
    """A few hundred lanes are drawn in a picture that fits a page; workers are named where there is room."""
    figure = draw(make_slots(tmp_path / "r", slots), kind)
    width, height = figure.get_size_inches()
    assert (width, height <= 13) == (9, True)
    axes = figure.axes[-1]
    assert len(heights(axes)) == sum(slots)
    named = [text.get_text() for text in axes.get_yticklabels()]
    assert len([name for name in named if " #" in name]) == (len(slots) if len(slots) < 70 else 0)


def test_very_many_segments_are_drawn_as_the_share_of_time_they_take(tmp_path: Path, monkeypatch) -> None:
    """One picture replaces the bars; its names and colours are the same, and so is where something ran."""
    run = make_slots(tmp_path / "r", [3, 2])
    bars = draw(run, "timeline").axes[0]
    monkeypatch.setattr(timeline, "_MOST_BARS", 1)
    shaded = draw(run, "timeline").axes[0]
    assert not any(isinstance(drawn, PolyCollection) for drawn in shaded.collections)
    [image] = shaded.get_images()
    opaque = np.asarray(image.get_array())[..., 3]
    covered = opaque.mean(axis=1)
    assert (covered > 0.2).tolist() == [True, True, True, False, True, True]
    legends = [[text.get_text() for text in axes.get_legend().get_texts()] for axes in (bars, shaded)]
    assert legends[0] == legends[1]
    assert shaded.get_ylim() == bars.get_ylim()
    assert shaded.get_xlim() == bars.get_xlim()
