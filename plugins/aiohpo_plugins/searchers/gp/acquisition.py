"""The logarithm of expected improvement, accurate where the improvement itself is too small for a double.

Notation: mu, sigma  predicted mean and standard deviation of the loss; u = (best - mu) / sigma; phi, Phi  density
and distribution of the standard normal.

    EI = sigma h(u)          h(u) = phi(u) + u Phi(u)

Most of the space has u < -10, where h underflows and its gradient is zero, so that an optimiser that starts there
stays there. log h is computed in three pieces (Ament et al., arXiv 2310.20708, eq. 9):

    log h(u)                                                                      u > -1
    -u^2/2 - c1 + log(1 - exp(log(erfcx(-u / sqrt 2) |u|) + c2))                  -1/sqrt eps < u <= -1
    -u^2/2 - c1 - 2 log |u|                                                       otherwise

with c1 = log(2 pi) / 2 and c2 = log(pi / 2) / 2. Its derivative is Phi(u) / h(u).

With S fantasies of what is being evaluated, EI is the mean over them.

What is maximised is the augmented EI (Huang et al., 2006, eq. 14), EI times

    1 - tau / sqrt(sigma^2 + tau^2)          tau^2 the variance of the noise

which is small where the loss is known better than one more evaluation would tell. Without it there is a trap: a
loss with ripples finer than the lengthscales looks noisy, noise makes it seem worthwhile to evaluate the best place
again, and the more evaluations crowd there the more noise there seems to be. On shifted Ackley-5 every third study
ended so, 50 evaluations within 0.03 of each other at a loss of 14 to 20.

And it is multiplied by a belief that fades as 1 / n with n observations (Hvarfner et al., arXiv 2204.11051): that what
is good is inside the ranges of floats rather than at their ends,

    prod_j (WALL + 4 x_j (1 - x_j))^(1 / 2n)

A Gaussian process that knows little is least certain in the corners. In eight dimensions there are 256 of them, nearly
as far from each other as from what is known, and a search that knows little visits one after the other: on a rotated
Ackley-8, flat but for its funnel, all of the first 30 evaluations, and it was at 20.7 after 60 instead of at 10.6. The
ends of a list of levels are chosen as much as its middle, and are believed in as much.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, log_ndtr, logsumexp, ndtr

FloatArray = NDArray[np.float64]
_C1, _C2 = 0.5 * math.log(2.0 * math.pi), 0.5 * math.log(0.5 * math.pi)
WALL = 0.2
_FAR = -1.0 / math.sqrt(np.finfo(np.float64).eps)


def log_h(u: FloatArray) -> FloatArray:
    """Return log(phi(u) + u Phi(u)) for any finite ``u``."""
    near = np.maximum(u, -1.0)
    value = np.log(np.exp(-0.5 * near * near - _C1) + near * ndtr(near))
    if (low := u <= -1.0).any():
        w = u[low]
        middle = np.maximum(w, _FAR)
        inner = np.log(erfcx(-middle / math.sqrt(2.0)) * -middle) + _C2
        tail = np.where(w > _FAR, np.log(-np.expm1(np.minimum(inner, -1e-300))), -2.0 * np.log(-w))
        value[low] = -0.5 * w * w - _C1 + tail
    return value


def log_ei(mean: FloatArray, variance: FloatArray, best: FloatArray, noise: float) -> FloatArray:
    """Return (n,) for means (n, S), variances (n,), best losses (S,) and the variance of the noise."""
    sigma = np.sqrt(variance)
    each = log_h((best - mean) / sigma[:, None])
    whole = each[:, 0] if each.shape[1] == 1 else logsumexp(each, axis=1) - math.log(each.shape[1])
    return np.asarray(whole + np.log(sigma) + log_worth(variance, noise))


def log_worth(variance: FloatArray, noise: float) -> FloatArray:
    """Return the logarithm of the factor of the augmented expected improvement."""
    return np.log(-np.expm1(-0.5 * np.log1p(variance / noise)))


def log_belief(x: FloatArray) -> FloatArray:
    """Return (b,): the logarithm of the belief in floats ``x`` (b, k), each in [0, 1], after one observation."""
    return np.asarray(np.log(WALL + 4.0 * x * (1.0 - x)).sum(axis=1))


def log_belief_gradient(x: FloatArray) -> FloatArray:
    """Return (b, k): the derivatives of :func:`log_belief`."""
    return np.asarray(4.0 * (1.0 - 2.0 * x) / (WALL + 4.0 * x * (1.0 - x)))


def log_ei_gradient(
    mean: FloatArray, variance: FloatArray, best: FloatArray, noise: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return log EI (n,) and its derivatives by means (n, S) and variances (n,)."""
    sigma = np.sqrt(variance)
    u = (best - mean) / sigma[:, None]
    each = log_h(u)
    slope = np.exp(log_ndtr(u) - each)  # h' / h
    if each.shape[1] == 1:
        total, share = each[:, 0], np.ones_like(each)
    else:
        total = logsumexp(each, axis=1)
        share = np.exp(each - total[:, None])
    by_mean = -share * slope / sigma[:, None]
    # EI = sigma h(u) and du / dsigma = -u / sigma
    by_sigma = (1.0 - (share * slope * u).sum(axis=1)) / sigma
    worth = log_worth(variance, noise)
    by_variance = by_sigma / (2.0 * sigma) + np.exp(-worth - 1.5 * np.log1p(variance / noise)) / (2.0 * noise)
    return total - math.log(each.shape[1]) + np.log(sigma) + worth, by_mean, by_variance
