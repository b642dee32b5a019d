"""Parameters: what definitions are accepted, how values become native, identity and repr."""

from __future__ import annotations

import copy
import json
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from aiohpo.errors import UsageError
from aiohpo.space.parameter import CATEGORICAL, CONTINUOUS, ORDERED, Parameter
from aiohpo.space.parameters import Categorical, Constant, Float, Int, Ordinal, from_dict
from tests.support.space_strategies import parameters


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Float(1, 0), r"Float\(1.0, 0.0\): low must be below high; swap them"),
        (lambda: Float(1, 1), r"use Constant\(1.0\)"),
        (lambda: Float(0, 1, log=True), "needs low > 0; use a small positive low, or log=False"),
        (lambda: Float(0, math.inf), "high must be a finite number, not inf"),
        (lambda: Float("0", 1), "low must be a finite number, not '0'"),  # type: ignore[arg-type]
        (lambda: Float(-1e308, 1e308), "too wide for double precision"),
        (lambda: Float(1, 1.000000000000001, step=1e-16), "too small for double precision.*leave step out"),
        (lambda: Float(0, 1, step=0.3), "use high=0.9 or high=1.2"),
        (lambda: Float(0, 1, step=2), "do not end at high; use high=2.0"),
        (lambda: Float(0, 1, step=-0.5), "step must be positive, not -0.5"),
        (lambda: Float(0, 1e10, step=1e-20), "makes more than 100000 levels; leave step out"),
        (lambda: Float(1, 2, step=0.5, log=True), "log and step cannot be combined"),
        (lambda: Float(0, 1, log=1), "log must be True or False, not 1"),  # type: ignore[arg-type]
        (lambda: Float(0, 1, default=2), "Float: default: 2.0 is outside its range"),
        (lambda: Int(3, 1), r"Int\(3, 1\): low must not be above high; swap them"),
        (lambda: Int(0.5, 3), "low must be a whole number, not 0.5"),  # type: ignore[arg-type]
        (lambda: Int(0, 9, log=True), "needs low >= 1; raise low, or use log=False"),
        (lambda: Int(1, 10, step=2), "use high=9 or high=11"),
        (lambda: Int(1, 2, step=5), "use high=6"),
        (lambda: Int(1, 9, step=0), "step must be at least 1, not 0"),
        (lambda: Int(1, 9, step=2, log=True), "log and step cannot be combined"),
        (lambda: Int(0, 2**50), r"within ±2\*\*40 .* use a Float and round it"),
        (lambda: Int(1, 9, default=10), "Int: default: 10 is outside its range"),
        (lambda: Categorical([]), "choices is empty; give at least one"),
        (lambda: Categorical("abc"), "choices must be a list .* not 'abc'"),
        (lambda: Categorical({"a", "b"}), "must be a list"),  # type: ignore[arg-type]
        (lambda: Categorical(["a", "b", "a"]), "'a' is among the choices twice"),
        (lambda: Categorical([1, 1.0]), "1.0 is among the choices twice"),
        (lambda: Categorical([print]), "give a name here"),  # type: ignore[list-item]
        (lambda: Ordinal(["lo", "hi"], default="mid"), "Ordinal: default: 'mid' is not one of its choices: 'lo', 'hi'"),
        (lambda: Constant([1]), r"Constant: \[1\] is not"),  # type: ignore[arg-type]
    ],
)
def test_bad_definitions_are_refused(make: Callable[[], Parameter], message: str) -> None:
    """A definition without meaning is refused with the value and the remedy."""
    with pytest.raises(UsageError, match=message):
        make()


@pytest.mark.parametrize(
    ("param", "kind", "levels"),
    [
        (Float(0, 1), CONTINUOUS, None),
        (Float(0, 1, step=0.25), ORDERED, 5),
        (Float(1, 1 + 1e-15), CONTINUOUS, 6),
        (Float(-1e-323, 1e-323), CONTINUOUS, 5),
        (Float(1e300, math.nextafter(1e300, math.inf), log=True), CONTINUOUS, 2),
        (Int(3, 3), ORDERED, 1),
        (Int(1, 9, step=2), ORDERED, 5),
        (Int(1, 2**40, log=True), ORDERED, 2**40),
        (Categorical([True, 1, None]), CATEGORICAL, 3),
        (Ordinal([1, 10, 100]), ORDERED, 3),
        (Constant("x"), CATEGORICAL, 1),
    ],
)
def test_kinds_and_levels(param: Parameter, kind: int, levels: int | None) -> None:
    """What has levels is ordered, and knows how many; so does a Float of few doubles."""
    assert (param.kind, param.levels) == (kind, levels)


