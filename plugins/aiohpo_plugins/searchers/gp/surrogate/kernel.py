"""The Matérn-5/2 covariance with one lengthscale per group of features, and what its gradients need.

With s the squared distance of two rows, each feature divided by its lengthscale, and a = sqrt(5 s),

    k  = (1 + a + a^2 / 3) exp(-a)            dk/ds = -5/6 (1 + a) exp(-a)

(Rasmussen and Williams, 2006, eq. 4.17), finite and smooth at s = 0. No array of n x n x e is ever made: for any
coefficients C (n, m), with w_f = 1 / lengthscale^2,

    sum_ij C_ij w_f (a_if - b_jf)^2 = w_f (row_i a_if^2 + column_j b_jf^2 - 2 a_f^T C b_f)

where row and column are the sums of C, so that gradients cost a matrix product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from aiohpo.plugin import FloatArray


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
    """Return k and dk/ds for squared distances of any shape."""
    a = np.sqrt(5.0 * square)
    decay = np.exp(-a)
    a += 1.0
    a *= decay
    decay *= square
    decay *= 5.0 / 3.0
    decay += a
    a *= -5.0 / 6.0
    return decay, a


def weighted_squares(C: FloatArray, A: FloatArray) -> FloatArray:
    """Return (e,): sum_ij C_ij (a_if - a_jf)^2 for symmetric ``C`` (n, n) and ``A`` (n, e)."""
    return np.asarray(2.0 * (C.sum(axis=1) @ (A * A) - np.einsum("if,if->f", A, C @ A)))


def pull(C: FloatArray, A: FloatArray, B: FloatArray) -> FloatArray:
    """Return (n, e): sum_j C_ij (a_if - b_jf), for ``C`` (n, m)."""
    return np.asarray(A * C.sum(axis=1)[:, None] - C @ B)
