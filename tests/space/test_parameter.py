"""What every kind of parameter says of itself."""

from __future__ import annotations

import numpy as np
import pytest

from aiohpo.space.parameter import Parameter
from aiohpo.space.parameters import Categorical, Constant, Float, Int, Ordinal

EVERY_KIND = [
    Float(-1, 3),
    Float(1e-3, 10, log=True),
    Float(0, 1, step=0.1),
    Int(3, 9),
    Int(2, 64, log=True),
    Int(0, 9, step=3),
    Categorical(["a", True, None]),
    Ordinal(["low", "high"], default="low"),
    Constant("c"),
]


@pytest.mark.parametrize("parameter", EVERY_KIND, ids=repr)
def test_a_kind_says_by_itself_what_others_ask_of_it(parameter: Parameter) -> None:
    """Its scale, type and levels agree: the ends are values, and values and natives convert there and back."""
    scale = parameter.scale
    ends = np.array([scale.first, scale.last], np.float64)
    natives = [parameter.native_type(native) for native in ends]
    assert [parameter.native(value) for value in parameter.values(ends)] == natives
    assert parameter.allowed is None or all(native in parameter.allowed for native in natives)
    assert scale.low <= scale.first <= scale.last <= scale.high
    assert parameter.tunable is (parameter.type != "constant")
    if scale.step is None:
        assert parameter.levels is None
    else:
        assert parameter.levels == round((scale.last - scale.first) / scale.step) + 1
        assert scale.table == () or len(scale.table) == parameter.levels
    if parameter.default_native is not None:
        assert scale.first <= parameter.default_native <= scale.last
