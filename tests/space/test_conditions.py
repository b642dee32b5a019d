"""Conditions: translation to columns, what can never hold, counting."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from aiohpo.errors import UsageError
from aiohpo.space.conditions import MOST_BRANCHES, condition_holds, count_configurations
from aiohpo.space.space import Categorical, Constant, Float, Int, Ordinal, Parameter, Space


def test_holds_needs_every_parent() -> None:
    """A condition holds if every parent has one of its values; an inactive parent has none."""
    condition = ((0, frozenset([1, 2])), (2, frozenset([0])))
    assert condition_holds(condition, [2, None, 0])
    assert not condition_holds(condition, [0, None, 0])
    assert not condition_holds(condition, [1, None, None])
    assert condition_holds((), [])


def bad_spaces() -> list[tuple[dict[str, Parameter], str]]:
    """List definitions with impossible conditions and what is said about them."""
    return [
        (
            {"optimizer": Categorical(["sgd"]), "b": Float(0, 1, when={"optimiser": "sgd"})},
            "parameter 'b': when names an unknown parameter 'optimiser'; did you mean 'optimizer'?",
        ),
        (
            {"b": Float(0, 1, when={"b": 1})},
            "conditions form a cycle: 'b' needs 'b'; remove one of them",
        ),
        (
            {"a": Int(0, 1, when={"c": 1}), "b": Int(0, 1, when={"a": 1}), "c": Int(0, 1, when={"b": 1})},
            "conditions form a cycle: ",
        ),
        (
            {"a": Categorical(["x", "y"]), "b": Float(0, 1, when={"a": ["x", "z"]})},
            "parameter 'b': when names a value that 'a' never has: 'z' is not one of its choices: 'x', 'y'",
        ),
        (
            {"a": Float(0, 1), "b": Float(0, 1, when={"a": 0.5})},
            "'a', which is continuous .* give 'a' a step",
        ),
        (
            {"a": Int(1, 9, step=2), "b": Float(0, 1, when={"a": 2})},
            "'a' never has: 2 is not a whole number of steps",
        ),
        (
            {"a": Constant("x"), "b": Float(0, 1, when={"a": "y"})},
            "'a' never has: 'y' given, but it is the constant 'x'",
        ),
        (
            {
                "a": Int(1, 3),
                "b": Int(1, 3, when={"a": [1, 2]}),
                "c": Float(0, 1, when={"a": 3, "b": 2}),
            },
            "parameter 'c' can never be active: .* need 'a' to have different values at the same time",
        ),
        (
            {
                "a": Int(1, 3),
                "k": Constant(0, when={"a": 1}),
                "c": Float(0, 1, when={"k": 0, "a": 2}),
            },
            "parameter 'c' can never be active",
        ),
    ]


@pytest.mark.parametrize(("params", "message"), bad_spaces())
def test_impossible_conditions_are_refused(params: dict[str, Parameter], message: str) -> None:
    """A condition that names nothing, runs in a circle or can never hold is an error when the space is made."""
    with pytest.raises(UsageError, match=message):
        Space(params)


def test_constant_parents_stand_for_their_own_condition() -> None:
    """A child of a constant is active where the constant is."""
    space = Space(
        c=Float(0, 1, when={"k": 1}), k=Constant(1, when={"a": "x"}), a=Categorical(["x", "y"]), d=Constant(2)
    )
    assert space.validate({"a": "x", "c": 0.5}) == {"c": 0.5, "k": 1, "a": "x", "d": 2}
    assert space.validate({"a": "y"}) == {"a": "y", "d": 2}


@st.composite
def finite(draw: st.DrawFn) -> Space:
    """Draw a finite space with conditions on up to two parents."""
    params: dict[str, Any] = {}
    for i in range(draw(st.integers(1, 6))):
        when = {}
        for name in draw(st.lists(st.sampled_from(sorted(params)), max_size=2, unique=True)) if params else []:
            when[name] = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
        kind = draw(st.sampled_from([Int(1, 3, when=when), Ordinal([1, 2, 3, 4], when=when)]))
        params[f"p{i}"] = kind
    try:
        return Space(params)
    except UsageError:  # a condition that can never hold
        reject()


@given(finite())
def test_size_is_the_number_of_configurations(space: Space) -> None:
    """The size equals the number of distinct configurations, found by trying all products."""
    units = [[(i + 0.5) / k for i in range(int(k))] for k in space.cardinality]
    distinct = {space.pack(config) for config in space.decode(list(product(*units)))}
    assert space.size == len(distinct)


def test_continuous_spaces_are_infinite() -> None:
    """One continuous parameter makes the size infinite."""
    assert count_configurations([()], [float("inf")], [0]) == float("inf")


def test_entangled_conditions_give_an_upper_bound() -> None:
    """When there are too many cases, the size is the product of the levels."""
    bits = 20
    assert 2**bits > MOST_BRANCHES
    every = {f"b{i}": 1 for i in range(bits)}
    space = Space({**{f"b{i}": Int(0, 1) for i in range(bits)}, "child": Int(1, 10, when=every)})
    assert 2**bits + 9 <= space.size == 2**bits * 10


def test_independent_groups_are_counted_apart() -> None:
    """Many parents cost nothing as long as their children are their own."""
    space = Space(
        {f"a{i}": Int(1, 100) for i in range(30)} | {f"c{i}": Int(1, 5, when={f"a{i}": 7}) for i in range(30)}
    )
    assert space.size == pytest.approx(104.0**30)
