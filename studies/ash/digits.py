"""128 candidates of a grid for a network of one hidden layer on handwritten digits, trained for real.

aiohpo run studies/ash/digits.py --workers 2 --trials 128
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiohpo import Int, Space, Study, Trial

EPOCHS = 64
CANDIDATES = 128
_BATCH = 32

Matrix = NDArray[np.float64]


@cache
def _images() -> tuple[Matrix, NDArray[np.int64], Matrix, NDArray[np.int64]]:
    from sklearn.datasets import load_digits

    images, digits = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(digits))
    images, digits = images[order] / 16.0, digits[order]
    return images[:1200], digits[:1200], images[1200:], digits[1200:]


class Network:
    """Softmax over a layer of rectified linear units; stochastic gradient descent with momentum."""

    def __init__(self, width: int) -> None:
        rng = np.random.default_rng(1)
        shapes = ((64, width), (width,), (width, 10), (10,))
        self.weights = [rng.normal(0, (2 / shape[0]) ** 0.5, shape) * (len(shape) == 2) for shape in shapes]
        self.speeds = [np.zeros(shape) for shape in shapes]

    def train(self, rate: float, momentum: float, epoch: int) -> None:
        """Go through the training images once."""
        X, y, *_ = _images()
        for batch in np.array_split(np.random.default_rng(epoch).permutation(len(y)), len(y) // _BATCH):
            A, a, B, b = self.weights
            hidden = np.maximum(X[batch] @ A + a, 0)
            scores = hidden @ B + b
            wrong = np.exp(scores - scores.max(axis=1, keepdims=True))
            wrong /= wrong.sum(axis=1, keepdims=True)
            wrong[np.arange(len(batch)), y[batch]] -= 1
            wrong /= len(batch)
            back = (wrong @ B.T) * (hidden > 0)
            for weights, speed, slope in zip(
                self.weights, self.speeds, (X[batch].T @ back, back.sum(0), hidden.T @ wrong, wrong.sum(0)), strict=True
            ):
                speed *= momentum
                speed -= rate * slope
                weights += speed

    def error(self) -> float:
        """Return the part of the other images that is taken for another digit."""
        *_, X, y = _images()
        A, a, B, b = self.weights
        return float(np.mean((np.maximum(X @ A + a, 0) @ B + b).argmax(axis=1) != y))


# A grid is walked in order, so its points get better, or worse, for long stretches; shuffled they do not.
_GRID = list(
    product(
        (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0),  # rate
        (32, 64, 128, 256),  # width
        (0.0, 0.5, 0.9, 0.97),  # momentum
    )
)
_ORDER = np.random.default_rng(2).permutation(len(_GRID))


def train(trial: Trial) -> None:
    """Train one candidate."""
    rate, width, momentum = _GRID[_ORDER[trial["candidate"]]]
    network: Any = trial.restore() or Network(width)
    for epoch in trial.steps():
        network.train(rate, momentum, epoch)
    trial.report(network.error())
    trial.save(network)


space = Space(candidate=Int(0, CANDIDATES - 1))
study = Study(
    train,
    space,
    metric="error",
    max_steps=EPOCHS,
    searcher=f"grid:resolution={CANDIDATES}",
    scheduler="asha:eta=2,r_min=1",
)
