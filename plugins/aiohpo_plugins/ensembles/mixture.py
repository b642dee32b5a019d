"""The ensemble as a function of its parameters, with analytic gradients.

    m(x; γ, α, β, τ) ∝ (Σ_i softmax(γ)_i · c_i(p_i(x)))^exp(τ)

(Gouneau's report on DeepHyper at Argonne, eq. 2 and 3, where τ = 0). For classification c_i is
softmax(exp(α_i)·z_i + β_i) of log-probabilities z_i; with two classes that is σ(exp(α_i)·(z_i1 - z_i0) + β_i). The
exponential keeps a model from being turned around. The mean of calibrated models is less sure than it could be (Ranjan
and Gneiting, JRSS B 2010). Sharper models do not make up for that, because their disagreement would cost more than it
does; a temperature of the mean, exp(-τ), does. What is minimised is the cross-entropy of the *ensemble*,

    L = -1/n Σ_x log m(x)[y] + prior

Write q(x) for the weighted mean, e = exp(τ), and G_c(x) = e·([c = y] - m(x)[c]) / q(x)[c], which is -∂L/∂q(x)[c] but
for the factor 1/n. With g_i(x) = Σ_c c_i(x)[c]·G_c(x), the gradients are

    ∂L/∂γ_i = -w_i mean_x g_i               ∂L/∂(logits of i at x)[c] = -w_i c_i(x)[c]·(G_c - g_i) / n
    ∂L/∂τ   = -mean_x Σ_c e·([c = y] - m(x)[c])·log q(x)[c]

For regression c_i has mean a_i·μ_i + b_i and variance f_i·v_i + s_i, and the cross-entropy is that of a normal with
the mixture's mean M = Σ w_i μ_i and variance V = Σ w_i (v_i + μ_i²) - M². Where only means will be judged, V is
replaced by its average over rows: then L is least where the squared error is (else rows that are hard anyway would
count for less), and variances still are right on average.

Models of one search err alike: they are all too sure, or all too shy. So each calibration parameter is the sum of one
that all models share and one of the model's own, θ_i = θ_0 + δ_i, and the prior, in nats per row,

    (SHARED·(|θ_0|² + τ²) + own·Σ_i |δ_i|²) / n

lets what they share follow the data and holds each one near it; shifts β cost SHIFTS times as much as scales.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from aiohpo.ensembles.calibrators import FLOOR, Affine, Calibrator, Scaling, log_probabilities, number, softmax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohpo.ensembles.metrics import Metric
    from aiohpo.plugin import FloatArray, IntArray

# Measured on eight libraries of real models, 10 random splits. SHIFTS 1, 4 and 16 have losses of 0.983, 0.984 and 0.985
# of greedy selection's, calibration errors of 0.030, 0.030 and 0.028, and are worse than the best single model 7, 5 and
# 5 times of 80: few rows say little about many classes. With 150 validation rows SHARED and own 5 lose 1.4 % (standard
# error 0.7) of greedy selection's log-loss, 20 lose 0.05 % (0.3); with 400 rows they gain 0.1 % (1.0) and 0.7 % (0.7),
# with a calibration error a tenth smaller either way. On a library of 26 classes 5 would be better: losses of 0.94,
# 0.88 and 0.81 of greedy selection's with 150, 400 and 2,000 rows, and 0.95, 0.91 and 0.83 with 20.
SHARED, SHIFTS = 20.0, 2.0
_REGRESSION = 0.25  # what priors count for in regression, where 5 was measured
_LEAST_VARIANCE = 1e-6  # of the targets' variance
_ROUNDING = 1e-14  # relative
_LEAST_PROBABILITY = 1e-300  # its logarithm is still a number
_LEAST_SHARE = 0.05  # of what models think is noise; the rest may turn out to be disagreement


class Mixture(ABC):
    """Models' predictions and targets of some rows, under a common vector of parameters: γ (m,), θ_0 (p,), δ (m, p);
    for classification also τ, the last.

    m  models
    n  rows
    p  calibration parameters of a model; zeros do nothing, or next to nothing
    t  parameters of the mixture after averaging: 1, which is τ, or none
    """

    m: int
    n: int
    p: int
    t = 0
    _cost: FloatArray  # (p,) of each calibration parameter's square

    def __init__(self, own: float) -> None:
        self._own = own

    def begin(self, weights: FloatArray) -> FloatArray:
        """Parameters of these weights and of calibrators that do nothing."""
        return np.concatenate([np.log(weights), np.zeros(self.p * (self.m + 1) + self.t)])

    def weights(self, x: FloatArray) -> FloatArray:
        """w (m,)"""
        return softmax(x[: self.m])

    def _sharpness(self, x: FloatArray) -> float:
        """τ; 0 where there is none."""
        return float(x[-1]) if self.t else 0.0

    def _split(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """θ_0 (p,) and δ (m, p)"""
        shared, own = np.split(x[self.m : len(x) - self.t], [self.p])
        return shared, own.reshape(self.m, self.p)

    def _theta(self, x: FloatArray) -> FloatArray:
        """θ (m, p)"""
        shared, own = self._split(x)
        return np.asarray(shared + own)

    def __call__(self, x: FloatArray) -> tuple[float, FloatArray]:
        """The loss with its prior, and its gradient."""
        shared, own = self._split(x)
        tau = self._sharpness(x)
        value, by_weights, by_theta, by_tau = self._loss(self.weights(x), self._theta(x), tau)
        cost = self._cost / self.n
        prior = SHARED * ((cost * shared * shared).sum() + tau * tau / self.n) + self._own * (cost * own * own).sum()
        by_shared = by_theta.sum(axis=0) + 2 * SHARED * cost * shared
        by_own = (by_theta + 2 * self._own * cost * own).ravel()
        last = [by_tau + 2 * SHARED * tau / self.n] if self.t else []
        return float(value + prior), np.concatenate([by_weights, by_shared, by_own, last])

    def predict(self, x: FloatArray) -> FloatArray:
        """The ensemble's predictions of these rows."""
        return self._predict(self.weights(x), self._theta(x), self._sharpness(x))

    def calibrators(self, x: FloatArray) -> list[Calibrator]:
        """Each model's calibrator."""
        return [self._calibrator(i, theta) for i, theta in enumerate(self._theta(x))]

    def final(self, x: FloatArray) -> Calibrator | None:
        """The calibrator of their mixture; None where it has none."""
        return None

    @abstractmethod
    def _loss(self, w: FloatArray, theta: FloatArray, tau: float) -> tuple[float, FloatArray, FloatArray, float]:
        """The cross-entropy, and its gradient by γ (m,), by θ (m, p) and by τ."""

    @abstractmethod
    def _predict(self, w: FloatArray, theta: FloatArray, tau: float) -> FloatArray: ...

    @abstractmethod
    def _calibrator(self, i: int, theta: FloatArray) -> Calibrator: ...


