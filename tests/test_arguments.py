"""Tests of the answers to code that is written for another tool."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest

import aiohpo
from aiohpo import Categorical, Constant, Float, Int, Ordinal, Space, Study, Trial
from aiohpo.arguments import explained, explained_class
from aiohpo.errors import UsageError

SPACE = Space(x=Float(0, 1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Study(None, SPACE, direction="maximize"), "Study has no argument 'direction'; write mode='max'"),
        (lambda: Study(None, SPACE, n_trials=3), "'n_trials'; it belongs to the run: study.run(trials=100"),
        (lambda: Study(None, SPACE, pruner="asha"), "'pruner'; write scheduler='asha'"),
        (lambda: Study(None, SPACE, sercher="tpe"), "'sercher'; did you mean 'searcher'?"),
        (lambda: Study(None, SPACE).run(n_trials=3), "Study.run has no argument 'n_trials'; write trials=100"),
        (
            lambda: Study(None, SPACE).arun(timeout=3),
            "Study.arun has no argument 'timeout'; write time=3600, in seconds",
        ),
        (lambda: Float(lower=0, upper=1), "Float has no argument 'lower'; write low=…"),
        (lambda: Float(0, 1, prior="log"), "Float has no argument 'prior'; write log=True"),
        (
            lambda: Float("x", 0, 1),
            "Float: too many positional arguments; it is called as Float(low, high, *, log=False",
        ),
        (lambda: Int(5), "Int: missing a required argument: 'high'; it is called as Int(low, high"),
        (lambda: Categorical("a", "b"), "it is called as Categorical(choices, *, default=None, when=None)"),
        (lambda: Ordinal(values=[1, 2]), "Ordinal has no argument 'values'; write choices=[…]"),
        (lambda: Float(0, 1, zzz=1), "Float has no argument 'zzz'; its arguments are: low, high, log, step"),
    ],
)
def test_a_call_as_in_another_tool_is_answered(call: Callable[[], Any], message: str) -> None:
    """An argument that there is not is named, with what to write instead."""
    with pytest.raises(UsageError) as caught:
        call()
    assert message in str(caught.value)


def test_what_goes_wrong_inside_stays_what_it_is() -> None:
    """A TypeError of a function that was called properly is not taken for a wrong call."""

    @explained("f", {})
    def f(a: int) -> int:
        return a + "1"  # type: ignore[operator]

    with pytest.raises(TypeError, match="unsupported operand"):
        f(1)


def test_signatures_and_instances_stay_as_they_are() -> None:
    """Editors see the arguments, and parameters are copied and pickled."""
    assert list(inspect.signature(Float).parameters)[:3] == ["low", "high", "log"]
    for parameter in (Float(0, 1, log=False), Int(1, 3), Categorical(["a"]), Constant(1)):
        assert copy.deepcopy(parameter) == pickle.loads(pickle.dumps(parameter)) == parameter


@pytest.mark.parametrize(
    ("name", "instead"),
    [("create_study", "; write study = aiohpo.Study("), ("samplers", "; write Study(…, searcher='tpe')"), ("xyz", "")],
)
def test_a_name_of_another_package_is_answered(name: str, instead: str) -> None:
    """What the package does not have is an AttributeError, with the remedy where there is one."""
    with pytest.raises(AttributeError, match=re.escape(f"module 'aiohpo' has no attribute '{name}'{instead}")):
        getattr(aiohpo, name)


def test_a_report_as_in_another_tool_is_answered() -> None:
    """A step that is given by place is answered with how to give it by name."""
    trial = object.__new__(Trial)
    with pytest.raises(UsageError, match=r"too many positional arguments; .* such as trial.report\(0.5, step=3\)"):
        trial.report(0.5, 3)


def test_an_attribute_of_another_tool_is_answered() -> None:
    """It is an AttributeError, so that hasattr is false, and says where to look."""
    result = Study(None, SPACE).result
    assert not hasattr(result, "best_params")
    with pytest.raises(AttributeError, match=r"no attribute 'best_params'; write result.best_config"):
        result.best_params  # noqa: B018
    with pytest.raises(AttributeError, match=r"no attribute 'optimize'; write study = Study\(objective, space\)"):
        Study(None, SPACE).optimize()
    with pytest.raises(AttributeError, match=r"no attribute 'suggest_float'; the study's Space says"):
        Study(None, SPACE, searcher="random").ask().suggest_float("x", 0, 1)
    study = Study(None, SPACE, searcher="random")
    study.tell(study.ask(), 0.5)
    with pytest.raises(AttributeError, match=r"no attribute 'params'; write trial.config"):
        study.result.trials[0].params  # noqa: B018
    with pytest.raises(AttributeError, match=r"no attribute 'nothing'$"):
        Study(None, SPACE).nothing  # noqa: B018


def test_a_property_that_raises_shows_its_own_error() -> None:
    """An AttributeError in a property is not taken for a property that is missing."""

    @explained_class(attributes={"other": "write this"})
    class Thing:
        @property
        def size(self) -> int:
            return None.size  # type: ignore[attr-defined,no-any-return]

    with pytest.raises(AttributeError, match="'NoneType' object has no attribute 'size'"):
        Thing().size  # noqa: B018
