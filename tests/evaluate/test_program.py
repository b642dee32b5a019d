"""What to run, and whether this process only imports it."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from aiohpo.errors import UsageError
from aiohpo.evaluate.program import ImportedInChild, Program, in_child, reimporting
from tests.support.evaluate_objectives import async_double, double


class AsyncCallable:
    async def __call__(self, trial: Any) -> float:
        return 1.0


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (double, False),
        (async_double, True),
        (functools.partial(async_double), True),
        (AsyncCallable(), True),
        (None, False),
    ],
)
def test_it_knows_async_functions(function: Any, expected: bool) -> None:
    """Async functions, partials of them and objects with an async call are async."""
    assert Program(function).is_async is expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"function": 3}, "must be a function that takes a trial, not int"),
        ({"max_steps": 0}, "max_steps must be"),
        ({"max_steps": 1.5}, "max_steps must be"),
        ({"dump": repr}, "both or neither"),
        ({"load": repr}, "both or neither"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    """Each wrong option is an error when the objective is made."""
    with pytest.raises(UsageError, match=message):
        Program(**{"function": double, **options})


def test_a_reimport_is_known_as_one() -> None:
    """in_child() holds exactly while a file is being re-imported, nested or failing."""
    assert not in_child()
    with reimporting():
        with pytest.raises(ImportedInChild), reimporting():
            raise ImportedInChild
        assert in_child()
    assert not in_child()
    assert not issubclass(ImportedInChild, Exception)
