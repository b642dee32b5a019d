"""Learning curves to be searched: losses and seconds by step, of networks that were trained before.

electricity         a grid of multilayer perceptrons, trained once; see :mod:`.electricity`

The others come from YAHPO Gym's surrogates (Pfisterer et al., arXiv 2109.03670; Apache-2.0), networks that were fitted
to real experiments:

lcbench:TASK        a multilayer perceptron on an OpenML task; 50 epochs, error and cumulative seconds
rbv2_xgboost:TASK   boosted trees on an OpenML data set; steps are 27ths of the training data, and every segment
                    trains anew
nb301               a cell of NAS-Bench-301's space on CIFAR-10; 98 epochs

Losses are the error on the validation data, from 0 to 1.

The surrogates are in the folder ``shared/data`` beside the checkout. YAHPO Gym's repository of data has them as ONNX
files; without them :func:`missing` says so, and the runs that need them are left out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiohpo.plugin import Config
from aiohpo.space.space import Categorical, Constant, Float, Int, Parameter, Space

Vector = NDArray[np.float64]

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
PARTS = 27  # of the training data, as steps
_SAMPLE = 1_000  # configurations that a scale is measured on


@dataclass(frozen=True, slots=True)
class Curve:
    """One training: the ``loss`` after each step, and the ``seconds`` until then."""

    loss: Vector
    seconds: Vector


@dataclass(frozen=True, slots=True)
class Scale:
    """What makes losses and times of a task comparable.

    best      the lowest loss that is known
    typical   the median loss of complete trainings of random configurations
    seconds   the mean time of one
    """

    best: float
    typical: float
    seconds: float

    def regret(self, loss: float) -> float:
        """Return 0 for the best loss that is known and 1 for the typical one."""
        return (loss - self.best) / (self.typical - self.best)


@dataclass(frozen=True, slots=True)
class CurveTask:
    """A space, and the curve of each of its configurations. ``anew``: a segment begins at the first step, whatever was
    done before, and tells its last loss only; ``seconds`` by step are then of a training to that step."""

    name: str
    space: Space
    max_steps: int
    curve: Callable[[Config], Curve]
    scale: Callable[[], Scale]
    anew: bool = False

    def __repr__(self) -> str:
        return f"<CurveTask {self.name}: {self.max_steps} steps, {self.space!r}>"


def missing() -> str | None:
    """Return why the surrogates cannot be used; None: they can."""
    return None if (DATA / "loaders.py").exists() else f"{DATA.parent.name}/{DATA.name} is not beside the checkout"


@cache
def make(name: str) -> CurveTask:
    """Return a task by its name."""
    scenario, _, instance = name.partition(":")
    if scenario == "electricity":
        from .electricity import electricity  # needs what is defined here

        return electricity()
    return {"lcbench": _lcbench, "rbv2_xgboost": _boosted_trees, "nb301": _cells}[scenario](name, instance)


def _lcbench(name: str, instance: str) -> CurveTask:
    network, epochs = _network("lcbench"), 50
    column = network.y_names.index("val_accuracy")

    def curve(config: Config) -> Curve:
        out = network([dict(config, epoch=e) for e in range(1, epochs + 1)], instance=instance)
        return Curve(1.0 - out[:, column] / 100.0, _increasing(out[:, 0]))

    def last(configs: list[Config]) -> tuple[Vector, Vector]:
        out = network(configs, instance=instance, epoch=epochs)
        return 1.0 - out[:, column] / 100.0, out[:, 0]

    return _task(name, _space(network), epochs, curve, last)


def _boosted_trees(name: str, instance: str) -> CurveTask:
    network = _network("rbv2_xgboost")
    accuracy, time = network.y_names.index("acc"), network.y_names.index("timetrain")
    sizes = [max(0.03, step / PARTS) for step in range(1, PARTS + 1)]

    def curve(config: Config) -> Curve:
        out = network([dict(config, trainsize=size) for size in sizes], instance=instance)
        return Curve(1.0 - out[:, accuracy], _increasing(out[:, time]))

    def last(configs: list[Config]) -> tuple[Vector, Vector]:
        out = network(configs, instance=instance, trainsize=1.0)
        return 1.0 - out[:, accuracy], out[:, time]

    return _task(name, _space(network), PARTS, curve, last, anew=True)


def _cells(name: str, instance: str) -> CurveTask:
    network, epochs = _network("nb301"), 98
    accuracy, time = network.y_names.index("val_accuracy"), network.y_names.index("runtime")

    def curve(config: Config) -> Curve:
        out = network([dict(config, epoch=e) for e in range(1, epochs + 1)])
        return Curve(1.0 - out[:, accuracy], _increasing(out[:, time]))

    def last(configs: list[Config]) -> tuple[Vector, Vector]:
        out = network(configs, epoch=epochs)
        return 1.0 - out[:, accuracy], out[:, time]

    return _task(name, _space(network), epochs, curve, last)


def _increasing(seconds: Vector) -> Vector:
    """A surrogate's seconds are not quite monotone, and may be below zero in the beginning."""
    increasing: Vector = np.maximum.accumulate(np.maximum(seconds, 0.0)) + 1e-3 * np.arange(1, len(seconds) + 1)
    return increasing


def _task(
    name: str,
    space: Space,
    max_steps: int,
    curve: Callable[[Config], Curve],
    last: Callable[[list[Config]], tuple[Vector, Vector]],
    anew: bool = False,
) -> CurveTask:
    @cache
    def scale() -> Scale:
        rng = np.random.default_rng(0)
        units = space.sample(rng, _SAMPLE)
        losses, seconds = last(space.decode(units))
        typical, mean = float(np.median(losses)), float(np.maximum(seconds, 0.0).mean())
        best = float(losses.min())
        for spread in (0.2, 0.1, 0.05, 0.02, 0.01):  # a simple evolution around the best twenty
            parents = units[np.argsort(losses)[:20]]
            units = np.concatenate([parents, _mutated(space, parents, spread, rng)])
            losses, _ = last(space.decode(units))
            best = min(best, float(losses.min()))
        return Scale(best, typical, mean)

    return CurveTask(name, space, max_steps, curve, scale, anew)


def _mutated(space: Space, parents: Vector, spread: float, rng: np.random.Generator) -> Vector:
    """Fifteen children of each: every active parameter moved a little, or now and then drawn anew."""
    children = np.repeat(parents, 15, axis=0)
    drawn = space.sample(rng, len(children))
    moved = np.clip(children + spread * rng.normal(size=children.shape), 0.0, 1.0)
    return space.snap(np.where((rng.random(children.shape) < spread) | np.isnan(moved), drawn, moved))


# ---------------------------------------------------------------------------------------------- surrogates
@cache
def _network(scenario: str) -> Any:
    sys.path.insert(0, str(DATA))
    try:
        loaders = import_module("loaders")
    finally:
        sys.path.remove(str(DATA))
    return loaders.Surrogate(scenario)


def _space(network: Any) -> Space:
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
