"""The ensemble as a function of its parameters, with analytic gradients.

    m(x; γ, α, β) = Σ_i softmax(γ)_i · c_i(p_i(x))

(Gouneau's report on DeepHyper at Argonne, eq. 2 and 3), where for classification c_i is softmax(exp(α_i)·z_i + β_i) of
log-probabilities z_i; with two classes that is σ(exp(α_i)·(z_i1 - z_i0) + β_i). The exponential keeps a model from
being turned around. What is minimised is the cross-entropy of the *ensemble*,

    L = -1/n Σ_x log m(x)[y] + prior/n · (|α|² + |β|²)

With responsibilities r_i(x) = w_i c_i(x)[y] / m(x)[y], the gradients are

    ∂L/∂γ_i = w_i - mean_x r_i        ∂L/∂(logits of i at x) = -r_i(x)·(onehot(y) - c_i(x)) / n

For regression c_i has mean a_i·μ_i + b_i and variance f_i·v_i + s_i, and the cross-entropy is that of a normal with
the mixture's mean M = Σ w_i μ_i and variance V = Σ w_i (v_i + μ_i²) - M².
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from aiohpo.calibrators import Affine, Calibrator, Scaling, log_probabilities, number, softmax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohpo.interfaces import FloatArray, IntArray

_LEAST_VARIANCE = 1e-6  # of the targets' variance


class Mixture(ABC):
    """Models' predictions and targets of some rows, under a common vector of parameters.

    The vector begins with γ (m,); what follows is each class's own.
    """

    m: int

    @abstractmethod
    def neutral(self) -> FloatArray:
        """Parameters, without γ, under which calibrators do (next to) nothing."""

    @abstractmethod
    def __call__(self, x: FloatArray) -> tuple[float, FloatArray]:
        """The loss with its prior, and its gradient."""

    @abstractmethod
    def predict(self, x: FloatArray) -> FloatArray:
        """The ensemble's predictions of these rows."""

    @abstractmethod
    def calibrators(self, x: FloatArray) -> list[Calibrator]:
        """Each model's calibrator."""

    def weights(self, x: FloatArray) -> FloatArray:
        return softmax(x[: self.m])


