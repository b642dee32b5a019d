"""Plotly's figures of pictures."""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from aiohpo import Categorical, Float, Int, Space
from aiohpo.errors import UsageError
from aiohpo.plots import timeline
from aiohpo.plots.drawing import KINDS, compute, save
from aiohpo.plots.subject import Subject
from aiohpo.plots.with_plotly import _png, to_figure
from aiohpo.storage.run import Run, open_run
from tests.support.run_directories import HOSTILE, make_climb, make_named_run

EVIL = "<img src=x onerror=alert(1)> $\\frac{1}{2}$ & </script>"


@pytest.fixture(scope="module")
def climb(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return open_run(make_climb(tmp_path_factory.mktemp("runs") / "r", [1, 3, 9, 1, 3, 1, 9]))


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Run:
    space = Space({EVIL: Float(1e-3, 1, log=True), HOSTILE: Int(0, 3), "c": Categorical([EVIL, None])})
    values = [*np.linspace(1.0, 9.0, 24).tolist(), "boom"]
    return open_run(make_named_run(tmp_path_factory.mktemp("runs") / EVIL[:4], space, EVIL, values))


def figure(run: Run, kind: str) -> Any:
    return to_figure(compute(Subject.of_run(run), kind))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("importance", "ensemble")])
def test_every_kind_becomes_a_figure_with_the_same_data(kind: str, climb: Run) -> None:
    """Each labelled line of the picture is a trace with its points, and titles and axes say the same."""
    picture = compute(Subject.of_run(climb), kind)
    made = to_figure(picture)
    for panel in picture.panels:
        for mark in panel.marks:
            if getattr(mark, "label", "") and hasattr(mark, "dash") and hasattr(mark, "y") and len(mark.y):
                name, y = mark.label.replace("\n", "<br>"), np.asarray(mark.y, dtype=float)
                assert any(np.array_equal(trace.y, y, equal_nan=True) for trace in made.data if trace.name == name)
    said = [made.layout.title.text or "", *(note.text for note in made.layout.annotations)]
    assert all(panel.title in said for panel in picture.panels if panel.title)
    assert picture.title in said


@pytest.mark.parametrize("kind", ["history", "slice", "contour", "importance"])
def test_no_name_becomes_markup(kind: str, evil: Run) -> None:
    """Neither tags nor formulas nor an end of the script get into the figure or its page."""
    made = figure(evil, kind)
    text = made.to_json()
    assert "onerror" in text
    assert "<img" not in text
    assert "\\u003cimg" not in text
    assert "$" not in text
    assert "</script>" not in text.lower()


def test_a_log_axis_has_its_range_as_powers_of_ten(evil: Run) -> None:
    """What matplotlib takes as it is, Plotly wants as logarithms."""
    axis = figure(evil, "contour").layout.xaxis
    assert axis.type == "log"
    assert list(axis.range) == pytest.approx([-3.0, 0.0])


def test_very_many_segments_are_an_image(climb: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The share of the time that they take, as a PNG with these pixels."""
    monkeypatch.setattr(timeline, "_MOST_BARS", 1)
    made = figure(climb, "timeline")
    assert made.layout.images[0].source.startswith("data:image/png;base64,")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 4), dtype=np.uint8)
    assert np.array_equal(np.round(matplotlib.image.imread(BytesIO(_png(pixels))) * 255), pixels)


def test_a_page_holds_all_that_it_needs(climb: Run, tmp_path: Path) -> None:
    """The library is in it, so that it can be read without a network."""
    save(compute(Subject.of_run(climb), "edf"), tmp_path / "p.html")
    page = (tmp_path / "p.html").read_text()
    assert "plotly.js v" in page
    assert '<script src="http' not in page


def test_without_plotly_the_error_says_what_to_install(climb: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra, by its name."""
    monkeypatch.setitem(sys.modules, "plotly.subplots", None)
    with pytest.raises(UsageError, match=r"interactive plots need Plotly: pip install 'aiohpo\[plotly\]'"):
        figure(climb, "edf")
