"""How a loss depends on the resource (epochs, steps) that was spent on it: models of the covariance over (x, r).

All have the form, over configurations x and resources r (in units of the largest, so that r <= 1),

    mean m(r)        covariance  sum_t A_t(r, r') k_t(x, x')

with k_t Matérn-5/2 (:mod:`.kernel`). As few different resources occur, m and A_t are tabulated
over the R of them, together with their derivatives.

plain      m(r) = m, A = s^2: the resource is ignored, or is a feature of x (:class:`~.features.Features`), which
           is the model ``matern``
expdecay   f(x, r) = gamma e^(-lambda r) + f0(x) (1 - delta e^(-lambda r)) with lambda ~ Gamma(alpha, beta)
           integrated out (Tiao, Klein et al., arXiv 2003.10865, section 3.2, after Swersky et al., arXiv
           1406.3896, which is delta = 0):

               kappa(r) = (beta / (r + beta))^alpha
               m(r)     = m + kappa(r) (gamma - delta m)
               A_0      = s^2 [1 - delta (kappa(r) + kappa(r') - delta kappa(r + r'))]
               A_1      = (gamma - delta m)^2 [kappa(r + r') - kappa(r) kappa(r')]       with k_1 = 1

decay      configurations differ in how far they are from their end: f(x, r) = f0(x) + (gamma + g(x)) e^(-lambda r)
           with g another Gaussian process:

               m(r) = m + gamma kappa(r)    A_0 = s^2    A_1 = t^2 kappa(r + r')

Which is best was measured by what is found with it: successive halving with 8 workers on the 17 LCBench tasks, mean
rank among these three, adbo and random after 200 / 400 / 600 epochs in all, and mean normalised regret (0: the best
of 1000 random configurations trained to the end, 1: the median one; one seed):

    random     4.24 / 4.41 / 4.35    0.462 / 0.314 / 0.224
    adbo       3.76 / 3.76 / 3.91    0.337 / 0.230 / 0.155
    expdecay   2.68 / 2.44 / 2.29    0.248 / 0.114 / 0.032
    matern     2.24 / 2.32 / 2.50    0.185 / 0.076 / 0.039
    decay      2.09 / 2.06 / 1.94    0.142 / 0.062 / 0.003

As a predictor of the end from such data (tests/benchmarks/gp_resources.py) ``matern`` has the best density mostly,
as the others trust in a decay that curves only roughly have; but ``decay`` ranks untried configurations better on
LCBench (0.64 against 0.51 with 90 trials), and worse where what is good early is bad in the end (AlexNet).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from aiohpo.plugin import FloatArray


@dataclass(frozen=True, slots=True)
class Prior:
    """A normal prior on one parameter, and its bounds; ``log``: of the parameter's logarithm."""

    name: str
    mean: float
    std: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Table:
    """A model at R resources: mean (R,), amplitudes (T, R, R) and their derivatives by each of P parameters,
    (P, R) and (P, T, R, R)."""

    mean: FloatArray
    amplitudes: FloatArray
    dmean: FloatArray
    damplitudes: FloatArray


class ResourceModel(Protocol):
    """``kernels`` says of each term which Matérn kernel it has: 0, 1, or -1 for k = 1."""

    kernels: tuple[int, ...]
    priors: tuple[Prior, ...]

    def table(self, p: FloatArray, r: FloatArray) -> Table:
        """Evaluate at parameters ``p`` (P,) and resources ``r`` (R,)."""
        ...


_COMMON = (Prior("mean", 0.0, 1.0, -5.0, 5.0), Prior("log scale", 0.0, 0.3, -3.5, 2.5))


def kappa(r: FloatArray, log_rate: float, log_shape: float) -> tuple[FloatArray, FloatArray]:
    """Return E[e^(-lambda r)] for lambda ~ Gamma with mean exp(log_rate) and shape exp(log_shape), and its
    derivatives by the two, stacked first."""
    shape = np.exp(log_shape)
    u = r * np.exp(log_rate) / shape
    value = np.exp(-shape * np.log1p(u))
    share = u / (1.0 + u)
    return value, value * np.stack([-shape * share, shape * (share - np.log1p(u))])


