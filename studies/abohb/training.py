"""Train the networks of the study on the data set electricity, once, and keep their curves and times.

    python -m studies.abohb.training FOLDER     FOLDER holds data_electricity.npz

Every configuration of a grid is trained for 81 epochs: two hidden layers of rectified linear units with dropout, Adam
with decoupled weight decay. It takes some minutes of CPU time, and writes studies/data/electricity_mlp.npz.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from ..framework import electricity

Matrix = NDArray[np.float32]

TRAINING, VALIDATION = 2_000, 4_000  # examples, drawn from the whole data set


class Network:
    """Two hidden layers of ``units`` each and a logistic output; all weights are one vector, for Adam's sake."""

    def __init__(self, inputs: int, units: int, rng: np.random.Generator) -> None:
        self._shapes = [(inputs + 1, units), (units + 1, units), (units + 1, 1)]
        sizes = [rows * columns for rows, columns in self._shapes]
        self.weights = np.empty(sum(sizes), np.float32)
        self.gradient = np.empty_like(self.weights)
        self._layers = self._views(self.weights)
        self._slopes = self._views(self.gradient)
        for layer in self._layers:
            layer[:] = rng.normal(scale=np.sqrt(2.0 / len(layer)), size=layer.shape)
            layer[-1] = 0.0
        self._mean, self._square = np.zeros_like(self.weights), np.zeros_like(self.weights)
        self._count = 0

    def _views(self, vector: Matrix) -> list[Matrix]:
        ends = np.cumsum([rows * columns for rows, columns in self._shapes])
        return [part.reshape(shape) for part, shape in zip(np.split(vector, ends[:-1]), self._shapes, strict=True)]

    def logits(self, x: Matrix) -> Matrix:
        for layer in self._layers[:-1]:
            x = np.maximum(x @ layer[:-1] + layer[-1], 0.0)
        logits: Matrix = x @ self._layers[-1][:-1] + self._layers[-1][-1]
        return logits

    def learn(self, x: Matrix, y: Matrix, rate: float, decay: float, dropout: float, rng: np.random.Generator) -> None:
        """One step of Adam on a batch."""
        inputs, kept = [x], []
        for layer in self._layers[:-1]:
            x = np.maximum(x @ layer[:-1] + layer[-1], 0.0)
            mask = (x > 0.0).astype(np.float32)
            if dropout:
                mask *= (rng.random(x.shape, np.float32) >= dropout) / np.float32(1.0 - dropout)
                x = x * mask
            inputs.append(x)
            kept.append(mask)
        z = x @ self._layers[-1][:-1] + self._layers[-1][-1]
        slope = (1.0 / (1.0 + np.exp(-np.clip(z, -30.0, 30.0))) - y) / len(y)
        for at in (2, 1, 0):
            self._slopes[at][:-1] = inputs[at].T @ slope
            self._slopes[at][-1] = slope.sum(axis=0)
            if at:
                slope = slope @ self._layers[at][:-1].T * kept[at - 1]
        self._step(rate, decay)

    def _step(self, rate: float, decay: float) -> None:
        self._count += 1
        self._mean += 0.1 * (self.gradient - self._mean)
        self._square += 0.001 * (self.gradient * self.gradient - self._square)
        rate = rate * np.sqrt(1.0 - 0.999**self._count) / (1.0 - 0.9**self._count)
        self.weights -= np.float32(rate) * (
            self._mean / (np.sqrt(self._square) + 1e-8) + np.float32(decay) * self.weights
        )


def examples(folder: Path) -> tuple[Matrix, Matrix, Matrix, Matrix]:
    """Return inputs and targets for training, and for validation."""
    with np.load(folder / "data_electricity.npz") as data:
        x, y = data["X"].astype(np.float32), data["y"].astype(np.float32)[:, None]
    chosen = np.random.default_rng(0).permutation(len(x))[: TRAINING + VALIDATION]
    x, y = x[chosen], y[chosen]
    x = (x - x[:TRAINING].mean(axis=0)) / x[:TRAINING].std(axis=0)
    return x[:TRAINING], y[:TRAINING], x[TRAINING:], y[TRAINING:]


def epochs(config: dict[str, float], seed: int, data: tuple[Matrix, Matrix, Matrix, Matrix]) -> Iterator[float]:
    """Train, and yield the validation error (the share that is wrong) after each epoch."""
    x, y, unseen, truth = data
    rng = np.random.default_rng(seed)
    network, batch = Network(x.shape[1], int(config["units"]), rng), int(config["batch_size"])
    for _ in range(electricity.EPOCHS):
        order = rng.permutation(len(x))
        for start in range(0, len(x), batch):
            some = order[start : start + batch]
            network.learn(x[some], y[some], config["learning_rate"], config["weight_decay"], config["dropout"], rng)
        yield float(((network.logits(unseen) > 0.0) != truth).mean())


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    data = examples(Path(sys.argv[1]))
    names, grid = list(electricity.LEVELS), list(itertools.product(*electricity.LEVELS.values()))
    error = np.empty((len(grid), electricity.EPOCHS), np.float32)
    seconds = np.empty_like(error)
    for row, values in enumerate(grid):
        began = time.process_time()
        for epoch, found in enumerate(epochs(dict(zip(names, values, strict=True)), row, data)):
            error[row, epoch], seconds[row, epoch] = found, time.process_time() - began
        if row % 50 == 49:
            print(f"{row + 1} of {len(grid)}, {time.process_time():.0f} s of CPU time", flush=True)
    electricity.save(error, seconds)


if __name__ == "__main__":
    main()
