"""Spaces: construction, encoding of configurations, grids, identity."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
import time
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from aiohpo.errors import UsageError
from aiohpo.space.space import CATEGORICAL, CONTINUOUS, ORDERED, Categorical, Constant, Float, Int, Ordinal, Space
from tests.support.space_strategies import spaces, spaces_and_units

SPACE = Space(
    lr=Float(1e-5, 1e-1, log=True),
    width=Int(16, 256, log=True),
    optimizer=Categorical(["sgd", "adam"]),
    momentum=Float(0.0, 0.99, when={"optimizer": "sgd"}),
    data=Constant("mnist"),
)


def test_columns() -> None:
    """Tunable parameters have columns in order of declaration; constants have none."""
    assert SPACE.names == ("lr", "width", "optimizer", "momentum")
    assert SPACE.dim == 4
    assert SPACE.kinds.tolist() == [CONTINUOUS, ORDERED, CATEGORICAL, CONTINUOUS]
    assert SPACE.cardinality.tolist() == [np.inf, 241, 2, np.inf]
    assert SPACE.constants == {"data": "mnist"}
    with pytest.raises(ValueError, match="read-only"):
        SPACE.kinds[0] = 2


def test_mapping_of_parameters() -> None:
    """A space iterates over, contains and returns all its parameters, constants included."""
    assert list(SPACE) == ["lr", "width", "optimizer", "momentum", "data"] == list(SPACE.params)
    assert len(SPACE) == 5
    assert "data" in SPACE
    assert "depth" not in SPACE
    assert SPACE["width"] == Int(16, 256, log=True)
    with pytest.raises(UsageError, match=r"unknown parameter 'momemtum'; did you mean 'momentum'\?"):
        SPACE["momemtum"]


def test_ways_to_name_parameters() -> None:
    """Keywords, a mapping and pairs make the same space, and can be mixed."""
    a, b = Float(0, 1), Int(1, 3)
    assert Space(a=a, b=b) == Space({"a": a, "b": b}) == Space([("a", a), ("b", b)]) == Space({"a": a}, b=b)
    assert Space({"min.node.size": b}).names == ("min.node.size",)
    assert Space(self=a, parameters=b).names == ("self", "parameters")


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, r"the space is empty; give at least one parameter, such as Space\(x=Float\(0, 1\)\)"),
        ((), {"x": (0, 1)}, r"parameter 'x': \(0, 1\) is not a parameter; use Float\(low, high\)"),
        ((), {"x": Float}, "is not a parameter"),
        (({"x": Int(0, 1)},), {"x": Int(0, 1)}, "parameter 'x' is given twice; rename one"),
        (({1: Int(0, 1)},), {}, "1 is not a valid parameter name"),
        (({"": Int(0, 1)},), {}, "'' is not a valid parameter name"),
        ((Int(0, 1),), {}, r"Int\(0, 1\) needs a name; write Space\(name=Int\(0, 1\)\)"),
        (([Int(0, 1)],), {}, "is neither"),
        (("lr",), {}, "takes a dict of parameters by name, not 'lr'"),
    ],
)
def test_bad_definitions_are_refused(args: tuple[Any, ...], kwargs: dict[str, Any], message: str) -> None:
    """What does not name parameters is refused with the remedy."""
    with pytest.raises(UsageError, match=message):
        Space(*args, **kwargs)


@given(spaces_and_units())
def test_decode_and_encode_are_inverse(drawn: tuple[Space, NDArray[np.float64]]) -> None:
    """Encoding what was decoded gives the snapped units; every decoded configuration is valid as it is."""
    space, U = drawn
    configs = space.decode(U)
    np.testing.assert_allclose(space.encode(configs), space.snap(U), atol=1e-9)
    for config in configs:
        assert list(map(repr, space.validate(config).items())) == list(map(repr, config.items()))


@given(spaces())
def test_samples_are_snapped_and_valid(space: Space) -> None:
    """Samples are units of valid configurations, the same for the same seed."""
    U = space.sample(np.random.default_rng(1), 20)
    assert U.shape == (20, space.dim)
    np.testing.assert_array_equal(space.snap(U), U)
    np.testing.assert_array_equal(space.sample(np.random.default_rng(1), 20), U)
    for config in space.decode(U):
        space.validate(config)


@given(spaces())
def test_parameters_are_present_exactly_where_active(space: Space) -> None:
    """A parameter is in a configuration if and only if all its parents are, with a value of its condition."""
    for config in space.decode(space.sample(np.random.default_rng(2), 20)):
        for name, param in space.params.items():
            active = all(
                parent in config
                and (type(config[parent]) is bool, config[parent]) in [(type(v) is bool, v) for v in vs]
                for parent, vs in param.condition.items()
            )
            assert (name in config) == active


def test_decoded_values_are_plain() -> None:
    """Configurations hold Python's own types, in order of declaration, constants included."""
    config = SPACE.decode([[0.5, 0.5, 0.25, 0.5]])[0]
    assert list(config) == ["lr", "width", "optimizer", "momentum", "data"]
    assert [type(v) for v in config.values()] == [float, int, str, float, str]
    assert SPACE.decode([[0.5, 0.5, 0.75, 0.5]])[0].keys() == {"lr", "width", "optimizer", "data"}


