"""Run directories whose trials have predictions, for tests of what reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import aiohpo
from tests.support.ensemble_problems import models, numbers

SPACE = aiohpo.Space(model=aiohpo.Int(0, 11))
CLASSES = models(12, 160, 3)
NUMBERS = numbers(12, 160, 1)
SPLITS = {"valid": slice(0, 80), "test": slice(80, 160)}


def make_predictions(path: Path, task: str = "classification", *, trials: int = 10, spoil: bool = False) -> Path:
    """Run a study whose trials predict; with ``spoil`` some of them predict nonsense."""
    p, y = CLASSES if task == "classification" else NUMBERS

    def objective(trial: Any) -> float:
        model = p[trial["model"]].copy()
        trial.targets(**{name: y[rows] for name, rows in SPLITS.items()})
        if spoil and trial.number == 1:
            model[3] = np.nan
        if spoil and trial.number == 2:
            model = model[:60]
        trial.predictions(**{name: model[rows] for name, rows in SPLITS.items()})
        return trial["model"] / 10

    study = aiohpo.Study(objective, SPACE, searcher="grid", evaluator="thread", directory=path, seed=0)
    study.run(trials=trials, slots=1, progress=False)
    return path
