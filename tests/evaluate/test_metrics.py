"""Returned and reported values as metrics."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from aiohpo.errors import UsageError
from aiohpo.evaluate.metrics import MAX_METRICS, as_finite, as_mapping, as_metrics, as_number, describe_briefly


@pytest.mark.parametrize(
    "value",
    [0.5, np.float32(0.5), np.float64(0.5), Decimal("0.5"), Fraction(1, 2), np.array(0.5), np.array([[0.5]])],
)
def test_anything_that_is_one_number_counts(value: Any) -> None:
    """Floats, numpy scalars, decimals, fractions and arrays of one element are numbers."""
    number = as_number(value, "loss")
    assert number == 0.5
    assert type(number) is float


@pytest.mark.parametrize(("value", "expected"), [(3, 3.0), (True, 1.0), (np.int64(3), 3.0), (np.bool_(False), 0.0)])
def test_whole_numbers_and_flags_become_floats(value: Any, expected: float) -> None:
    """Whole numbers and truth values are stored as floats."""
    assert as_number(value, "loss") == expected


@pytest.mark.parametrize(
    "value", ["0.5", b"0.5", None, [0.5], (0.5,), {}, 1j, object(), np.array([1.0, 2.0]), np.array(["a"]), 10**400]
)
def test_what_is_no_number_is_named(value: Any) -> None:
    """The error names the metric and the type of what was given."""
    with pytest.raises(UsageError, match=rf"metric 'loss' is {type(value).__name__}"):
        as_number(value, "loss")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -np.inf, Decimal("NaN")])
def test_the_objective_must_be_finite(value: Any) -> None:
    """NaN and infinities are numbers, but no objective."""
    as_number(value, "loss")
    with pytest.raises(UsageError, match="finite"):
        as_finite(value, "loss")


def test_a_returned_number_is_the_metric() -> None:
    """A bare number takes the name of the study's metric."""
    assert as_metrics(2, "accuracy") == {"accuracy": 2.0}


def test_a_returned_dict_is_metrics() -> None:
    """A dict is taken as it is; other metrics than the objective may be NaN."""
    metrics = as_metrics({"loss": np.float32(1.5), "extra": float("nan")}, "loss")
    assert metrics["loss"] == 1.5
    assert metrics["extra"] != metrics["extra"]


def test_returning_nothing_is_no_metrics() -> None:
    """None is for objectives that have reported."""
    assert as_metrics(None, "loss") == {}


@pytest.mark.parametrize("value", ["x", [1], {"loss": float("nan")}, {"loss": "x"}, {1: 2.0}, float("nan")])
def test_a_bad_return_value_says_what_to_return(value: Any) -> None:
    """The error has the remedy."""
    with pytest.raises(UsageError, match="return a number, a dict of numbers with 'loss'"):
        as_metrics(value, "loss")


def test_metrics_are_bounded() -> None:
    """Too many metrics and overlong names are errors, because every peer stores them."""
    with pytest.raises(UsageError, match="at most"):
        as_mapping({str(i): 0.0 for i in range(MAX_METRICS + 1)})
    with pytest.raises(UsageError, match="metric name"):
        as_mapping({"x" * 1000: 0.0})


def test_names_are_bounded_together() -> None:
    """Metrics whose names would not fit an event are refused with the remedy, and so are names that are no text."""
    long = {f"{n:03}" + "é" * 125: 1.0 for n in range(256)}
    with pytest.raises(UsageError, match=r"names of 256 metrics take \d+ bytes with their values: at most 61440"):
        as_mapping(long)
    assert len(as_mapping(dict(list(long.items())[:200]))) == 200
    with pytest.raises(UsageError, match=r"metric name '\\ud800' contains a lone surrogate"):
        as_mapping({"\ud800": 1.0})


def test_a_description_is_short_whatever_the_value() -> None:
    """Huge and unprintable values are described in a line."""

    class Unprintable:
        def __repr__(self) -> str:
            raise RuntimeError

    assert len(describe_briefly("x" * 1_000_000)) < 100
    assert describe_briefly(Unprintable()).startswith("Unprintable")