def test_validation_completes_and_converts() -> None:
    """Validation adds constants, restores the order and turns numpy scalars into Python's."""
    config = SPACE.validate({"optimizer": np.str_("adam"), "width": np.int64(32), "lr": np.float32(0.125) / 2})
    assert config == {"lr": 0.0625, "width": 32, "optimizer": "adam", "data": "mnist"}
    assert [type(v) for v in config.values()] == [float, int, str, str]


def test_default_configuration() -> None:
    """The default is made of the parameters' defaults, first choices and middles, conditions applied."""
    assert SPACE.default() == pytest.approx(
        {"lr": 1e-3, "width": 63, "optimizer": "sgd", "momentum": 0.495, "data": "mnist"}
    )


@pytest.mark.parametrize("array", [[0.5] * 4, [[0.5] * 3], np.zeros((2, 4, 1))])
def test_wrong_shapes_are_refused(array: Any) -> None:
    """Arrays must have a row per configuration and a column per tunable parameter."""
    for method in (SPACE.snap, SPACE.decode, SPACE.decode_native, SPACE.encode_native):
        with pytest.raises(UsageError, match=r"expected an array of shape \(n, 4\), a row per configuration, not"):
            method(array)


def test_nothing_to_do() -> None:
    """No configurations, and no tunable parameters, are no special case."""
    assert SPACE.sample(np.random.default_rng(0), 0).shape == (0, 4)
    assert SPACE.decode(np.empty((0, 4))) == []
    assert SPACE.encode([]).shape == (0, 4)
    constant = Space(a=Constant(1))
    assert constant.decode(constant.sample(np.random.default_rng(0), 2)) == [{"a": 1}] * 2
    assert constant.encode([{}]).shape == (1, 0)
    assert list(constant.grid()) == [{"a": 1}]
    assert constant.size == 1


# ---------------------------------------------------------------------------------------------------- grid
def test_grid_order() -> None:
    """Later parameters vary faster; an inactive parameter does not multiply."""
    space = Space(a=Categorical(["x", "y"]), b=Int(1, 2, when={"a": "x"}), c=Float(0, 1), k=Constant(0))
    assert [tuple(config.values()) for config in space.grid(2)] == [
        ("x", 1, 0.0, 0),
        ("x", 1, 1.0, 0),
        ("x", 2, 0.0, 0),
        ("x", 2, 1.0, 0),
        ("y", 0.0, 0),
        ("y", 1.0, 0),
    ]


def test_grid_of_a_finite_space_is_the_space() -> None:
    """With resolution enough, a grid has every configuration of a finite space exactly once."""
    space = Space(
        c=Int(1, 4, log=True, when={"b": [1, 2]}),
        b=Ordinal([1, 2, 3], when={"a": True}),
        a=Categorical([True, False]),
        d=Float(0, 0.2, step=0.1),
    )
    configs = [space.pack(config) for config in space.grid()]
    assert len(configs) == len(set(configs)) == space.size == 30


@given(spaces())
def test_grid_configurations_are_valid_and_distinct(space: Space) -> None:
    """Every grid point is a valid configuration and comes once."""
    rows = [space.pack(space.validate(config)) for config in islice(space.grid(2), 50)]
    assert len(set(rows)) == len(rows)


