"""Columns of numbers in JSON."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from aiohpo.web.data.columns import decode, encode, encode_shortly, to_json


@pytest.mark.parametrize("kind", ["f64", "f32", "i32", "u8"])
def test_a_column_comes_back_as_it_was(kind: str) -> None:
    """Little-endian, whatever the machine; numbers outside become the nearest that there is."""
    np.testing.assert_array_equal(decode(encode([0, 1, 200], kind)), [0, 1, 200])
    assert encode([1], kind).startswith(f"{kind}:AQ") or kind.startswith("f")
    if kind == "u8":
        assert decode(encode([-5, 1000], kind)).tolist() == [0, 255]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0.1, math.nan], "f32"),
        ([1e-300], "f64"),
        ([2.0**24], "f32"),
        ([2.0**24 + 1], "f64"),
        ([0.0], "f32"),
        ([], "f32"),
    ],
)
def test_floats_are_short_where_that_keeps_seven_digits(values: list[float], kind: str) -> None:
    """And long where it would not, or where whole numbers would change."""
    column = encode_shortly(np.array(values))
    assert column.partition(":")[0] == kind
    np.testing.assert_allclose(decode(column), values, rtol=1e-7)


def test_json_has_no_nan() -> None:
    """A number that is none becomes null, wherever it stands; everything is ASCII."""
    told = to_json({"a": [math.nan, 1.5, {"b": -math.inf}], "c": "\u2028é"})
    assert told.isascii()
    assert json.loads(told) == {"a": [None, 1.5, {"b": None}], "c": "\u2028é"}
