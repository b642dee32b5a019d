"""Functions that no other process can import."""

from __future__ import annotations

import functools
import pickle
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from aiohpo.errors import UsageError
from aiohpo.evaluate.process.by_value import pickle_by_value, unpickle_functions

CELL = """
import functools
class Network:
    size = 7

def build():
    return Network()

def train(trial):
    return build()

class Trainer:
    def __call__(self, trial):
        return build()

    def train(self, trial):
        return build()

partial = functools.partial(train)
trainer = Trainer()
method = trainer.train
"""


def typed(code: str) -> dict[str, Any]:
    """What a prompt knows after ``code`` was typed."""
    names: dict[str, Any] = {"__name__": "__main__", "unused": threading.Lock()}
    exec(code, names)
    return names


@pytest.mark.parametrize("name", ["train", "partial", "trainer", "method"])
def test_what_a_notebooks_functions_use_becomes_main(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So pickle finds the classes of what is saved and restored. What they do not use stays behind."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    sent = pickle_by_value([("the objective", typed(CELL)[name]), ("dump", None)])
    function, nothing = unpickle_functions(sent)
    assert nothing is None
    assert not hasattr(sys.modules["__main__"], "unused")
    network = function(None)
    assert type(network) is sys.modules["__main__"].Network
    assert pickle.loads(pickle.dumps(network)).size == 7


def test_a_function_of_a_module_leaves_main_alone() -> None:
    """It refers to its module by name."""
    main = sys.modules["__main__"]
    (function,) = unpickle_functions(pickle_by_value([("the objective", lambda trial: trial + 1)]))
    assert function(1) == 2
    assert sys.modules["__main__"] is main


def closure() -> Callable[..., Any]:
    lock = threading.Lock()
    return lambda trial: lock


class Trainer:
    def __init__(self) -> None:
        self.lock = threading.Lock()

    def train(self, trial: Any) -> None: ...

    def __call__(self, trial: Any) -> None: ...


USES_GLOBAL = typed("import threading\nlock = threading.Lock()\ndef get():\n    return lambda: lock\n")
NESTED = typed("def train(trial):\n    return [get() for _ in range(3)]\n")
NESTED["get"] = USES_GLOBAL["get"]


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (closure(), "its variable 'lock', of type _thread.lock, does not pickle (TypeError: cannot pickle"),
        (USES_GLOBAL["get"], "its variable 'lock', of type _thread.lock"),
        (NESTED["train"], "its variable 'lock' of 'get', of type _thread.lock"),
        (lambda trial, lock=threading.Lock(): 0, "its default 'lock'"),  # noqa: B008 - that is the test
        (functools.partial(len, threading.Lock()), "its argument '0'"),
        (functools.partial(closure()), "its variable 'lock' of 'closure.<locals>.<lambda>'"),
        (Trainer(), "its attribute 'lock'"),
        (Trainer().train, "its object 'self', of type tests.evaluate.process.test_by_value.Trainer"),
    ],
)
def test_what_does_not_pickle_is_named_with_the_remedy(function: Any, named: str) -> None:
    """However deep it hides."""
    with pytest.raises(UsageError) as error:
        pickle_by_value([("the objective", function), ("dump", None)])
    text = str(error.value)
    assert text.startswith(f"the objective cannot be sent to another process: {named}")
    assert text.endswith(': make it inside the function, or use evaluator="thread"')


def test_the_function_at_fault_is_named() -> None:
    """If the objective is fine, it is dump or load."""
    with pytest.raises(UsageError, match=r"^load cannot be sent"):
        pickle_by_value([("the objective", len), ("load", closure())])
