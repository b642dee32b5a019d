"""What the decisions of the baselines cost on this machine, measured once and kept beside this module.

A cost is measured up to some number of observations n, and follows its power of n from there on: a forest of all
observations n ln n, an exact Gaussian process n^3 to fit and n^2 for each candidate.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .surrogates import CANDIDATES, MODELS, Surrogate

FILE = Path(__file__).with_name("manager_costs.json")
_SIZES = {"forest": (30, 100, 300, 1_000, 3_000, 10_000), "gp": (30, 100, 300, 1_000)}
_GROWTH: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "forest": (lambda n: n * math.log(n), math.log),
    "gp": (lambda n: n**3, lambda n: n**2),
}


class ManagerCosts:
    """Seconds of a fit to n observations, and of predicting CANDIDATES candidates with it."""

    def __init__(self, model: str, dimensions: int) -> None:
        kept = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
        key = f"{model}, {dimensions} parameters"
        if key not in kept:
            kept[key] = measure(model, dimensions)
            FILE.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        self._table: list[list[float]] = kept[key]
        self._growth = _GROWTH[model]

    def fit(self, n: int) -> float:
        return self._at(1, n)

    def predict(self, n: int) -> float:
        return self._at(2, n)

    def _at(self, column: int, n: int) -> float:
        sizes = [line[0] for line in self._table]
        seconds = [line[column] for line in self._table]
        if n <= sizes[-1]:
            return float(np.interp(n, sizes, seconds))
        grows = self._growth[column - 1]
        return seconds[-1] * grows(n) / grows(sizes[-1])

    def __repr__(self) -> str:
        return f"<ManagerCosts {self._table[-1]}>"


def measure(model: str, dimensions: int) -> list[list[float]]:
    """Return lines of n, the CPU seconds of a fit, and those of a prediction; the smallest of three."""
    rng = np.random.default_rng(0)
    lines = []
    for n in _SIZES[model]:
        X, y = rng.random((n, dimensions)), rng.normal(size=n)
        candidates = rng.random((CANDIDATES, dimensions))
        fits, predictions = [], []
        for _ in range(3):
            began = time.process_time()
            fitted: Surrogate = MODELS[model](X, y, rng, n)
            fits.append(time.process_time() - began)
            began = time.process_time()
            fitted.predict(candidates)
            predictions.append(time.process_time() - began)
        lines.append([n, round(min(fits), 4), round(min(predictions), 4)])
    return lines