class _Sharpened(Mixture):
    """Classes, of any number, whose mixture has a temperature."""

    t = 1
    _k: int  # classes

    def final(self, x: FloatArray) -> Calibrator:
        return Scaling(np.array([np.exp(self._sharpness(x))]), np.zeros(self._k))


class BinaryMixture(_Sharpened):
    """Two classes: one logit per row. ``scaling`` may be ``temperature``, with α only, or ``platt``, with β too."""

    _k = 2

    def __init__(self, predictions: Sequence[FloatArray], y: IntArray, scaling: str, own: float) -> None:
        super().__init__(own)
        z = [log_probabilities(p) for p in predictions]
        self._z = np.stack([each[:, 1] - each[:, 0] for each in z])
        self._sign = np.where(y == 1, 1.0, -1.0)
        self.m, self.n = self._z.shape
        self.p = 1 if scaling == "temperature" else 2
        self._cost = np.array([1.0, SHIFTS])[: self.p]

    def _logits(self, theta: FloatArray) -> FloatArray:
        logits = np.exp(theta[:, :1]) * self._z
        return logits if self.p == 1 else logits + theta[:, 1:]

    def _loss(self, w: FloatArray, theta: FloatArray, tau: float) -> tuple[float, FloatArray, FloatArray, float]:
        hit = _sigmoid(self._logits(theta) * self._sign)
        r = w[:, None] * hit
        mixed = r.sum(axis=0)
        r /= mixed
        logit = _logit(mixed)  # of the true class
        final = _sigmoid(np.exp(tau) * logit)
        miss = (1.0 - final) * np.exp(tau)
        # q·(G_y - G_other), which is one where τ = 0
        g = miss * ((mixed > FLOOR) + (1.0 - mixed > FLOOR) * mixed / np.maximum(1.0 - mixed, FLOOR))
        slope = -r * g * (1.0 - hit) * (self._sign / self.n)
        by_theta = [(slope * self._z).sum(axis=1) * np.exp(theta[:, 0]), slope.sum(axis=1)]
        by_weights = w * g.mean() - (r * g).mean(axis=1)
        by_tau = -float((miss * logit).mean())
        return float(-np.log(final).mean()), by_weights, np.stack(by_theta[: self.p], axis=1), by_tau

    def _predict(self, w: FloatArray, theta: FloatArray, tau: float) -> FloatArray:
        p = _average(w, _sigmoid(self._logits(theta)))
        p = _sigmoid(np.exp(tau) * _logit(p))
        return np.stack([1.0 - p, p], axis=1)

    def _calibrator(self, i: int, theta: FloatArray) -> Calibrator:
        return Scaling(np.exp(theta[:1]), np.array([0.0, 0.0 if self.p == 1 else theta[1]]))


