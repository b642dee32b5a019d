"""Rows: exact round trips, checks of untrusted input, messages about wrong configurations."""

from __future__ import annotations

import math
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from aiohpo.errors import UsageError
from aiohpo.space.space import Categorical, Constant, Float, Int, Space
from tests.support.space_strategies import spaces, spaces_and_units

SPACE = Space(
    lr=Float(1e-5, 1e-1, log=True),
    optimizer=Categorical(["adam", "sgd", "rmsprop"]),
    momentum=Float(0, 0.99, when={"optimizer": ["sgd", "rmsprop"]}),
    nesterov=Categorical([True, False], when={"optimizer": "sgd"}),
    layers=Int(1, 9, step=2),
    dropout=Float(0, 0.5, step=0.1),
    seed=Constant(7),
    warmup=Constant("linear", when={"optimizer": "adam"}),
)
ADAM = {"lr": 0.01, "optimizer": "adam", "layers": 3, "dropout": 0.3}
SGD = {**ADAM, "optimizer": "sgd", "momentum": 0.9, "nesterov": True}


@given(spaces_and_units())
def test_round_trip_is_exact(drawn: tuple[Space, NDArray[np.float64]]) -> None:
    """A configuration survives packing, msgpack and unpacking unchanged, types included."""
    space, U = drawn
    for config in space.decode(U):
        row = space.pack(config)
        assert space.check_row(row)
        sent = msgpack.unpackb(msgpack.packb(row))
        assert space.check_row(sent)
        assert list(map(repr, space.unpack(sent).items())) == list(map(repr, config.items()))


@given(spaces_and_units())
def test_rows_are_native_values(drawn: tuple[Space, NDArray[np.float64]]) -> None:
    """A row holds what the native array holds, None for NaN."""
    space, U = drawn
    rows = [space.pack(config) for config in space.decode(U)]
    np.testing.assert_array_equal(np.array(rows, np.float64).reshape(len(rows), space.dim), space.decode_native(U))


def test_row_of_a_configuration() -> None:
    """A row has no entry for constants, indices for choices and None for what is inactive."""
    assert SPACE.pack(ADAM) == (0.01, 0, None, None, 3, 0.3)
    assert SPACE.pack(SGD) == (0.01, 1, 0.9, 0, 3, 0.3)
    assert SPACE.unpack((0.01, 0, None, None, 3, 0.3)) == {**ADAM, "seed": 7, "warmup": "linear"}
    assert SPACE.unpack([0.01, 1, 0.9, 0, 3, 0.3]) == {**SGD, "seed": 7}


@pytest.mark.parametrize(
    "row",
    [
        None, 3, "abcdef", {}, (), (0.01, 0, None, None, 3), (0.01, 0, None, None, 3, 0.3, 1),
        (1, 0, None, None, 3, 0.3), ("0.01", 0, None, None, 3, 0.3), (0.5, 0, None, None, 3, 0.3),
        (math.nan, 0, None, None, 3, 0.3), (math.inf, 0, None, None, 3, 0.3), (None, 0, None, None, 3, 0.3),
        (0.01, None, None, None, 3, 0.3), (0.01, 3, None, None, 3, 0.3), (0.01, -1, None, None, 3, 0.3),
        (0.01, False, None, None, 3, 0.3), (0.01, 0.0, None, None, 3, 0.3), (0.01, [0], None, None, 3, 0.3),
        (0.01, {}, None, None, 3, 0.3), (0.01, 10**400, None, None, 3, 0.3),
        (0.01, 0, 0.9, None, 3, 0.3), (0.01, 1, None, None, 3, 0.3), (0.01, 1, 0.9, None, 3, 0.3),
        (0.01, 2, 0.9, 0, 3, 0.3), (0.01, 0, None, None, 4, 0.3), (0.01, 0, None, None, 3, 0.31),
        (0.01, 0, None, None, 3.0, 0.3),
    ],
)  # fmt: skip
def test_bad_rows_are_told(row: Any) -> None:
    """Wrong length, type, range, step or activity makes a row invalid, without an exception."""
    assert SPACE.check_row(row) is False


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("ab", max_size=3) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", 1]), inner, max_size=2),
    max_leaves=4,
)


@given(spaces(), st.data())
def test_check_agrees_with_validation(space: Space, data: st.DataObject) -> None:
    """Whatever is put into a row, checking never raises, and what passes unpacks to a valid configuration."""
    good = space.pack(space.default())
    row: list[Any] = list(good)
    for c in data.draw(st.lists(st.integers(0, max(space.dim - 1, 0)), max_size=2)) if space.dim else []:
        row[c] = data.draw(JUNK | st.integers(0, 3) | st.sampled_from(good))
    if space.check_row(row):
        assert space.pack(space.validate(space.unpack(row))) == tuple(row)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({**ADAM, "learning": 1}, "unknown parameter 'learning'; the space has lr, optimizer, momentum"),
        ({"lr": 0.1, "optimiser": "sgd"}, "unknown parameter 'optimiser'; did you mean 'optimizer'?"),
        ({"lr": 0.01, "optimizer": "sgd"}, "lacks the parameters 'momentum', 'nesterov', 'layers', 'dropout'; give"),
        ({k: v for k, v in ADAM.items() if k != "lr"}, "lacks the parameter 'lr'; give every active one"),
        ({"optimizer": "sdg"}, "parameter 'optimizer': 'sdg' is not one of its choices: 'adam', 'sgd', 'rmsprop'"),
        ({**ADAM, "lr": 1.0}, "parameter 'lr': 1.0 is outside its range; give a number from 1e-05 to 0.1"),
        (
            {**ADAM, "momentum": 0.5},
            r"'momentum'=0.5 is inactive here \(it needs optimizer in \['rmsprop', 'sgd'\]\); leave it out",
        ),
        ({**SGD, "warmup": "linear"}, r"'warmup'='linear' is inactive here \(it needs optimizer='adam'\)"),
        ({**ADAM, "seed": 8}, "parameter 'seed': 8 given, but it is the constant 7; leave it out"),
        ([("lr", 0.1)], "a configuration is a dict of values by parameter, not"),
    ],
)
def test_wrong_configurations_are_explained(config: Any, message: str) -> None:
    """A configuration that is not in the space is refused with the name, the value and the remedy."""
    with pytest.raises(UsageError, match=message):
        SPACE.pack(config)
