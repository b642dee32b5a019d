"""The picture of an ensemble."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiohpo.errors import UsageError
from aiohpo.storage.run import open_run
from tests.support.ensemble_runs import make_predictions
from tests.support.pictures import draw
from tests.support.run_directories import make_run


def test_classes(tmp_path: Path) -> None:
    """The metric by size on both sets of rows, weights that sum to one, reliability, and right beside wrong."""
    figure = draw(open_run(make_predictions(tmp_path / "r")), "ensemble")
    sizes, weights, reliability, histogram = figure.axes
    labels = [line.get_label() for line in sizes.lines]
    assert labels == ["ensemble, test", "best single model, test", "ensemble, valid", "best single model, valid"]
    assert sum(bar.get_width() for bar in weights.patches) == pytest.approx(1.0)
    assert "best single model" in reliability.get_legend().texts[0].get_text()
    assert sum(bar.get_height() for bar in histogram.patches) == pytest.approx(80)


def test_numbers(tmp_path: Path) -> None:
    """Instead of reliability there is what intervals hold."""
    figure = draw(open_run(make_predictions(tmp_path / "r", "regression")), "ensemble")
    assert figure.axes[0].get_ylabel() == "rmse"
    assert figure.axes[2].get_xlabel() == "nominal coverage of an interval, test"
    assert figure.axes[3].get_xlabel() == "uncertainty as a standard deviation, test"


def test_a_run_without_predictions_says_what_to_do(tmp_path: Path) -> None:
    """There is nothing to draw."""
    with pytest.raises(UsageError, match=r"call trial\.predictions"):
        draw(open_run(make_run(tmp_path / "r", [1.0])), "ensemble")
