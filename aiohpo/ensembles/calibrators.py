"""Calibrators: small maps from a model's predictions to better ones, as plain data.

How they are fitted is the plugins' business; what they do must be the same wherever a saved ensemble is loaded, so
it is here.

    Scaling    softmax(a ∘ log p + b). One number a and no b: temperature scaling with temperature 1/a (Guo et al.,
               ICML 2017). Two classes, b = (0, β): Platt scaling σ(a·logit p + β). A vector a: vector scaling
    Isotonic   a monotone step-free curve per class, then rows that sum to one (Zadrozny and Elkan, KDD 2002)
    Affine     regression: mean' = slope·mean + shift, variance' = factor·variance + noise
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ..plugin import FloatArray

# Below this a probability is taken for it. Trees and neighbours say 0 where they mean "none of my few examples".
FLOOR = 1e-6


def log_probabilities(p: Any) -> FloatArray:
    """Return log p, in double precision, of probabilities that are not taken to be less than FLOOR."""
    return np.asarray(np.log(np.maximum(np.asarray(p, dtype=np.float64), FLOOR)))


def softmax(z: FloatArray) -> FloatArray:
    """Return the softmax over the last axis."""
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """``scale`` is (1,) or (k,), ``shift`` is (k,)."""

    scale: FloatArray
    shift: FloatArray

    def __call__(self, p: Any) -> FloatArray:
        """Map (n, k) probabilities to such."""
        return softmax(self.scale * log_probabilities(p) + self.shift)


@dataclass(frozen=True, slots=True, eq=False)
class Isotonic:
    """Knots of a piecewise linear curve for each class, one after the other in ``x`` and ``y``; ``sizes`` (k,) says
    how many each class has. Two classes have one curve, of the second."""

    x: FloatArray
    y: FloatArray
    sizes: FloatArray

    def __call__(self, p: Any) -> FloatArray:
        """Map (n, k) probabilities to such."""
        p = np.asarray(p, dtype=np.float64)
        ends = np.cumsum(self.sizes.astype(np.int64))
        columns = range(1, 2) if p.shape[1] == 2 else range(p.shape[1])
        curves = [
            np.interp(p[:, column], self.x[end - int(size) : end], self.y[end - int(size) : end])
            for column, size, end in zip(columns, self.sizes, ends, strict=True)
        ]
        if p.shape[1] == 2:
            return np.stack([1.0 - curves[0], curves[0]], axis=1)
        mapped = np.stack(curves, axis=1)
        total = mapped.sum(axis=1, keepdims=True)
        return np.where(total > 0, mapped / np.where(total > 0, total, 1.0), 1.0 / p.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """Four numbers, each as (1,)."""

    slope: FloatArray
    shift: FloatArray
    factor: FloatArray
    noise: FloatArray

    def __call__(self, p: Any) -> FloatArray:
        """Map (n, 1 or 2) means and variances to (n, 2)."""
        p = np.asarray(p, dtype=np.float64)
        variance = p[:, 1] if p.shape[1] == 2 else np.zeros(len(p))
        return np.stack([self.slope * p[:, 0] + self.shift, self.factor * variance + self.noise], axis=1)


Calibrator = Scaling | Isotonic | Affine
KINDS: dict[str, type[Any]] = {"scaling": Scaling, "isotonic": Isotonic, "affine": Affine}


def kind_of(calibrator: Calibrator) -> str:
    """Return the name under which a calibrator is saved."""
    return type(calibrator).__name__.lower()


def arrays_of(calibrator: Calibrator) -> dict[str, FloatArray]:
    """Return the arrays that make up a calibrator, by name."""
    return {f.name: getattr(calibrator, f.name) for f in fields(calibrator)}


def number(value: float) -> FloatArray:
    """Return ``value`` as (1,), as calibrators keep single numbers."""
    return np.array([value], dtype=np.float64)
