"""Learning curves for the multi-fidelity benchmark: real losses and real seconds, step by step.

lcbench    17 tasks, a surrogate network of real experiments: 50 epochs, cumulative seconds (their running maximum,
           as the network is not quite monotone)
alexnet    512 trainings on ImageNet with wall-clock seconds; 147 of them diverged, which is a failed trial; how many
           epochs a training has (20 to 100) is a hyperparameter
taskset    6 tasks, 1000 settings of Adam, 50 evaluations each; time was not recorded, so a step takes 10 s
mnli       1024 fine-tunings evaluated every 1000 steps, 7 to 102 times each; time is proportional to the examples
           seen, 40 s for 1000 steps of 32

The last three are tables of random configurations. Contenders propose freely in the space from which the tables
were drawn, and the nearest row that this search has not had yet (Euclidean distance in the unit cube, categories apart
by 1) answers with its curve. Were rows answered with again and again, a model that homes in on the best would mostly
get what it has: on AlexNet 108 trials of a Gaussian process had 59 rows, 110 random ones 100. A categorical row number
would leave a model nothing to learn. Still a model learns less here than from a function: it takes a row's curve for
that of the configuration it proposed, and 512 points in 7 dimensions are far apart. LCBench is the fairer test of
models, the tables of schedulers.

Losses are 1 - accuracy, and cross-entropy for TaskSet.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiohpo.plugin import Config
from aiohpo.space.space import CATEGORICAL, Float, Int, Ordinal, Space

from . import tasks

Vector = NDArray[np.float64]

ALEXNET_CRASH = 5.0  # seconds until a training that recorded no epoch was over
STEP_SECONDS = 10.0  # TaskSet
EXAMPLES_PER_SECOND = 800.0  # MNLI: 1000 steps of 32 in 40 s


@dataclass(frozen=True, slots=True)
class Curve:
    """One training. ``loss`` and ``seconds`` (cumulative) by step, from step 1; it ``fails`` after the last one."""

    loss: Vector
    seconds: Vector
    fails: bool = False
    crash: float = 0.0  # seconds after the last step until it fails

    @property
    def total(self) -> float:
        """Seconds that the whole training takes."""
        return (float(self.seconds[-1]) if len(self.seconds) else 0.0) + self.crash

    @property
    def final(self) -> float:
        """The loss of the complete training; infinite if it fails."""
        return np.inf if self.fails or not len(self.loss) else float(self.loss[-1])


@dataclass(frozen=True, slots=True)
class Scale:
    """What makes results of different tasks comparable.

    best     the lowest loss known at any step
    typical  the median of the complete trainings of random configurations
    seconds  the mean time of a complete training of a random configuration
    """

    best: float
    typical: float
    seconds: float

    def regret(self, loss: float) -> float:
        """Return 0 for the best loss known, 1 for the typical one or worse."""
        return float(np.clip((loss - self.best) / (self.typical - self.best), 0.0, 1.0))


@dataclass(frozen=True, slots=True)
class CurveTask:
    """A space, and the curve of each configuration.

    curves   called once for each search; what it returns is called once for each of the search's trials, in order
    measure  says what losses and times are usual
    """

    name: str
    space: Space
    max_steps: int
    curves: Callable[[], Callable[[Config], Curve]]
    measure: Callable[[], Scale]

    def __repr__(self) -> str:
        return f"<CurveTask {self.name}: {self.max_steps} steps, {self.space!r}>"


def names() -> list[str]:
    """Return the names of all tasks."""
    taskset = [f"taskset:{i}" for i in range(6)]
    return [*tasks.instances("lcbench"), "alexnet", *taskset, "mnli"]


@functools.cache
def make(name: str) -> CurveTask:
    """Return a task by name; see :func:`names`."""
    family, _, instance = name.partition(":")
    return {"lcbench": _lcbench, "alexnet": _alexnet, "taskset": _taskset, "mnli": _mnli}[family](name, instance)


# -------------------------------------------------------------------------------------------------- lcbench
def _lcbench(name: str, instance: str) -> CurveTask:
    network, space = tasks._network("lcbench"), tasks._surrogate_space("lcbench")
    column, epochs = network.y_names.index("val_accuracy"), 50

    def curve(config: Config) -> Curve:
        full = network([dict(config, epoch=e) for e in range(1, epochs + 1)], instance=instance)
        return Curve(1.0 - full[:, column] / 100.0, np.maximum.accumulate(full[:, 0]) + 1e-3 * np.arange(epochs))

    def last(U: Vector) -> tuple[Vector, Vector]:
        out = network(space.decode(U), instance=instance, epoch=epochs)
        return 1.0 - out[:, column] / 100.0, out[:, 0]

    def measure() -> Scale:
        rng = np.random.default_rng(0)
        U = space.sample(rng, 2000)
        loss, seconds = last(U)
        typical, mean = float(np.median(loss)), float(seconds.mean())
        for spread in (0.2, 0.1, 0.05, 0.03, 0.02, 0.01):  # a simple evolution around the best twenty
            parents = U[np.argsort(loss)[:20]]
            children = np.repeat(parents, 15, axis=0)
            children = space.snap(np.clip(children + spread * rng.normal(size=children.shape), 0.0, 1.0))
            U = np.concatenate([parents, children])
            loss = last(U)[0]
        best = min(float(curve(config).loss.min()) for config in space.decode(U[np.argsort(loss)[:5]]))
        return Scale(best, typical, mean)

    return CurveTask(name, space, epochs, lambda: curve, measure)


# --------------------------------------------------------------------------------------------------- tables
def _table(name: str, space: Space, rows: list[Config], curves: list[Curve]) -> CurveTask:
    table = space.encode(rows)
    category = space.kinds == CATEGORICAL

    def search() -> Callable[[Config], Curve]:
        taken = np.zeros(len(table), bool)

        def curve(config: Config) -> Curve:
            if taken.all():
                taken[:] = False
            away = table - space.encode([config])
            away[:, category] = away[:, category] != 0.0
            row = int(np.where(taken, np.inf, np.einsum("ij,ij->i", away, away)).argmin())
            taken[row] = True
            return curves[row]

        return curve

    def measure() -> Scale:
        best = min(float(c.loss.min()) for c in curves if len(c.loss))
        typical = float(np.median([c.final for c in curves]))
        return Scale(best, typical, float(np.mean([c.total for c in curves])))

    return CurveTask(name, space, max(len(c.loss) for c in curves), search, measure)


def _load(name: str) -> dict[str, Any]:
    table = tasks._loaders().load(name)
    return {key: table[key] for key in table.files}


def _alexnet(name: str, instance: str) -> CurveTask:
    data = _load("lc_imagenet_alexnet")
    space = Space(
        epochs=Int(20, 100),
        batch_size=Ordinal([128, 256, 512, 1024]),
        lr=Float(5e-3, 5e1, log=True),
        peak=Float(0.0, 0.8),
        momentum=Float(0.7, 1.0),
        weight_decay=Float(1e-6, 1e-3, log=True),
        label_smoothing=Float(0.0, 0.5),
    )
    rows, curves = [], []
    for hp, n, diverged, top1, time in zip(
        data["hp"].astype(float), data["n_epochs"], data["diverged"], data["top1"], data["time"], strict=True
    ):
        values = dict(zip(data["hp_names"].tolist(), hp.tolist(), strict=True))
        peak = values.pop("lr_peak_epoch") / values["epochs"]
        values.update(epochs=int(values["epochs"]), batch_size=int(values["batch_size"]), peak=peak)
        rows.append(_clipped(space, values))
        crash = ALEXNET_CRASH if diverged else 0.0
        curves.append(Curve(1.0 - top1[:n].astype(float), time[:n].astype(float), bool(diverged), crash))
    return _table(name, space, rows, curves)


def _taskset(name: str, instance: str) -> CurveTask:
    data = _load("lc_taskset_adam8p_imdb_rnn")
    ranges = {
        "learning_rate": (1e-8, 10),
        "beta1": (1e-4, 1),  # one minus it, as it was drawn
        "beta2": (1e-6, 1),
        "epsilon": (1e-10, 1e3),
        "l1": (1e-8, 10),
        "l2": (1e-8, 10),
        "linear_decay": (1e-7, 1e-4),
        "exponential_decay": (1e-6, 1e-3),
    }
    space = Space({n: Float(float(low), float(high), log=True) for n, (low, high) in ranges.items()})
    rows, curves = [], []
    for hp, valid in zip(data["hp"], data["valid"][int(instance)].astype(float), strict=True):
        values = dict(zip(data["hp_names"].tolist(), hp.tolist(), strict=True))
        values.update(beta1=1.0 - values["beta1"], beta2=1.0 - values["beta2"])
        rows.append(_clipped(space, values))
        finite = np.isfinite(valid[1:])
        n = int(finite.argmin()) if not finite.all() else len(finite)
        diverged = n < len(finite)
        seconds = STEP_SECONDS * np.arange(1, n + 1)
        curves.append(Curve(valid[1 : n + 1], seconds, diverged, STEP_SECONDS if diverged else 0.0))
    return _table(name, space, rows, curves)


def _mnli(name: str, instance: str) -> CurveTask:
    data = _load("lc_mnli_deberta_base")
    space = Space(
        num_train_epochs=Int(1, 4),
        train_batch_size=Int(16, 64),
        learning_rate=Float(1e-6, 1e-3, log=True),
        warmup=Float(0.0, 0.6),  # as a part of all steps: the table's number of steps depends on the other two
        cls_drop_out=Float(0.0, 0.3),
    )
    rows, curves = [], []
    for hp, n, steps, accuracy in zip(
        data["hp"].astype(float), data["n_points"], data["step"], data["acc_matched"], strict=True
    ):
        values = dict(zip(data["hp_names"].tolist(), hp.tolist(), strict=True))
        values["warmup"] = values.pop("warmup_steps") / values.pop("total_model_steps")
        values.update({k: round(values[k]) for k in ("num_train_epochs", "train_batch_size")})
        rows.append(_clipped(space, values))
        seconds = steps[:n].astype(float) * values["train_batch_size"] / EXAMPLES_PER_SECOND
        curves.append(Curve(1.0 - accuracy[:n].astype(float), seconds))
    return _table(name, space, rows, curves)


def _clipped(space: Space, values: Config) -> Config:
    """Bring float32's rounding errors back into the space."""
    out = dict(values)
    for key, p in space.params.items():
        if isinstance(p, Float | Int):
            out[key] = min(max(out[key], p.low), p.high)
    return out
