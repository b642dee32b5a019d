"""Fitting calibrators to a model's predictions on validation rows.

For classification with log-probabilities z and a prior that pulls towards doing nothing, the cross-entropy of
softmax(θ·features) is minimised by Newton's method; it is convex in θ:

    temperature  a·z_c                 one number
    platt        a·z_c + b_c           for two classes Platt scaling (1999); for more, temperature with shifts
    vector       a_c·z_c + b_c         vector scaling (Guo et al., ICML 2017)
    isotonic     a monotone curve per class, one against the rest (Zadrozny and Elkan, KDD 2002)

For regression every name but ``none`` means the affine map and variance of greatest normal likelihood: least squares
for the mean; for the variance f·v + s, or s alone where models give none.

A calibrator that is judged by the rows that it was fitted to flatters its model. :func:`cross_fit` therefore returns,
beside the calibrator of all rows, predictions of each row by one that has not seen it.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from aiohpo.ensembles.calibrators import Affine, Calibrator, Isotonic, Scaling, log_probabilities, number, softmax

from .lbfgs import lbfgs

if TYPE_CHECKING:
    from aiohpo.plugin import FloatArray, IntArray

CALIBRATIONS = ("none", "temperature", "platt", "vector", "isotonic")

# The prior's weight in rows: (a - 1)² and b² cost as much as this many nats. Without it a class that does not occur,
# or a model without errors, would drive parameters to infinity.
PRIOR = 1.0
_NEWTON = 30
_CLOSE = 1e-9
_LEAST_VARIANCE = 1e-6  # of the targets' variance: a model that fits its rows exactly is not sure of all others


def fit(name: str, p: FloatArray, y: Any, task: str, start: Calibrator | None = None) -> Calibrator | None:
    """Fit one model's calibrator.

    Args:
        name: one of CALIBRATIONS.
        p: (n, k) predictions.
        y: (n,) class indices, or numbers.
        task: "classification" or "regression".
        start: a calibrator of the same kind to begin with, of similar rows; only saves time.
    """
    if name == "none":
        return None
    if task == "regression":
        return _affine(np.asarray(p, dtype=np.float64), y)
    if name == "isotonic":
        return _isotonic(np.asarray(p, dtype=np.float64), y)
    return _scaling(name, log_probabilities(p), y, start if isinstance(start, Scaling) else None)


def cross_fit(name: str, p: FloatArray, y: Any, task: str, fold: IntArray) -> tuple[Calibrator | None, FloatArray]:
    """Return the calibrator of all rows, and each row's prediction (n, k) by that of the other folds' rows."""
    whole = fit(name, p, y, task)
    if whole is None or not fold.any():  # a single row cannot be held out
        return whole, p if whole is None else whole(p)
    parts = []
    for held in range(int(fold.max()) + 1):
        out = fold == held
        part = fit(name, p[~out], y[~out], task, whole)
        parts.append((out, p[out] if part is None else part(p[out])))
    calibrated = np.empty((len(y), parts[0][1].shape[1]), np.float64 if task == "regression" else np.float32)
    for out, values in parts:
        calibrated[out] = values
    return whole, calibrated


# ---------------------------------------------------------------------------------------- classification
def _scaling(name: str, z: FloatArray, y: IntArray, start: Scaling | None) -> Scaling:
    """Minimise Σ -log softmax(...)[y] + PRIOR·|θ - θ_0|², where θ_0 changes nothing."""
    k = z.shape[1]
    scales, shifts = (k if name == "vector" else 1), (0 if name == "temperature" else k)
    neutral = np.concatenate([np.ones(scales), np.zeros(shifts)])
    theta = neutral
    if start is not None:
        theta = np.concatenate([start.scale, start.shift[:shifts]])
    truth = np.zeros_like(z)
    truth[np.arange(len(y)), y] = 1.0

    def loss(theta: FloatArray) -> tuple[float, FloatArray]:
        p = softmax(theta[:scales] * z + (theta[scales:] if shifts else 0.0))
        off = theta - neutral
        nats = -np.log(np.maximum(p[truth > 0], 1e-300)).sum()
        return float(nats + PRIOR * (off @ off)), p

    value, p = loss(theta)
    for _ in range(_NEWTON):
        gradient, hessian = _derivatives(z, p, truth, scales, shifts)
        gradient += 2 * PRIOR * (theta - neutral)
        hessian[np.diag_indices_from(hessian)] += 2 * PRIOR
        step = np.linalg.solve(hessian, gradient)
        length = 1.0
        while True:
            new_value, new_p = loss(theta - length * step)
            if new_value <= value or length < 1e-4:
                break
            length /= 2
        if new_value > value:
            break
        gain, theta, value, p = value - new_value, theta - length * step, new_value, new_p
        if gain <= _CLOSE * len(y):
            break
    return Scaling(theta[:scales], theta[scales:] if shifts else np.zeros(k))


def _derivatives(z: FloatArray, p: FloatArray, truth: FloatArray, scales: int, shifts: int) -> Any:
    """Gradient and Hessian of the summed cross-entropy in (scales, shifts).

    With u_c the derivative of the c-th logit, the gradient is Σ (p - truth)·u and the Hessian Σ Cov_p(u, u).
    """
    off, k = p - truth, z.shape[1]
    if scales == 1:
        mean = (p * z).sum(axis=1)
        gradient = [np.array([(off * z).sum()])]
        corner = np.array([[((p * np.square(z)).sum(axis=1) - np.square(mean)).sum()]])
        side = (p * (z - mean[:, None])).sum(axis=0)[None, :]
    else:
        gradient = [(off * z).sum(axis=0)]
        pz = p * z
        corner = np.diag((pz * z).sum(axis=0)) - _gram(pz, pz)
        side = np.diag(pz.sum(axis=0)) - _gram(pz, p)
    if not shifts:
        return gradient[0], corner
    inner = np.diag(p.sum(axis=0)) - _gram(p, p)
    hessian = np.empty((scales + k, scales + k))
    hessian[:scales, :scales], hessian[:scales, scales:] = corner, side
    hessian[scales:, :scales], hessian[scales:, scales:] = side.T, inner
    return np.concatenate([gradient[0], off.sum(axis=0)]), hessian


def _gram(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return aᵀb without BLAS, whose last bits depend on its number of threads."""
    return np.asarray(np.einsum("ni,nj->ij", a, b))


