"""A multilayer perceptron of plain, residual or densely connected blocks for two classes, with its training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiohpo import Categorical, Float, Int, Space

Matrix = NDArray[Any]

SPACE = Space(
    connection=Categorical(["plain", "residual", "dense"], default="residual"),
    blocks=Int(1, 4, default=2),
    layers=Int(1, 2, default=1),
    width=Int(16, 96, log=True, default=32),
    activation=Categorical(["relu", "tanh", "swish"], default="relu"),
    normalisation=Categorical(["none", "layer"], default="none"),
    dropout=Float(0.0, 0.5, default=0.0),
    optimizer=Categorical(["sgd", "rmsprop", "adam"], default="adam"),
    learning_rate=Float(1e-4, 1e-1, log=True, default=1e-3),
    momentum=Float(0.5, 0.99, default=0.9),
    weight_decay=Float(1e-6, 1e-1, log=True, default=1e-4),
    batch_size=Int(32, 512, log=True, default=128),
    schedule=Categorical(["constant", "linear", "cosine"], default="constant"),
    label_smoothing=Float(0.0, 0.2, default=0.0),
    epochs=Int(10, 60, log=True, default=30),
)

_SQUARES = 0.999  # decay of the mean square of gradients: Adam's and RMSprop's
_TINY = 1e-7


def _sigmoid(z: Matrix) -> Matrix:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(z, -30.0, 30.0))), dtype=np.float32)


class _Layer:
    """Affine, normalised if wanted, active, with dropout: x (n, inputs) to (n, width)."""

    def __init__(self, inputs: int, config: Mapping[str, Any], rng: np.random.Generator) -> None:
        width = config["width"]
        self.weights = (rng.normal(size=(inputs, width)) * np.sqrt(2.0 / inputs)).astype(np.float32)
        self.bias = np.zeros(width, np.float32)
        self.width, self._config, self._rng = width, config, rng
        self.slopes: list[Matrix] = []

    def parameters(self) -> list[Matrix]:
        return [self.weights, self.bias]

    def forward(self, x: Matrix, training: bool) -> Matrix:
        z = x @ self.weights + self.bias
        if self._config["normalisation"] == "layer":
            z = z - z.mean(axis=1, keepdims=True)
            self._spread = np.sqrt(np.square(z).mean(axis=1, keepdims=True) + 1e-5)
            z = z / self._spread
        self._x, self._z = x, z
        a, self._derivative = _active(self._config["activation"], z)
        rate = self._config["dropout"]
        if training and rate > 0:
            mask = (self._rng.random(a.shape, np.float32) >= rate) / np.float32(1.0 - rate)
            self._derivative = self._derivative * mask
            a = a * mask
        return a

    def backward(self, slope: Matrix) -> Matrix:
        slope = slope * self._derivative
        if self._config["normalisation"] == "layer":
            along = (slope * self._z).mean(axis=1, keepdims=True)
            slope = (slope - slope.mean(axis=1, keepdims=True) - self._z * along) / self._spread
        self.slopes = [self._x.T @ slope, slope.sum(axis=0)]
        return np.asarray(slope @ self.weights.T)


def _active(name: str, z: Matrix) -> tuple[Matrix, Matrix]:
    """Return the activation and its derivative."""
    if name == "relu":
        return np.maximum(z, 0), (z > 0).astype(np.float32)
    if name == "tanh":
        a = np.tanh(z)
        return a, 1.0 - np.square(a)
    s = _sigmoid(z)
    return z * s, s * (1.0 + z * (1.0 - s))


class Network:
    """Blocks, then a logistic output. A residual block adds what it computes to its input, a dense one appends it."""

    def __init__(self, inputs: int, config: Mapping[str, Any], rng: np.random.Generator) -> None:
        self._connection = config["connection"]
        self.blocks: list[list[_Layer]] = []
        width = inputs
        if self._connection == "residual":  # its inputs and outputs must have one width
            self.blocks.append([_Layer(inputs, config, rng)])
            width = config["width"]
        for _ in range(config["blocks"]):
            block = []
            into = width
            for _ in range(config["layers"]):
                block.append(_Layer(into, config, rng))
                into = config["width"]
            self.blocks.append(block)
            width = width + into if self._connection == "dense" else into
        self.out = np.zeros(width, np.float32)
        self.bias = np.zeros(1, np.float32)

    def parameters(self) -> list[Matrix]:
        """Return all arrays that are learned."""
        return [p for block in self.blocks for layer in block for p in layer.parameters()] + [self.out, self.bias]

    def logits(self, x: Matrix, training: bool = False) -> Matrix:
        """Return (n,) the logit of the second class."""
        for number, block in enumerate(self.blocks):
            before = x
            for layer in block:
                x = layer.forward(x, training)
            if self._connection == "dense":
                x = np.concatenate([before, x], axis=1)
            elif self._connection == "residual" and number:
                x = before + x
        self._last = x
        return np.asarray(x @ self.out + self.bias)

    def gradient(self, slope: Matrix) -> list[Matrix]:
        """Return the gradient by every parameter, given that by the logits (n,) of the last forward pass."""
        last: list[Matrix] = [self._last.T @ slope, np.array([slope.sum()], np.float32)]
        down = slope[:, None] * self.out
        for number in reversed(range(len(self.blocks))):
            block = self.blocks[number]
            through = down
            if self._connection == "dense":
                through = down[:, -block[-1].width :]
            into = through
            for layer in reversed(block):
                into = layer.backward(into)
            if self._connection == "dense":
                into = into + down[:, : -block[-1].width]
            elif self._connection == "residual" and number:
                into = into + down
            down = into
        return [s for block in self.blocks for layer in block for s in layer.slopes] + last

    def probability(self, x: Matrix) -> Matrix:
        """Return (n,) the probability of the second class."""
        return _sigmoid(self.logits(x))


def train(config: Mapping[str, Any], x: Matrix, y: NDArray[np.int64], seed: int) -> Network:
    """Train a network on x (n, d) and classes y (n,); NaN and infinities are left to the reader of the predictions."""
    rng = np.random.default_rng(seed)
    network = Network(x.shape[1], config, rng)
    parameters = network.parameters()
    means, squares = ([np.zeros_like(p) for p in parameters] for _ in range(2))
    target = y.astype(np.float32) * (1 - config["label_smoothing"]) + config["label_smoothing"] / 2
    size = config["batch_size"]
    steps = config["epochs"] * -(-len(x) // size)
    count = 0
    for _ in range(config["epochs"]):
        order = rng.permutation(len(x))
        for begin in range(0, len(x), size):
            rows = order[begin : begin + size]
            slope = (_sigmoid(network.logits(x[rows], training=True)) - target[rows]) / np.float32(len(rows))
            gradients = network.gradient(slope)
            rate = config["learning_rate"] * _scheduled(config["schedule"], count / steps)
            count += 1
            for p, g, mean, square in zip(parameters, gradients, means, squares, strict=True):
                p -= np.float32(rate * config["weight_decay"]) * p
                p -= np.float32(rate) * _direction(config, g, mean, square, count)
    return network


def _scheduled(schedule: str, done: float) -> float:
    if schedule == "constant":
        return 1.0
    return 1.0 - done if schedule == "linear" else 0.5 * (1.0 + float(np.cos(np.pi * done)))


def _direction(config: Mapping[str, Any], g: Matrix, mean: Matrix, square: Matrix, count: int) -> Matrix:
    """Return the step to be taken at rate one, and keep ``mean`` and ``square`` up to date."""
    momentum = config["momentum"]
    if config["optimizer"] == "sgd":
        mean *= momentum
        mean += g
        return mean
    square += (1 - _SQUARES) * (g * g - square)
    rooted = np.sqrt(square / (1 - _SQUARES**count)) + _TINY
    if config["optimizer"] == "rmsprop":
        mean *= momentum
        mean += (1 - momentum) * g / rooted
        return mean
    mean += (1 - momentum) * (g - mean)
    return np.asarray(mean / (1 - momentum**count) / rooted, dtype=np.float32)