class ClassMixture(_Sharpened):
    """Any number of classes: ``scaling`` is ``temperature``, ``platt`` (with shifts) or ``vector`` (and a scale per
    class)."""

    def __init__(self, predictions: Sequence[FloatArray], y: IntArray, scaling: str, own: float) -> None:
        super().__init__(own)
        self._z = np.stack([log_probabilities(p) for p in predictions])
        self.m, self.n, self._k = self._z.shape
        self._y = y
        self._scales = self._k if scaling == "vector" else 1
        self.p = self._scales + (0 if scaling == "temperature" else self._k)
        self._cost = np.where(np.arange(self.p) < self._scales, 1.0, SHIFTS)

    def _each(self, theta: FloatArray) -> FloatArray:
        logits = np.exp(theta[:, None, : self._scales]) * self._z
        if self.p > self._scales:
            logits += theta[:, None, self._scales :]
        return softmax(logits)

    def _loss(self, w: FloatArray, theta: FloatArray, tau: float) -> tuple[float, FloatArray, FloatArray, float]:
        each, rows = self._each(theta), np.arange(self.n)
        mixed = _average(w, each)
        log = log_probabilities(mixed)
        final = softmax(np.exp(tau) * log)
        hit = np.maximum(final[rows, self._y], _LEAST_PROBABILITY)
        miss = -np.exp(tau) * final
        miss[rows, self._y] += np.exp(tau)
        by_tau = -float((miss * log).sum() / self.n)
        g = np.where(mixed > FLOOR, miss, 0.0) / np.maximum(mixed, FLOOR)  # -∂L/∂m, for each row and class
        gain = (each * g).sum(axis=2)
        slope = -(w[:, None, None] / self.n) * each * (g - gain[:, :, None])
        by_scale = (slope * self._z).sum(axis=1)
        if self._scales == 1:
            by_scale = by_scale.sum(axis=1, keepdims=True)
        by_theta = [by_scale * np.exp(theta[:, : self._scales])]
        if self.p > self._scales:
            by_theta.append(slope.sum(axis=1))
        by_weights = -w * gain.mean(axis=1)
        by_weights -= w * by_weights.sum()  # nothing, but where q is below FLOOR
        return float(-np.log(hit).mean()), by_weights, np.concatenate(by_theta, axis=1), by_tau

    def _predict(self, w: FloatArray, theta: FloatArray, tau: float) -> FloatArray:
        return softmax(np.exp(tau) * log_probabilities(_average(w, self._each(theta))))

    def _calibrator(self, i: int, theta: FloatArray) -> Calibrator:
        scale, shift = np.split(theta, [self._scales])
        return Scaling(np.exp(scale), shift if len(shift) else np.zeros(self._k))


