"""Objectives for the searcher benchmarks: a space and a loss, synthetic or of real experiments.

The real ones are the surrogates and tables of ``../shared/data`` beside the checkout, and BBOB's functions come with
``coco-experiment``; :func:`missing` says why a task cannot be had.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from aiohpo.plugin import Config
from aiohpo.space.space import Categorical, Constant, Float, Int, Ordinal, Parameter, Space

from . import functions

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


@dataclass(frozen=True, slots=True)
class Task:
    """A named objective: ``loss(config)``, lower is better."""

    name: str
    space: Space
    loss: Callable[[Config], float]

    def __repr__(self) -> str:
        return f"<Task {self.name}: {self.space!r}>"


def available() -> str | None:
    """Return None if the real tasks can be had, else the reason why not."""
    return None if (DATA / "loaders.py").exists() else f"{DATA.parent.name}/{DATA.name} is not beside the checkout"


def missing(name: str) -> str | None:
    """Return None if the task can be had, else the reason why not."""
    if name.startswith("bbob:"):
        found = importlib.util.find_spec("cocoex") is not None
        return None if found else "BBOB needs cocoex (pip install coco-experiment)"
    return available() if name.startswith(_REAL) else None


def make(name: str, seed: int = 0) -> Task:
    """Return a task by name: ``ackley5``, ``bbob:f8:20``, ``rbv2_xgboost:16``, ``fcnet_protein_structure``, ``nb201``.

    The seed chooses where the optimum of a synthetic function is; real tasks are what they are.
    """
    scenario, _, instance = name.partition(":")
    if scenario == "bbob":
        return _bbob(name, *instance.split(":"), seed)
    if scenario.startswith(("rbv2", "lcbench", "nb301")):
        return _surrogate(name, scenario, instance)
    if scenario.startswith("fcnet"):
        return _fcnet(name)
    if scenario == "hpobench":
        return _hpobench(name, instance)
    if scenario == "nb201":
        return _nb201(name)
    function, d = functions.unit(name, seed)
    names = [f"x{i}" for i in range(d)]
    space = Space({n: Float(0.0, 1.0) for n in names})
    return Task(name, space, lambda config: function(np.array([config[n] for n in names])))


def _bbob(name: str, function: str, dimension: str, seed: int) -> Task:
    """Return a function of BBOB (Hansen et al. 2009), instance ``seed + 1``. Its optimum has some value, not 0."""
    problem = _suite(int(dimension)).get_problem_by_function_dimension_instance(
        int(function[1:]), int(dimension), seed + 1
    )
    names = [f"x{i}" for i in range(problem.dimension)]
    space = Space({n: Float(-5.0, 5.0) for n in names})
    return Task(name, space, lambda config: float(problem(np.array([config[n] for n in names]))))


@cache
def _suite(dimension: int) -> Any:
    import cocoex

    return cocoex.Suite("bbob", "instances: 1-200", f"dimensions: {dimension}")


# ------------------------------------------------------------------------------------------------ real data
_REAL = ("rbv2", "lcbench", "nb301", "fcnet", "hpobench", "nb201")


@cache
def _loaders() -> Any:
    sys.path.insert(0, str(DATA))
    import loaders

    return loaders


@cache
def _network(scenario: str) -> Any:
    return _loaders().Surrogate(scenario)


def instances(scenario: str) -> list[str]:
    """Return the names of all tasks of a surrogate scenario."""
    network = _network(scenario)
    usable = [i for i in network.instances if (scenario, i) != ("rbv2_xgboost", "40668")]
    return [f"{scenario}:{i}" for i in usable] or [scenario]


_METRIC = {"lcbench": ("val_accuracy", 100.0), "nb301": ("val_accuracy", 1.0), "rbv2_super": ("mmce", None)}


def _surrogate(name: str, scenario: str, instance: str) -> Task:
    network = _network(scenario)
    metric, scale = _METRIC.get(scenario, ("acc", 1.0))
    column = network.y_names.index(metric)
    fidelity = {"repl": 10} if scenario.startswith("rbv2") else {"epoch": 50} if scenario == "lcbench" else {}
    if scenario.startswith("rbv2"):
        fidelity["trainsize"] = 1.0

    def loss(config: Config) -> float:
        value = float(network([config], instance=instance or None, **fidelity)[0, column])
        return value if scale is None else 1.0 - value / scale

    return Task(name, _surrogate_space(scenario), loss)


@cache
def _surrogate_space(scenario: str) -> Space:
    network = _network(scenario)
    when: dict[str, dict[str, list[Any]]] = {}
    for condition in network.conditions:
        for part in condition.get("conditions", [condition]):
            values = part["values"] if "values" in part else [part["value"]]
            when.setdefault(condition["child"], {})[part["parent"]] = values
    params: dict[str, Parameter] = {}
    for h in network.space:
        name, log, condition = h["name"], bool(h.get("log")), when.get(h["name"])
        if h["type"] == "categorical":
            params[name] = Categorical(h["choices"], when=condition)
        elif h["type"] == "constant":
            params[name] = Constant(h["value"], when=condition)
        else:
            kind = Int if h["type"] == "uniform_int" else Float
            params[name] = kind(h["lower"], h["upper"], log=log, when=condition)
    return Space(params)


def _table(space: Space, values: Any) -> Callable[[Config], float]:
    """Look losses up in an array with one axis per parameter."""
    return lambda config: float(values[tuple(int(i) for i in space.pack(config))])


def _fcnet(name: str) -> Task:
    table = _loaders().load(f"tab_{name}")
    params: dict[str, Parameter] = {}
    for h, choices in zip(table["hp_names"].tolist(), map(json.loads, table["hp_choices"].tolist()), strict=True):
        numbers = not any(isinstance(c, str) for c in choices)
        params[h] = Ordinal(choices) if numbers else Categorical(choices)
    space = Space(params)
    return Task(name, space, _table(space, table["valid_mse"].mean(axis=-1)))


def _hpobench(name: str, instance: str) -> Task:
    table = _loaders().load("tab_hpobench_mlp")
    which = table["tasks"].tolist().index(instance)
    sizes = {"alpha": 10, "batch_size": 10, "depth": 3, "learning_rate_init": 10, "width": 10}
    space = Space({n: Ordinal(list(range(k))) for n, k in sizes.items()})
    return Task(name, space, _table(space, 1.0 - table["val_bal_acc"][which].mean(axis=-1)))


def _nb201(name: str) -> Task:
    table = _loaders().load("tab_nb201_cifar10")
    space = Space({f"edge{i}": Categorical(table["op_names"].tolist()) for i in range(6)})
    return Task(name, space, _table(space, 100.0 - np.nanmean(table["val_acc"], axis=-1)))


def spread(names: Iterable[str], n: int) -> list[str]:
    """Return ``n`` of the names, evenly spaced."""
    names = list(names)
    step = max(len(names) / n, 1.0)
    return [names[int(i * step)] for i in itertools.takewhile(lambda i: int(i * step) < len(names), range(n))]
