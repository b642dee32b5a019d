"""Correlations with one lengthscale per group of features, and what their gradients need.

With s the squared distance of two rows, each feature divided by its lengthscale, and a = sqrt(5 s), Matérn-5/2 is

    M  = (1 + a + a^2 / 3) exp(-a)            dM/ds = -5/6 (1 + a) exp(-a)

and two scales, detail and trend, are

    k  = (M + T) / 2        T = 1 / (1 + s / (2 LONG^2))        dT/ds = -T^2 / (2 LONG^2)

with T the rational quadratic correlation for alpha = 1 and a lengthscale LONG times as long (Rasmussen and Williams,
2006, eq. 4.17 and 4.19). All are smooth at s = 0. Losses have a trend over the whole space, and detail in it. With one
scale, whatever explains the detail knows of no trend, so that a search stays in the basin that it is in; or the detail
is taken for noise.

By tests/benchmarks/gp_predictions.py, on 27 data sets of 50 observations (shifted and rotated functions): mean negative
log density of the targets anywhere and close to the best, rank correlation of predicted and true losses in the same
places, and the share of the space that promises more than the place of the optimum, with lengthscales that are alike:

                density          correlation     promise
    M         1.091  0.436      0.559  0.476      0.074
    k         1.023  0.394      0.678  0.490      0.019

With LONG = 3, 5 and 7.7 the correlation anywhere was 0.620, 0.628 and 0.631 where that of M was 0.523 (30 data sets).
A long Matérn-5/2 instead of T, and other shares than a half, are as good; T costs but a division. For learning curves
(tests/benchmarks/gp_resources.py) two scales are a little worse than M.

No array of n x n x e is ever made: for any
coefficients C (n, m), with w_f = 1 / lengthscale^2,

    sum_ij C_ij w_f (a_if - b_jf)^2 = w_f (row_i a_if^2 + column_j b_jf^2 - 2 a_f^T C b_f)

where row and column are the sums of C, so that gradients cost a matrix product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohpo.plugin import FloatArray

    Correlation = Callable[[FloatArray], tuple[FloatArray, FloatArray]]

LONG = 5.0  # the lengthscale of the trend, in lengthscales of the detail


def squared_distances(A: FloatArray, B: FloatArray, weight: FloatArray) -> FloatArray:
    """Return the weighted squared distances (n, m) between rows of ``A`` (n, e) and ``B`` (m, e)."""
    root = np.sqrt(weight)
    a, b = A * root, B * root
    square = a @ (-2.0 * b.T)
    square += np.einsum("ij,ij->i", a, a)[:, None]
    square += np.einsum("ij,ij->i", b, b)
    if A is B:
        np.fill_diagonal(square, 0.0)
    return np.maximum(square, 0.0, out=square)


def matern(square: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return M and dM/ds for squared distances of any shape."""
    a = np.sqrt(5.0 * square)
    decay = np.exp(-a)
    a += 1.0
    a *= decay
    decay *= square
    decay *= 5.0 / 3.0
    decay += a
    a *= -5.0 / 6.0
    return decay, a


def two_scales(square: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return k and dk/ds for squared distances of any shape."""
    value, slope = matern(square)
    trend = 1.0 / (1.0 + square * (0.5 / LONG**2))
    value += trend
    value *= 0.5
    trend *= trend
    trend *= 0.5 / LONG**2
    slope -= trend
    slope *= 0.5
    return value, slope


def weighted_squares(C: FloatArray, A: FloatArray) -> FloatArray:
    """Return (e,): sum_ij C_ij (a_if - a_jf)^2 for symmetric ``C`` (n, n) and ``A`` (n, e)."""
    return np.asarray(2.0 * (C.sum(axis=1) @ (A * A) - np.einsum("if,if->f", A, C @ A)))


def pull(C: FloatArray, A: FloatArray, B: FloatArray) -> FloatArray:
    """Return (n, e): sum_j C_ij (a_if - b_jf), for ``C`` (n, m)."""
    return np.asarray(A * C.sum(axis=1)[:, None] - C @ B)