class NormalMixture(Mixture):
    """Regression, in units of the targets' spread. θ: slope - 1; shift; log of s, relative to the model's own mean
    squared error; and where models give variances, log of f, while s begins with half of that error.

    ``pooled``: V is replaced by its average. ``like`` is a mixture whose units are used, so that parameters mean the
    same on other rows.
    """

    def __init__(
        self,
        predictions: Sequence[FloatArray],
        y: FloatArray,
        own: float,
        pooled: bool = False,
        like: NormalMixture | None = None,
    ) -> None:
        super().__init__(own)
        self._pooled = pooled
        raw = np.stack([np.asarray(p, dtype=np.float64) for p in predictions])
        self.m, self.n, k = raw.shape
        self.p = 2 + k
        self._cost = np.full(self.p, _REGRESSION)
        if like is None:
            self._centre, self._unit = float(y.mean()), _unit(y)
            error = np.square((raw[:, :, 0] - y) / self._unit).mean(axis=1) + _LEAST_VARIANCE
            self._noise = error / k
        else:
            self._centre, self._unit, self._noise = like._centre, like._unit, like._noise
        self._y = (y - self._centre) / self._unit
        self._x = (raw[:, :, 0] - self._centre) / self._unit
        self._v = raw[:, :, 1] / self._unit**2 if k == 2 else None

    def _each(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        mean = (1.0 + theta[:, :1]) * self._x + theta[:, 1:2]
        variance = (self._noise * np.exp(theta[:, 2]))[:, None] + _LEAST_VARIANCE
        return mean, variance if self._v is None else variance + np.exp(theta[:, 3:]) * self._v

    @staticmethod
    def _mixed(w: FloatArray, mean: FloatArray, variance: FloatArray) -> tuple[FloatArray, FloatArray]:
        centre = _average(w, mean)
        return centre, _average(w, variance + np.square(mean - centre))

    def _loss(self, w: FloatArray, theta: FloatArray, tau: float) -> tuple[float, FloatArray, FloatArray, float]:
        mean, variance = self._each(theta)
        centre, total = self._mixed(w, mean, variance)
        off, apart = self._y - centre, mean - centre
        square = np.square(off)
        if self._pooled:
            total, square = np.full(self.n, total.mean()), np.full(self.n, square.mean())
        by_total = 0.5 * (1.0 - square / total) / total / self.n
        by_centre = -off / total / self.n
        # V depends on M only through what cancels: ∂V/∂μ_i = 2 w_i (μ_i - M), ∂V/∂w_i = v_i + (μ_i - M)²
        by_weight = (by_centre * apart + by_total * (variance + np.square(apart))).sum(axis=1)
        by_mean = w[:, None] * (by_centre + 2 * by_total * apart)
        by_variance = w[:, None] * by_total
        by_theta = [
            (by_mean * self._x).sum(axis=1),
            by_mean.sum(axis=1),
            by_variance.sum(axis=1) * self._noise * np.exp(theta[:, 2]),
        ]
        if self._v is not None:
            by_theta.append((by_variance * self._v).sum(axis=1) * np.exp(theta[:, 3]))
        value = 0.5 * (np.log(2 * np.pi * total) + square / total).mean()
        return float(value), w * (by_weight - (w * by_weight).sum()), np.stack(by_theta, axis=1), 0.0

    def _predict(self, w: FloatArray, theta: FloatArray, tau: float) -> FloatArray:
        centre, total = self._mixed(w, *self._each(theta))
        return np.stack([centre * self._unit + self._centre, total * self._unit**2], axis=1)

    def with_error(self, x: FloatArray, square: float) -> FloatArray:
        """Return parameters under which the variance of these rows is ``square`` on average, with the same means."""
        w = self.weights(x)
        mean, variance = self._each(self._theta(x))
        within = float(_average(w, variance).mean())
        between = float(self._mixed(w, mean, variance)[1].mean()) - within
        wanted = max(square / self._unit**2 - between, _LEAST_SHARE * within)
        x = x.copy()
        x[self.m + 2 : self.m + self.p] += np.log(wanted / within)
        return x

    def _calibrator(self, i: int, theta: FloatArray) -> Calibrator:
        slope = 1.0 + float(theta[0])
        shift = self._centre * (1.0 - slope) + float(theta[1]) * self._unit
        factor = 0.0 if self._v is None else float(np.exp(theta[3]))
        noise = float(self._noise[i] * np.exp(theta[2]) + _LEAST_VARIANCE) * self._unit**2
        return Affine(number(slope), number(shift), number(factor), number(noise))


def mixture_for(
    predictions: Sequence[FloatArray], y: Any, metric: Metric, scaling: str, own: float, like: Mixture | None = None
) -> Mixture:
    """Return the mixture for these predictions; ``like`` for rows to be predicted with another one's parameters."""
    if metric.task == "regression":
        same = like if isinstance(like, NormalMixture) else None
        return NormalMixture(predictions, y, own, metric.name != "nll", same)
    if predictions[0].shape[1] == 2 and scaling != "vector":
        return BinaryMixture(predictions, y, scaling, own)
    return ClassMixture(predictions, y, scaling, own)


def _average(w: FloatArray, each: FloatArray) -> FloatArray:
    """Return Σ w_i each_i. Not with BLAS: its threads cost more than they save here, and would change last bits."""
    return np.asarray((w.reshape(-1, *[1] * (each.ndim - 1)) * each).sum(axis=0))


def _unit(y: FloatArray) -> float:
    """Return the targets' standard deviation; of equal ones, for which rounding may give one, their magnitude."""
    spread, size = float(y.std()), float(np.abs(y).max())
    return spread if spread > _ROUNDING * size else size or 1.0


def _sigmoid(z: FloatArray) -> FloatArray:
    # bounded, so that a mixture's probability never becomes zero
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(z, -30.0, 30.0))))


def _logit(p: FloatArray) -> FloatArray:
    """Return log p - log(1 - p), neither of which is taken to be less than FLOOR."""
    return log_probabilities(p) - log_probabilities(1.0 - p)
