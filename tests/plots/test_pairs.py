"""Contour and rank plots, and which parameters they show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aiohpo import Categorical, Float, Int, Space
from aiohpo.errors import UsageError
from aiohpo.plots.drawing import compute
from aiohpo.plots.picture import Dots, Picture, Surface
from aiohpo.plots.subject import Subject
from aiohpo.storage.run import open_run
from tests.support.run_directories import make_named_run

SPACE = Space(
    junk=Float(0, 1), lr=Float(1e-4, 1.0, log=True), layers=Int(1, 8), kind=Categorical(["a", "b"]), one=Int(1, 1)
)


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    configs = SPACE.decode(SPACE.sample(np.random.default_rng(0), 60))  # as make_named_run draws them
    values = [float(abs(np.log10(c["lr"]) + 2) + 0.2 * c["layers"] + (c["kind"] == "b")) for c in configs]
    return Subject.of_run(open_run(make_named_run(tmp_path_factory.mktemp("runs") / "r", SPACE, "loss", values)))


def labels(picture: Picture) -> set[tuple[str, str]]:
    return {(panel.x.label, panel.y.label) for panel in picture.panels}


def test_those_that_matter_most_are_shown_unless_told_otherwise(subject: Subject) -> None:
    """All pairs of three parameters, or of the given ones in their order."""
    shown = {name for pair in labels(compute(subject, "rank")) for name in pair}
    assert shown == {"lr", "layers", "kind"}
    assert labels(compute(subject, "contour", ["junk", "lr"])) == {("junk", "lr")}
    assert len(compute(subject, "rank", ["junk", "lr", "layers", "kind"]).panels) == 6


def test_the_surface_follows_the_trials_and_ends_with_them(subject: Subject) -> None:
    """It is lowest where they are best, on the scale of the axis; a choice is a row of cells of its own."""
    (panel,) = compute(subject, "contour", ["lr", "layers"]).panels
    (surface,) = (mark for mark in panel.marks if isinstance(mark, Surface))
    row, column = np.unravel_index(np.nanargmin(surface.z), surface.z.shape)
    assert 2e-3 < surface.x[column] < 5e-2
    assert surface.y[row] < 3
    assert surface.contours
    assert panel.x.limits == (1e-4, 1.0)
    (panel,) = compute(subject, "contour", ["lr", "kind"]).panels
    (surface,) = (mark for mark in panel.marks if isinstance(mark, Surface))
    assert not surface.contours
    assert surface.z.shape == (2, 40)
    assert np.nanmean(surface.z[1] - surface.z[0]) > 0.3
    compute(subject, "contour", ["one", "lr"])  # a parameter with a single value


def test_ranks_count_from_the_best_and_the_best_are_on_top(subject: Subject) -> None:
    """Each trial has its rank as colour and says it where it is pointed at."""
    (panel,) = compute(subject, "rank", ["lr", "layers"]).panels
    (dots,) = (mark for mark in panel.marks if isinstance(mark, Dots))
    assert list(dots.values) == list(range(60, 0, -1))
    assert dots.hover is not None
    assert dots.hover()[-1].startswith("rank 1 of 60\ntrial ")


def test_two_choices_are_spread_over_an_area(tmp_path: Path) -> None:
    """Trials with the same two choices lie around their cell, not along a diagonal."""
    space = Space(kind=Categorical(["a", "b"]), norm=Categorical(["c", "d"]))
    run = open_run(make_named_run(tmp_path / "r", space, "loss", [float(i) for i in range(40)]))
    (panel,) = compute(Subject.of_run(run), "rank", ["kind", "norm"]).panels
    (dots,) = (mark for mark in panel.marks if isinstance(mark, Dots))
    apart = [np.asarray(at, float) - np.round(np.asarray(at, float)) for at in (dots.x, dots.y)]
    assert abs(np.corrcoef(*apart)[0, 1]) < 0.5


def test_a_pair_needs_two_parameters_that_there_are(subject: Subject, tmp_path: Path) -> None:
    """Unknown names, one name and a space with one parameter are refused; so are parameters of another kind."""
    with pytest.raises(UsageError, match="there is no parameter 'x' to plot; there are: junk, kind, layers, lr, one"):
        compute(subject, "contour", ["x", "lr"])
    with pytest.raises(UsageError, match="give from 2 to 5 different parameters, not 'lr', 'lr'"):
        compute(subject, "rank", ["lr", "lr"])
    with pytest.raises(UsageError, match="a plot of kind 'edf' takes no parameters"):
        compute(subject, "edf", ["lr"])
    single = Subject.of_run(open_run(make_named_run(tmp_path / "r", Space(x=Float(0, 1)), "loss", [1.0])))
    with pytest.raises(UsageError, match="of pairs of parameters, and only 'x' is searched"):
        compute(single, "rank")
