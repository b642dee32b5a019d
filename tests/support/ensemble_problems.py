"""Predictions to build ensembles from, shared by tests."""

from __future__ import annotations

import numpy as np


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def models(m: int = 10, n: int = 120, k: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return class probabilities (m, n, k) of models of various skill, and the truth (n,)."""
    rng = np.random.default_rng([seed, m, n, k])
    y = rng.integers(0, k, n)
    skill = rng.uniform(0.3, 2.0, (m, 1, 1))
    return softmax(rng.normal(size=(m, n, k)) + skill * np.eye(k)[y]).astype(np.float32), y


def numbers(m: int = 10, n: int = 120, k: int = 1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return means, or means and variances, (m, n, k), and the truth (n,)."""
    rng = np.random.default_rng([seed, m, n, k])
    y = 3.0 * rng.normal(size=n) + 20.0
    error = rng.uniform(0.5, 2.0, (m, 1))
    means = y + error * rng.normal(size=(m, n))
    both = np.stack([means, np.broadcast_to(error**2, means.shape)], axis=2)
    return both[:, :, :k].astype(np.float32), y
