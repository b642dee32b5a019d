"""Tests of the networks that the study of ensembles trains."""

from __future__ import annotations

import numpy as np
import pytest

from studies.ensembles.network import SPACE, Network, train


@pytest.mark.parametrize("connection", ["plain", "residual", "dense"])
@pytest.mark.parametrize("normalisation", ["none", "layer"])
def test_gradients_are_right(connection: str, normalisation: str) -> None:
    """They agree with finite differences in every kind of block."""
    rng = np.random.default_rng(0)
    changes = {"connection": connection, "normalisation": normalisation, "layers": 2, "width": 7, "activation": "tanh"}
    network = Network(5, {**SPACE.default(), **changes}, rng)
    for layer in (layer for block in network.blocks for layer in block):
        layer.weights, layer.bias = layer.weights.astype(float), rng.normal(size=layer.width)
    network.out, network.bias = rng.normal(size=network.out.shape), rng.normal(size=1)
    x, slope = rng.normal(size=(9, 5)), rng.normal(size=9)

    def loss() -> float:
        return float(slope @ network.logits(x))

    loss()
    gradients = network.gradient(slope)
    for parameter, gradient in zip(network.parameters(), gradients, strict=True):
        at, step = parameter.size // 2, 1e-5
        parameter.flat[at] += step
        above = loss()
        parameter.flat[at] -= 2 * step
        below = loss()
        parameter.flat[at] += step
        assert np.asarray(gradient).flat[at] == pytest.approx((above - below) / (2 * step), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam"])
def test_training_learns(optimizer: str) -> None:
    """Every optimiser finds what separates two classes."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(256, 3)).astype(np.float32)
    y = (x[:, 0] > x[:, 1]).astype(np.int64)
    changes = {"optimizer": optimizer, "learning_rate": 0.01, "epochs": 20, "batch_size": 32, "width": 16}
    network = train({**SPACE.default(), **changes}, x, y, seed=0)
    assert ((network.probability(x) > 0.5) == y).mean() > 0.95
