"""What is trained: three problems with hyperparameters that should change under way.

figure 2  the toy of the paper: Q(w) = 1.2 - w1^2 - w2^2 is to be maximised from (0.9, 0.9), but gradients are those of
          1.2 - h1 w1^2 - h2 w2^2. Two members begin with h = (1, 0) and (0, 1). The loss is 1.2 - Q. Ours begin at
          (0.9, 0.89): members of equal age are compared, and those two would be level for ever
descent   stochastic gradient descent on a parabola, in expectation: e' = (1 - r) e + r^2. A constant rate r ends in a
          ball of about its own size. The best schedule is known: r = e / 2, which leaves about 4 / n after n steps.
digits    multinomial logistic regression on handwritten digits by stochastic gradient descent, 100 updates of four
          images a step; the loss is how far the training loss, which is convex, lies above its minimum. Real images,
          and real noise: another seed draws the batches in another order
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiohpo import Float, Space

Config = Mapping[str, Any]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Task:
    """A problem.

    space       of the hyperparameters
    steps       of a training
    population  how many members train, and how many constant configurations at equal compute
    interval    steps between two chances to copy
    begin       the weights of a new model
    train       (weights, configuration, step, seed) -> (weights, loss); raises ArithmeticError where it diverges
    constants   the constant configurations of which the best is known in hindsight only
    firsts      the configurations that members begin with; none: random ones
    """

    space: Space
    steps: int
    population: int
    interval: int
    begin: Callable[[], Any]
    train: Callable[[Any, Config, int, int], tuple[Any, float]]
    constants: Sequence[Config]
    firsts: Sequence[Config] = ()


def _figure2(weights: Any, config: Config, step: int, seed: int) -> tuple[Any, float]:
    moved = [w - 0.01 * 2 * config[h] * w for w, h in zip(weights, ("h1", "h2"), strict=True)]
    return moved, sum(w * w for w in moved)


def _descent(error: Any, config: Config, step: int, seed: int) -> tuple[Any, float]:
    rate = config["rate"]
    error = (1 - rate) * error + rate**2
    return error, error


@cache
def best_descent(steps: int = 100) -> float:
    """Return where the best of all schedules ends in the task ``descent``."""
    error = 1.0
    for _ in range(steps):
        error, _ = _descent(error, {"rate": error / 2}, 0, 0)
    return float(error)


# -------------------------------------------------------------------------------------------------------- digits
_L2, _UPDATES, _BATCH = 1e-3, 100, 4


@cache
def _images() -> tuple[Matrix, NDArray[np.int64]]:
    from sklearn.datasets import load_digits

    images, digits = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(digits))[:1000]
    return np.column_stack([images[order] / 16.0, np.ones(len(order))]), digits[order]


def _loss_and_gradient(W: Matrix, X: Matrix, y: NDArray[np.int64]) -> tuple[float, Matrix]:
    scores = X @ W
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    rows = np.arange(len(y))
    loss = float(-np.log(p[rows, y] + 1e-300).mean() + _L2 / 2 * (W**2).sum())
    p[rows, y] -= 1.0
    return loss, X.T @ p / len(y) + _L2 * W


@cache
def _least() -> float:
    from scipy.optimize import minimize

    X, y = _images()

    def flat(w: Matrix) -> tuple[float, Matrix]:
        loss, gradient = _loss_and_gradient(w.reshape(65, 10), X, y)
        return loss, gradient.ravel()

    return float(minimize(flat, np.zeros(650), jac=True, method="L-BFGS-B", options={"maxiter": 5000}).fun)


def _digits(weights: Any, config: Config, step: int, seed: int) -> tuple[Any, float]:
    X, y = _images()
    W = weights.copy()
    for batch in np.random.default_rng([seed, step]).integers(len(y), size=(_UPDATES, _BATCH)):
        W -= config["rate"] * _loss_and_gradient(W, X[batch], y[batch])[1]
    loss = _loss_and_gradient(W, X, y)[0] - _least()
    if not math.isfinite(loss):
        raise ArithmeticError("diverged")
    return W, loss


TASKS = {
    "figure 2": Task(
        Space(h1=Float(0.0, 1.0), h2=Float(0.0, 1.0)),
        200,
        2,
        4,
        lambda: [0.9, 0.89],
        _figure2,
        [{"h1": 1.0, "h2": 0.0}, {"h1": 0.0, "h2": 1.0}],
        [{"h1": 1.0, "h2": 0.0}, {"h1": 0.0, "h2": 1.0}],
    ),
    "descent": Task(
        Space(rate=Float(1e-3, 1.0, log=True)),
        100,
        8,
        5,
        lambda: 1.0,
        _descent,
        [{"rate": float(rate)} for rate in np.geomspace(1e-3, 1.0, 400)],
    ),
    "digits": Task(
        Space(rate=Float(1e-3, 10.0, log=True)),
        100,
        8,
        5,
        lambda: np.zeros((65, 10)),
        _digits,
        [{"rate": float(rate)} for rate in np.geomspace(0.03, 0.4, 10)],
    ),
}
