"""The empirical distribution of results."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiohpo.errors import UsageError
from aiohpo.plots.drawing import compute
from aiohpo.plots.picture import Line
from aiohpo.plots.subject import Subject
from aiohpo.storage.run import open_run
from tests.support.run_directories import make_run


def subject(path: Path, values: list[float], mode: str = "min") -> Subject:
    return Subject.of_run(open_run(make_run(path, values, mode=mode)))


def test_a_curve_says_which_share_is_at_least_as_good(tmp_path: Path) -> None:
    """It rises from the best to the worst, whichever of small and large is good."""
    for mode, x in (("min", [1.0, 2.0, 4.0, 4.0]), ("max", [4.0, 2.0, 1.0, 1.0])):
        (panel,) = compute(subject(tmp_path / mode, [2.0, 4.0, 1.0], mode), "edf").panels
        (line,) = panel.marks
        assert isinstance(line, Line)
        assert list(line.x) == x
        assert list(line.y) == pytest.approx([1 / 3, 2 / 3, 1.0, 1.0])


def test_several_runs_are_compared_if_they_search_the_same(tmp_path: Path) -> None:
    """A curve for each, in one unit; another goal, and any other kind of picture, is refused."""
    one, small = subject(tmp_path / "a", [2.0, 4.0]), subject(tmp_path / "b", [3e-250])
    (panel,) = compute(one, "edf", others=[small]).panels
    assert [list(line.x) for line in panel.marks if isinstance(line, Line)] == [[2.0, 4.0, 4.0], [3e-250, 3e-250]]
    labels = [line.label for line in panel.marks if isinstance(line, Line)]
    assert [label[-6:] for label in labels] == ["/a (2)", "/b (1)"]
    with pytest.raises(UsageError, match=r"the min of 'loss' and .* the max of 'loss', which cannot be compared"):
        compute(one, "edf", others=[subject(tmp_path / "c", [1.0], "max")])
    with pytest.raises(UsageError, match="a plot of kind 'slice' shows one run; several are compared by kind 'edf'"):
        compute(one, "slice", others=[small])
