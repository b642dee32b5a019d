"""Scalars: what is accepted, how it is converted and told apart."""

from __future__ import annotations

import enum
import math
from typing import Any

import numpy as np
import pytest

from aiohpo.errors import UsageError
from aiohpo.space.scalars import (
    canonical_when,
    checked_flag,
    checked_number,
    double_at,
    double_rank,
    integer,
    plain_scalar,
    scalar,
    scalar_key,
)


def test_numpy_scalars_become_plain() -> None:
    """Numbers and strings from arrays are converted, everything else is left as it is."""
    assert type(plain_scalar(np.float32(0.5))) is float
    assert type(plain_scalar(np.int64(3))) is int
    assert type(plain_scalar(np.bool_(True))) is bool
    assert type(plain_scalar(np.str_("a"))) is str
    assert plain_scalar("x") == "x"


class Optimizer(str, enum.Enum):  # noqa: UP042 - str() of it is not its value, as of a StrEnum
    ADAM = "adam"


class Level(enum.IntEnum):
    HIGH = 2


class Share(float, enum.Enum):
    HALF = 0.5


@pytest.mark.parametrize(("given", "value"), [(Optimizer.ADAM, "adam"), (Level.HIGH, 2), (Share.HALF, 0.5)])
def test_enum_members_become_the_values_that_they_are(given: Any, value: Any) -> None:
    """A member that is a str, int or float is converted; other processes and files would make that of it anyway."""
    for plain in (plain_scalar(given), scalar(given, "here"), canonical_when({"x": [given]}, "here")["x"][0]):
        assert type(plain) is type(value)
        assert plain == value


def test_true_is_not_one() -> None:
    """Keys keep bools apart from numbers, and ints together with equal floats."""
    assert scalar_key(True) != scalar_key(1)
    assert scalar_key(1) == scalar_key(1.0)
    assert len({scalar_key(v) for v in (True, False, 0, 1, None, "")}) == 6


@pytest.mark.parametrize("value", [None, True, 3, 0.5, "adam", np.float64(2)])
def test_json_scalars_pass(value: Any) -> None:
    """What JSON can write is a scalar."""
    assert scalar(value, "here") == value


@pytest.mark.parametrize("value", [math.nan, math.inf, b"x", [1], {"a": 1}, object, 1j, np.array([1, 2])])
def test_other_objects_are_refused(value: Any) -> None:
    """What JSON cannot write is refused, with the place and the remedy."""
    with pytest.raises(UsageError, match=r"^here: .* give a name here and look the object up"):
        scalar(value, "here")


@pytest.mark.parametrize("value", [math.nan, -math.inf, True, "1", None, 10**400])
def test_number_is_finite(value: Any) -> None:
    """A number is a finite int or float, and not a bool."""
    with pytest.raises(UsageError, match="low must be a finite number, not"):
        checked_number(value, "low")


def test_whole_floats_are_integers() -> None:
    """3.0 counts as 3, since many data files write integers so; 3.5 and True do not count."""
    assert integer(3.0, "low") == 3
    assert type(integer(np.int32(3), "low")) is int
    for value in (3.5, True, "3", math.inf, math.nan):
        with pytest.raises(UsageError, match="low must be a whole number, not"):
            integer(value, "low")


def test_flags_are_bools() -> None:
    """Truthy values are no flags."""
    assert checked_flag(np.bool_(True), "log") is True
    with pytest.raises(UsageError, match="log must be True or False, not 1"):
        checked_flag(1, "log")


@pytest.mark.parametrize("value", [0.0, 5e-324, -5e-324, 1.0, -1.5, 1e308])
def test_doubles_are_counted(value: float) -> None:
    """The next double has the next rank, on both sides of zero, and a rank leads back to its double."""
    assert double_at(double_rank(value)) == value
    assert double_at(double_rank(value) + 1) == math.nextafter(value, math.inf)
    assert double_rank(-0.0) == double_rank(0.0) == 0


def test_conditions_are_canonical() -> None:
    """Neither the order of names and values nor repetition matters; one value is a list of one."""
    when = canonical_when({"b": {"y", "x"}, "a": 1, "c": [2, True, None, "z", 2, 0.5]}, "here")
    assert list(when.items()) == [("a", (1,)), ("b", ("x", "y")), ("c", (None, True, 0.5, 2, "z"))]
    assert canonical_when(None, "here") == {}
    assert canonical_when({"n": range(2, 5)}, "here") == {"n": (2, 3, 4)}


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("optimizer", "must be a dict such as"),
        ({"a": []}, r"when\['a'\] is empty, so it could never be active"),
        ({1: "a"}, "has the key 1; keys are parameter names"),
        ({"a": [object]}, r"when\['a'\]: <class 'object'> is not a str"),
    ],
)
def test_bad_conditions_are_refused(when: Any, message: str) -> None:
    """A condition that is no mapping of names to values is refused."""
    with pytest.raises(UsageError, match=message):
        canonical_when(when, "here")
