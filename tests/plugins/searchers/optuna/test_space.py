"""Tests of spaces as Optuna sees them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aiohpo.space.space import Categorical, Float, Int, Ordinal, Space
from aiohpo.testing import example_spaces

pytest.importorskip("optuna")

from aiohpo_plugins.searchers.optuna.space import OptunaSpace


class Fixed:
    """An Optuna trial that suggests given parameters, and notes which it was asked for."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        self.parameters = parameters

    def suggest_float(self, name: str, low: float, high: float, **_: Any) -> float:
        return float(self.parameters[name])

    def suggest_int(self, name: str, low: int, high: int, **_: Any) -> int:
        return int(self.parameters[name])

    def suggest_categorical(self, name: str, choices: Any) -> int:
        return int(self.parameters[name])


def test_every_kind_of_parameter_goes_there_and_back() -> None:
    """Configurations become Optuna's parameters and, suggested as they are, the same configurations again."""
    spaces = [
        *example_spaces().values(),
        Space(n=Int(2, 101, step=3), m=Int(1, 1000, log=True), s=Float(-1, 1, step=0.25)),
    ]
    for space in spaces:
        adapter = OptunaSpace(space)
        X = space.sample(np.random.default_rng(0), 50)
        for row, parameters in zip(X, adapter.parameters(X), strict=True):
            assert all(adapter.distributions[name]._contains(value) for name, value in parameters.items())
            np.testing.assert_allclose(adapter.suggest(Fixed(parameters)), row[None], atol=1e-12)


def test_distributions_are_of_the_same_kind() -> None:
    """Scales and steps are kept; levels that are no whole numbers are counted."""
    space = Space(
        f=Float(1e-3, 1.0, log=True),
        n=Int(1, 100, log=True),
        k=Int(1, 9, step=2),
        s=Float(0.0, 1.0, step=0.25),
        o=Ordinal(["a", "b"]),
        c=Categorical(["u", "v", "w"]),
    )
    shown = {name: repr(d).replace("Distribution", "") for name, d in OptunaSpace(space).distributions.items()}
    assert shown == {
        "f": "Float(high=1.0, log=True, low=0.001, step=None)",
        "n": "Int(high=100, log=True, low=1, step=1)",
        "k": "Int(high=9, log=False, low=1, step=2)",
        "s": "Int(high=4, log=False, low=0, step=1)",
        "o": "Int(high=1, log=False, low=0, step=1)",
        "c": "Categorical(choices=(0, 1, 2))",
    }


def test_children_declared_before_their_parents_are_asked_after_them() -> None:
    """Whatever the order of declaration, only what is active is asked for."""
    space = Space(child=Float(0, 1, when={"parent": "b"}), parent=Categorical(["a", "b"]))
    for parameters, config in (
        ({"parent": 0}, {"parent": "a"}),
        ({"parent": 1, "child": 0.25}, {"child": 0.25, "parent": "b"}),
    ):
        assert space.decode(OptunaSpace(space).suggest(Fixed(parameters))) == [config]
