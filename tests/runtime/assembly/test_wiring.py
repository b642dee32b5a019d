"""Tests of how a worker is put together."""

from __future__ import annotations

import sys
import threading
from dataclasses import FrozenInstanceError

import pytest

from aiohpo import Float, Space, Study, UsageError
from aiohpo.peer.limits import Limits
from aiohpo.plugin import Identity
from aiohpo.runtime.assembly.wiring import find_place, is_first, make_evaluator

SPACE = Space(x=Float(0, 1))


def plain(trial):
    return trial["x"]


async def objective(trial):
    return trial["x"]


def test_services_are_complete_and_cannot_be_replaced():
    """A worker's services are those it was made with."""
    services = Study(objective, SPACE, searcher="random")._services(limits=Limits(1))
    with pytest.raises(FrozenInstanceError):
        services.notice = print  # type: ignore[misc]


def test_the_first_of_a_launch_speaks_for_it():
    """Rank 0, or a worker on its own that joins nobody."""
    assert is_first(["a"], Identity("w", 0, 2))
    assert not is_first([], Identity("w", 1, 2))
    assert is_first([], Identity("w"))
    assert not is_first(["a"], Identity("w"))


def test_a_worker_without_an_identity_gets_one():
    """Its name is new, and its transport is made for that name."""
    carrier, join, identity = find_place("inproc", ["a"], None)
    assert join == ["a"]
    assert (identity.rank, identity.size) == (None, None)
    assert len(identity.worker) == 12
    assert carrier.address


def test_a_cell_that_defines_the_objective_again_does_not_go_unnoticed(monkeypatch: pytest.MonkeyPatch):
    """The study keeps the earlier one, and says how it takes the new one."""
    names: dict = {"__name__": "__main__"}
    exec("def train(trial): return 0.0", names)
    monkeypatch.setattr(sys.modules["__main__"], "train", names["train"], raising=False)
    study, said = Study(names["train"], SPACE, evaluator="thread"), []
    make_evaluator(study._definition, 1, said.append)
    assert said == []
    exec("def train(trial): return 1.0", names)
    monkeypatch.setattr(sys.modules["__main__"], "train", names["train"])
    make_evaluator(study._definition, 1, said.append)
    assert said == [
        "'train' was defined again after the study was created, which still uses the earlier definition: "
        "study.objective = train switches to the new one"
    ]
    study.objective = names["train"]
    make_evaluator(study._definition, 1, said.append)
    assert len(said) == 1


def test_the_evaluator_suits_the_objective():
    """async def: coroutine; what another process can be given: process; else threads, which is said."""
    lock = threading.Lock()
    said: list[str] = []

    def made(function):
        return repr(make_evaluator(Study(function, SPACE)._definition, 1, lambda text, level=0: said.append(text)))

    assert made(objective) == "<CoroutineEvaluator>"
    assert "ProcessEvaluator" in made(plain)
    assert "ProcessEvaluator" in made(lambda trial: 0.0)
    assert not said
    assert made(lambda trial: lock) == "<ThreadEvaluator>"
    assert said[0].startswith("evaluating in threads of this process: ")
    with pytest.raises(UsageError, match="no objective"):
        made(None)
