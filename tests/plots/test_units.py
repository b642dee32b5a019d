"""The units in which numbers are drawn."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from aiohpo import Float, Int, Space
from aiohpo.plots.units import Quantity, metric_of
from aiohpo.storage.run import open_run
from tests.support.run_directories import make_named_run

LARGEST = sys.float_info.max


@pytest.mark.parametrize(
    ("values", "exponent"),
    [([], 0), ([0.0], 0), ([1e-100, -1e100], 0), ([LARGEST, 1.0], 308), ([-1e250], 250), ([5e-324, 0.0], -324)],
)
def test_only_extreme_numbers_have_another_unit_than_one(values: list[float], exponent: int) -> None:
    """The power of ten of the largest, whatever its sign."""
    quantity = Quantity.of("loss", values)
    assert quantity.exponent == exponent
    assert all(abs(quantity.drawn(value)) < 10 or not exponent for value in values)
    assert quantity.label == (f"loss / 1e{exponent}" if exponent else "loss")


def test_words_are_in_the_own_unit_of_a_number() -> None:
    """What is drawn as 1.8 reads 1.8e+308."""
    quantity = Quantity.of("loss", [LARGEST])
    assert quantity.words(quantity.drawn(LARGEST)) == "1.79769e+308"
    assert quantity.words(0.0) == "0"
    assert Quantity("loss").words(-0.5) == "-0.5"


def test_a_logarithmic_range_that_is_too_wide_is_drawn_as_its_logarithm() -> None:
    """And others are not."""
    wide = Quantity.of_parameter("$x", Float(1e-300, 1e300, log=True))
    assert (wide.drawn(1e-300), wide.label) == (pytest.approx(-300), "log10 of $x")
    assert Quantity.of_parameter("x", Float(1e-5, 1.0, log=True)).drawn(1e-5) == 1e-5
    assert Quantity.of_parameter("x", Float(-1e308, 1e307)).exponent == 308
    assert Quantity.of_parameter("x", Int(1, 2**40, log=True)).drawn(3) == 3.0


def test_results_and_curves_share_the_unit_of_the_metric(tmp_path: Path) -> None:
    """Trials without a result stay as they are."""
    run = open_run(make_named_run(tmp_path / "r", Space(x=Float(0, 1)), "loss", [1e308, "boom"]))
    metric, (good, failed) = metric_of("loss", list(run.records()))
    assert (metric.exponent, good.value, good.curve, failed.value) == (308, 1.0, {1: 0.5, 2: 1.0}, None)