def _isotonic(p: FloatArray, y: IntArray) -> Isotonic:
    from sklearn.isotonic import IsotonicRegression

    k = p.shape[1]
    xs, ys, sizes = [], [], []
    for c in range(1, 2) if k == 2 else range(k):
        # Laplace's rule at both ends: what never happened among n rows is not impossible
        lowest = 1.0 / (len(y) + 2)
        curve = IsotonicRegression(y_min=lowest, y_max=1 - lowest, out_of_bounds="clip").fit(p[:, c], y == c)
        xs.append(curve.X_thresholds_)
        ys.append(curve.y_thresholds_)
        sizes.append(len(xs[-1]))
    return Isotonic(np.concatenate(xs).astype(float), np.concatenate(ys).astype(float), np.array(sizes, dtype=float))


# -------------------------------------------------------------------------------------------- regression
def _affine(p: FloatArray, y: FloatArray) -> Affine:
    mean = p[:, 0]
    spread, scale = float(mean.var()), float(y.var()) or float(np.square(y).mean()) or 1.0
    slope = 1.0
    if spread > 1e-12 * scale:
        # as for classification, the prior is worth a row or so: slopes of short validation sets stay near one
        covariance = float(((mean - mean.mean()) * (y - y.mean())).mean())
        slope = (covariance + PRIOR * spread / len(y)) / (spread * (1 + PRIOR / len(y)))
    shift = float(y.mean() - slope * mean.mean())
    residual = np.square(y - slope * mean - shift)
    factor, noise = _variance(p[:, 1] if p.shape[1] == 2 else None, residual, _LEAST_VARIANCE * scale)
    return Affine(number(slope), number(shift), number(factor), number(noise))


def _variance(variance: FloatArray | None, residual: FloatArray, least: float) -> tuple[float, float]:
    """Return f and s of the normal variance f·v + s, both positive, under which the squares are likeliest."""
    constant = max(float(residual.mean()), least)
    if variance is None or not float(variance.mean()) > 0:
        return 0.0, constant
    unit, squares = variance / variance.mean(), residual / constant
    low, high = -20.0, 5.0  # of the logarithms

    def loss(theta: FloatArray) -> tuple[float, FloatArray]:
        f, s = np.exp(np.clip(theta, low, high))
        v = f * unit + s
        slope = 0.5 * (1 - squares / v) / v
        return 0.5 * float((np.log(v) + squares / v).mean()), np.array([(slope * unit).mean() * f, slope.mean() * s])

    theta = np.log([0.5, 0.5])
    for better in islice(lbfgs(loss, theta), _NEWTON):
        theta = better
    f, s = np.exp(np.clip(theta, low, high)) * constant
    return float(f / variance.mean()), float(s)