class BinaryMixture(Mixture):
    """Two classes: one logit per row. ``scaling`` may be ``temperature``, without β, or ``platt``."""

    def __init__(self, predictions: Sequence[FloatArray], y: IntArray, scaling: str, prior: float) -> None:
        z = [log_probabilities(p) for p in predictions]
        self._z = np.stack([each[:, 1] - each[:, 0] for each in z])
        self._sign = np.where(y == 1, 1.0, -1.0)
        self.m, self._n = self._z.shape
        self._shifted, self._prior = scaling != "temperature", prior / self._n

    def neutral(self) -> FloatArray:
        return np.zeros(self.m * (2 if self._shifted else 1))

    def _split(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        return x[self.m : 2 * self.m], x[2 * self.m :] if self._shifted else np.zeros(self.m)

    def __call__(self, x: FloatArray) -> tuple[float, FloatArray]:
        a, b = self._split(x)
        w, scale = self.weights(x), np.exp(a)
        hit = _sigmoid((scale[:, None] * self._z + b[:, None]) * self._sign)
        r = w[:, None] * hit
        mixed = r.sum(axis=0)
        r /= mixed
        slope = -r * (1.0 - hit) * (self._sign / self._n)
        gradient = [w - r.mean(axis=1), (slope * self._z).sum(axis=1) * scale + 2 * self._prior * a]
        if self._shifted:
            gradient.append(slope.sum(axis=1) + 2 * self._prior * b)
        value = -np.log(mixed).mean() + self._prior * (a @ a + b @ b)
        return float(value), np.concatenate(gradient)

    def predict(self, x: FloatArray) -> FloatArray:
        a, b = self._split(x)
        p = _average(self.weights(x), _sigmoid(np.exp(a)[:, None] * self._z + b[:, None]))
        return np.stack([1.0 - p, p], axis=1)

    def calibrators(self, x: FloatArray) -> list[Calibrator]:
        a, b = self._split(x)
        return [Scaling(number(float(s)), np.array([0.0, t])) for s, t in zip(np.exp(a), b, strict=True)]


class ClassMixture(Mixture):
    """Any number of classes: ``scaling`` is ``temperature``, ``platt`` (with shifts) or ``vector`` (and a scale per
    class)."""

    def __init__(self, predictions: Sequence[FloatArray], y: IntArray, scaling: str, prior: float) -> None:
        self._z = np.stack([log_probabilities(p) for p in predictions])
        self.m, self._n, self._k = self._z.shape
        self._y, self._prior = y, prior / self._n
        self._scales = self._k if scaling == "vector" else 1
        self._shifts = 0 if scaling == "temperature" else self._k

    def neutral(self) -> FloatArray:
        return np.zeros(self.m * (self._scales + self._shifts))

    def _split(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        a, b = np.split(x[self.m :], [self.m * self._scales])
        return a.reshape(self.m, self._scales), b.reshape(self.m, self._shifts)

    def _each(self, a: FloatArray, b: FloatArray) -> FloatArray:
        logits = np.exp(a)[:, None, :] * self._z
        if self._shifts:
            logits += b[:, None, :]
        return softmax(logits)

    def __call__(self, x: FloatArray) -> tuple[float, FloatArray]:
        a, b = self._split(x)
        w, p = self.weights(x), self._each(a, b)
        rows = np.arange(self._n)
        hit = p[:, rows, self._y]
        r = w[:, None] * hit
        mixed = r.sum(axis=0)
        r /= mixed
        slope = p * r[:, :, None]
        slope[:, rows, self._y] -= r
        slope /= self._n
        by_class = (slope * self._z).sum(axis=1)
        if self._scales == 1:
            by_class = by_class.sum(axis=1, keepdims=True)
        gradient = [w - r.mean(axis=1), (by_class * np.exp(a) + 2 * self._prior * a).ravel()]
        if self._shifts:
            gradient.append((slope.sum(axis=1) + 2 * self._prior * b).ravel())
        value = -np.log(mixed).mean() + self._prior * (np.square(a).sum() + np.square(b).sum())
        return float(value), np.concatenate(gradient)

    def predict(self, x: FloatArray) -> FloatArray:
        return _average(self.weights(x), self._each(*self._split(x)))

    def calibrators(self, x: FloatArray) -> list[Calibrator]:
        a, b = self._split(x)
        shifts = b if self._shifts else np.zeros((self.m, self._k))
        return [Scaling(scale, shift) for scale, shift in zip(np.exp(a), shifts, strict=True)]


class NormalMixture(Mixture):
    """Regression. Parameters after γ: slopes - 1, shifts, log of f and log of s, the last three in units of the
    targets' spread. ``like`` is a mixture whose units are used, so that parameters mean the same on other rows."""

    def __init__(
        self, predictions: Sequence[FloatArray], y: FloatArray, prior: float, like: NormalMixture | None = None
    ) -> None:
        raw = np.stack([np.asarray(p, dtype=np.float64) for p in predictions])
        self.m, self._n, self._k = raw.shape
        if like is None:
            self._centre, self._unit = float(y.mean()), float(y.std()) or 1.0
            residual = np.square((raw[:, :, 0] - y) / self._unit).mean(axis=1)
            self._noise = np.log(residual + _LEAST_VARIANCE)
        else:
            self._centre, self._unit, self._noise = like._centre, like._unit, like._noise
        self._y = (y - self._centre) / self._unit
        self._x = (raw[:, :, 0] - self._centre) / self._unit
        self._v = raw[:, :, 1] / self._unit**2 if self._k == 2 else None
        self._prior = prior / self._n

    def neutral(self) -> FloatArray:
        noise = self._noise if self._v is None else self._noise + np.log(0.5)
        factor = np.zeros(self.m) if self._v is not None else np.empty(0)
        return np.concatenate([np.zeros(2 * self.m), noise, factor])

    def _each(self, x: FloatArray) -> tuple[FloatArray, FloatArray, list[FloatArray]]:
        parts = np.split(x[self.m :], self.m * np.arange(1, 4))
        mean = (1.0 + parts[0])[:, None] * self._x + parts[1][:, None]
        variance = np.exp(parts[2])[:, None] + _LEAST_VARIANCE
        if self._v is not None:
            variance = variance + np.exp(parts[3])[:, None] * self._v
        return mean, variance, parts

    def _mixed(self, w: FloatArray, mean: FloatArray, variance: FloatArray) -> tuple[FloatArray, FloatArray]:
        centre = _average(w, mean)
        return centre, (w[:, None] * (variance + np.square(mean - centre))).sum(axis=0)

    def __call__(self, x: FloatArray) -> tuple[float, FloatArray]:
        w = self.weights(x)
        mean, variance, parts = self._each(x)
        centre, total = self._mixed(w, mean, variance)
        off = self._y - centre
        by_total = 0.5 * (1.0 / total - np.square(off / total)) / self._n
        by_centre = -off / total / self._n
        apart = mean - centre
        # V depends on M only through what cancels: ∂V/∂μ_i = 2 w_i (μ_i - M), ∂V/∂w_i = v_i + (μ_i - M)²
        by_mean = w[:, None] * (by_centre + 2 * by_total * apart)
        by_variance = w[:, None] * by_total
        by_weight = (by_centre * apart + by_total * (variance + np.square(apart))).sum(axis=1)
        gradient = [
            w * (by_weight - w @ by_weight),
            (by_mean * self._x).sum(axis=1) + 2 * self._prior * parts[0],
            by_mean.sum(axis=1) + 2 * self._prior * parts[1],
            by_variance.sum(axis=1) * np.exp(parts[2]) + 2 * self._prior * (parts[2] - self._noise),
        ]
        value = 0.5 * (np.log(2 * np.pi * total) + np.square(off) / total).mean() + self._prior * (
            parts[0] @ parts[0] + parts[1] @ parts[1] + np.square(parts[2] - self._noise).sum()
        )
        if self._v is not None:
            gradient.append((by_variance * self._v).sum(axis=1) * np.exp(parts[3]) + 2 * self._prior * parts[3])
            value += self._prior * (parts[3] @ parts[3])
        return float(value), np.concatenate(gradient)

    def predict(self, x: FloatArray) -> FloatArray:
        mean, variance, _ = self._each(x)
        centre, total = self._mixed(self.weights(x), mean, variance)
        return np.stack([centre * self._unit + self._centre, total * self._unit**2], axis=1)

    def calibrators(self, x: FloatArray) -> list[Calibrator]:
        _, _, parts = self._each(x)
        made: list[Calibrator] = []
        for i in range(self.m):
            slope = 1.0 + float(parts[0][i])
            shift = self._centre * (1.0 - slope) + float(parts[1][i]) * self._unit
            factor = float(np.exp(parts[3][i])) if self._v is not None else 0.0
            noise = (float(np.exp(parts[2][i])) + _LEAST_VARIANCE) * self._unit**2
            made.append(Affine(number(slope), number(shift), number(factor), number(noise)))
        return made


def mixture_for(
    predictions: Sequence[FloatArray], y: Any, task: str, scaling: str, prior: float, like: Mixture | None = None
) -> Mixture:
    """Return the mixture for these predictions; ``like`` for rows to be predicted with another one's parameters."""
    if task == "regression":
        return NormalMixture(predictions, y, prior, like if isinstance(like, NormalMixture) else None)
    if predictions[0].shape[1] == 2 and scaling != "vector":
        return BinaryMixture(predictions, y, scaling, prior)
    return ClassMixture(predictions, y, scaling, prior)


def _average(w: FloatArray, each: FloatArray) -> FloatArray:
    """Return Σ w_i each_i. Not with BLAS: its threads cost more than they save here, and would change last bits."""
    return np.asarray((w.reshape(-1, *[1] * (each.ndim - 1)) * each).sum(axis=0))


def _sigmoid(z: FloatArray) -> FloatArray:
    # bounded, so that a mixture's probability never becomes zero
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(z, -30.0, 30.0))))
