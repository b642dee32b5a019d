"""The curves of networks that were trained on electricity, by configuration: a complete grid, see
:mod:`studies.abohb.training`."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aiohpo.plugin import Config
from aiohpo.space.space import Ordinal, Space

from .curve_tasks import Curve, CurveTask, Scale

EPOCHS = 81
SLOWER = (
    200.0  # a second of these small networks counts as so many, or decisions and messages would be most of the time
)
LEVELS: dict[str, tuple[float, ...]] = {
    "learning_rate": (1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
    "batch_size": (32, 256),
    "units": (8, 16, 32, 64),
    "dropout": (0.0, 0.2, 0.5),
    "weight_decay": (1e-5, 1e-1),
}
FILE = Path(__file__).resolve().parents[1] / "data" / "electricity_mlp.npz"


def save(error: NDArray[np.float32], seconds: NDArray[np.float32]) -> None:
    """Keep the validation errors and cumulative CPU seconds, (configurations, epochs), in the order of the grid."""
    np.savez_compressed(FILE, error=error.astype(np.float16), seconds=seconds.astype(np.float32))


@cache
def electricity() -> CurveTask:
    """Return the task: its 384 configurations, each with the curve that it had."""
    with np.load(FILE) as data:
        error, seconds = data["error"].astype(np.float64), SLOWER * data["seconds"].astype(np.float64)
    rows = {values: row for row, values in enumerate(itertools.product(*LEVELS.values()))}

    def curve(config: Config) -> Curve:
        row = rows[tuple(config[name] for name in LEVELS)]
        return Curve(error[row], seconds[row])

    scale = Scale(float(error.min()), float(np.median(error[:, -1])), float(seconds[:, -1].mean()))
    space = Space({name: Ordinal(list(values)) for name, values in LEVELS.items()})
    return CurveTask("electricity", space, EPOCHS, curve, lambda: scale)