@pytest.mark.parametrize(
    ("param", "value", "native"),
    [
        (Float(0, 1), 1, 1.0),
        (Float(0, 1), np.float32(0.5), 0.5),
        (Float(0, 1, step=0.1), 0.1 + 0.2, 0.3),
        (Float(1, 1.000000000000001, step=2e-16), 1.000000000000001, 1.000000000000001),
        (Int(1, 9), 3.0, 3),
        (Int(1, 9), np.int8(3), 3),
        (Categorical(["a", True, 1]), True, 1),
        (Categorical(["a", True, 1]), 1.0, 2),
        (Categorical(["a", None]), None, 1),
        (Ordinal(["a", "b"]), np.str_("b"), 1),
        (Constant(0.5), np.float64(0.5), 0),
    ],
)
def test_values_become_native(param: Parameter, value: Any, native: float) -> None:
    """Equal numbers of another type are accepted, and become Python's own."""
    result = param.native(value)
    assert result == native
    assert type(result) is type(native)


@pytest.mark.parametrize(
    ("param", "value", "message"),
    [
        (Float(0, 1), 1.5, "1.5 is outside its range; give a number from 0.0 to 1.0"),
        (Float(0, 1), "0.5", "must be a finite number, not '0.5'"),
        (Float(0, 1), True, "must be a finite number, not True"),
        (Float(0, 1), math.nan, "nan is outside"),
        (Float(0, 1), None, "must be a finite number, not None"),
        (Float(0, 1, step=0.25), 0.3, "0.3 is not a whole number of steps of 0.25 from 0.0; 0.25 is"),
        (Int(1, 9), 10, "10 is outside its range; give a whole number from 1 to 9"),
        (Int(1, 9), 2.5, "must be a whole number, not 2.5"),
        (Int(1, 9, step=4), 6, "6 is not a whole number of steps of 4 from 1; 5 is"),
        (Categorical(["a", 1]), True, "True is not one of its choices: 'a', 1"),
        (Categorical(["a", 1]), ["a"], r"\['a'\] is not one of its choices"),
        (Constant(1), True, "True given, but it is the constant 1; leave it out"),
    ],
)
def test_bad_values_are_refused(param: Parameter, value: Any, message: str) -> None:
    """A value that is not allowed is refused with what would be."""
    with pytest.raises(UsageError, match=message):
        param.native(value)


def test_steps_are_decimal() -> None:
    """The levels of a stepped Float are the numbers that a person would write, and end exactly at high."""
    assert Float(0, 0.5, step=0.1).table == (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
    assert Float(0, 1, step=1 / 3).table[-1] == 1.0


@given(parameters())
def test_definition_is_json(param: Parameter) -> None:
    """A parameter survives JSON, pickling and copying; equal definitions hash alike."""
    for twin in (
        from_dict(json.loads(json.dumps(param.to_dict()))),
        pickle.loads(pickle.dumps(param)),
        copy.deepcopy(param),
    ):
        assert twin == param
        assert hash(twin) == hash(param)


def test_identity_is_the_definition() -> None:
    """Bounds are compared as numbers, choices as JSON: True is not 1; kinds differ."""
    assert Float(0, 1) == Float(0.0, 1.0, log=False)
    assert Categorical([True, "a"]) != Categorical([1, "a"])
    assert Categorical(["a", "b"]) != Ordinal(["a", "b"])
    assert Float(0, 1, when={"a": {"y", "x"}}) == Float(0, 1, when={"a": ["x", "y"]})
    assert Float(0, 1) != "Float(0, 1)"


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ({"type": "flaot"}, "unknown type 'flaot'; known: categorical, constant, float, int, ordinal"),
        ({"low": 0, "high": 1}, "unknown type None"),
        ({"type": "int", "low": 0, "high": 1, "lg": True}, "unknown option 'lg' of int; known: default, high, log"),
        ({"type": "int", "low": 0}, "int lacks high"),
        ({"type": "float", "low": 0, "high": 1, "table": [0]}, "unknown option 'table'"),
    ],
)
def test_bad_dicts_are_refused(definition: dict[str, Any], message: str) -> None:
    """A definition read from elsewhere is checked, and the known names listed."""
    with pytest.raises(UsageError, match=message):
        from_dict(definition)


@pytest.mark.parametrize(
    ("param", "text"),
    [
        (Float(1e-5, 1, log=True), "Float(1e-05, 1.0, log=True)"),
        (Float(0, 1, default=0.5, when={"a": "x"}), "Float(0.0, 1.0, default=0.5, when={'a': 'x'})"),
        (Int(1, 9, step=2), "Int(1, 9, step=2)"),
        (Categorical(["a", None]), "Categorical(['a', None])"),
        (Ordinal(range(100)), "Ordinal([0, 1, 2, 3, 4, 5, … 94 more])"),
        (Constant(3, when={"a": [1, 2]}), "Constant(3, when={'a': [1, 2]})"),
    ],
)
def test_repr_is_the_call(param: Parameter, text: str) -> None:
    """The repr is the call without defaults, long lists shortened."""
    assert repr(param) == text