def test_grid_resolution_is_checked_at_once() -> None:
    """A resolution below 1 is refused when the grid is asked for."""
    with pytest.raises(UsageError, match="grid: resolution must be at least 1, not 0"):
        SPACE.grid(0)


# ------------------------------------------------------------------------------------------------ identity
@given(spaces())
def test_definition_is_json(space: Space) -> None:
    """A space survives JSON, pickling and copying, with the same hash."""
    for twin in (
        Space.from_dict(json.loads(json.dumps(space.to_dict()))),
        pickle.loads(pickle.dumps(space)),
        copy.deepcopy(space),
    ):
        assert twin == space
        assert twin.hash == space.hash
        assert hash(twin) == hash(space)


def test_hash_is_stable() -> None:
    """The hash depends on the definition only: it is the same in every process and version."""
    assert SPACE.hash == "ef15390973745885"


@pytest.mark.parametrize(
    "other",
    [
        Space(a=Int(1, 2), b=Categorical([1, 2])),
        Space(b=Categorical([True, 2]), a=Int(1, 2)),
        Space(a=Int(1, 3), b=Categorical([True, 2])),
        Space(a=Int(1, 2, default=1), b=Categorical([True, 2])),
        Space(a=Int(1, 2), b=Categorical([True, 2], when={"a": 1})),
        "a space",
    ],
)
def test_different_definitions_differ(other: Any) -> None:
    """Order, bounds, choices, defaults and conditions all belong to the identity."""
    assert Space(a=Int(1, 2), b=Categorical([True, 2])) != other


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ([], "a space's definition is"),
        ({"parameters": ["a"]}, "a space's definition is"),
        ({"parameters": [{"name": "a", "type": "flt"}]}, "parameter 'a': unknown type 'flt'"),
        ({"parameters": [{"type": "int", "low": 1, "high": 2}]}, "None is not a valid parameter name"),
    ],
)
def test_bad_dicts_are_refused(definition: Any, message: str) -> None:
    """A definition read from elsewhere is checked."""
    with pytest.raises(UsageError, match=message):
        Space.from_dict(definition)


def test_repr_is_a_status_line() -> None:
    """The repr says how many parameters of which sort there are, the size and the first names."""
    assert repr(SPACE) == (
        "<Space 4 tunable, 1 conditional, 1 constant, size inf: lr, width, optimizer, momentum, data>"
    )
    assert repr(Space({f"parameter{i}": Int(1, 10) for i in range(10)})) == (
        "<Space 10 tunable, size 1e+10: parameter0, parameter1, parameter2, parameter3, …>"
    )


# --------------------------------------------------------------------------------------------------- speed
def test_arrays_are_fast() -> None:
    """2,000 configurations of 10 parameters are sampled, snapped and encoded in well under 5 ms of CPU each."""
    space = Space(
        {f"f{i}": Float(1e-3, 1, log=i % 2 == 0) for i in range(4)},
        a=Categorical(["x", "y", "z"]),
        b=Int(1, 100),
        c=Int(1, 1000, log=True),
        d=Float(0, 1, step=0.01, when={"a": "x"}),
        e=Ordinal([1, 2, 4], when={"a": ["y", "z"]}),
        f=Int(1, 9, when={"a": "x", "b": list(range(50, 101))}),
    )
    rng = np.random.default_rng(0)
    U = space.sample(rng, 2000)
    V = space.decode_native(U)
    for call, limit in (
        (lambda: space.sample(rng, 2000), 5e-3),
        (lambda: space.snap(U), 5e-3),
        (lambda: space.encode_native(V), 5e-3),
        (lambda: space.decode(U), 60e-3),
    ):
        times = []
        for _ in range(7):
            start = time.process_time()
            call()
            times.append(time.process_time() - start)
        assert min(times) < limit


def test_import_does_not_pull_in_the_algorithms() -> None:
    """Importing spaces loads numpy, but neither scipy nor scikit-learn."""
    code = "import sys, aiohpo.space.space; sys.exit(bool({'scipy', 'sklearn', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], timeout=600, check=False).returncode == 0