class MaternModel:
    """A constant mean and one Matérn kernel."""

    kernels = (0,)
    priors = _COMMON

    def table(self, p: FloatArray, r: FloatArray) -> Table:
        ones = np.ones((len(r), len(r)))
        variance = np.exp(2.0 * p[1])
        zeros = np.zeros((1, len(r), len(r)))
        return Table(
            np.full(len(r), p[0]),
            variance * ones[None],
            np.stack([np.ones(len(r)), np.zeros(len(r))]),
            np.stack([zeros, 2.0 * variance * ones[None]]),
        )


# With r in units of the largest, a rate of 8 has decayed to 1/e after an eighth of the steps. The published bounds
# (Syne Tune's) are in steps and wider; the prior keeps few data from explaining everything by an extreme decay.
_DECAY = (
    Prior("gamma", 1.0, 2.0, -10.0, 10.0),
    Prior("log rate", 2.1, 1.5, -3.0, 7.0),
    Prior("log shape", 0.0, 1.0, -3.0, 4.0),
)


class ExpDecayModel:
    """The exponential decay model; ``delta`` in [0, 1] interpolates freeze-thaw (0) and pure scaling (1)."""

    kernels = (0, -1)
    priors = (*_COMMON, *_DECAY, Prior("delta", 0.5, 0.5, 0.0, 1.0))

    def table(self, p: FloatArray, r: FloatArray) -> Table:
        m, log_scale, gamma, log_rate, log_shape, delta = p
        n, variance = len(r), np.exp(2.0 * log_scale)
        k, dk = kappa(r, log_rate, log_shape)
        kk, dkk = kappa(r[:, None] + r, log_rate, log_shape)
        offset = gamma - delta * m
        both = k[:, None] + k - delta * kk
        shape = 1.0 - delta * both
        common = kk - np.outer(k, k)
        dcommon = dkk - dk[:, :, None] * k - k[:, None] * dk[:, None, :]
        dshape = -delta * (dk[:, :, None] + dk[:, None, :] - delta * dkk)
        zero = np.zeros((n, n))
        dmean = np.stack(
            [1.0 - delta * k, np.zeros(n), k, offset * dk[0], offset * dk[1], -m * k],
        )
        damplitudes = np.stack(
            [
                np.stack([zero, -2.0 * offset * delta * common]),
                np.stack([2.0 * variance * shape, zero]),
                np.stack([zero, 2.0 * offset * common]),
                np.stack([variance * dshape[0], offset**2 * dcommon[0]]),
                np.stack([variance * dshape[1], offset**2 * dcommon[1]]),
                np.stack([variance * (delta * kk - both), -2.0 * offset * m * common]),
            ]
        )
        return Table(m + k * offset, np.stack([variance * shape, offset**2 * common]), dmean, damplitudes)


class DecayModel:
    """Configurations differ in how far they are from their end."""

    kernels = (0, 1)
    priors = (*_COMMON, *_DECAY, Prior("log decay scale", -0.7, 1.0, -5.0, 2.5))

    def table(self, p: FloatArray, r: FloatArray) -> Table:
        m, log_scale, gamma, log_rate, log_shape, log_decay = p
        n, variance, second = len(r), np.exp(2.0 * log_scale), np.exp(2.0 * log_decay)
        k, dk = kappa(r, log_rate, log_shape)
        kk, dkk = kappa(r[:, None] + r, log_rate, log_shape)
        zero, flat = np.zeros((n, n)), np.full((n, n), variance)
        dmean = np.stack([np.ones(n), np.zeros(n), k, gamma * dk[0], gamma * dk[1], np.zeros(n)])
        damplitudes = np.stack(
            [
                np.stack([zero, zero]),
                np.stack([2.0 * flat, zero]),
                np.stack([zero, zero]),
                np.stack([zero, second * dkk[0]]),
                np.stack([zero, second * dkk[1]]),
                np.stack([zero, 2.0 * second * kk]),
            ]
        )
        return Table(m + gamma * k, np.stack([flat, second * kk]), dmean, damplitudes)
