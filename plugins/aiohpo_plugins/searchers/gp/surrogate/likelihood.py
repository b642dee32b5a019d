"""The log posterior of a Gaussian process' hyperparameters, and its gradient.

Notation: n rows with features F (n, e), targets z (n,) and resource index l (n,) into R resources; hyperparameters
theta = [log lengthscales of each kernel, log noise standard deviation, parameters of the resource model]. With
C = sum_t A_t[l, l'] k_t(F, F') + noise^2 I, residual v = z - m[l] and a = C^-1 v,

    log p(z | theta) = -1/2 v^T a - 1/2 log |C| - n/2 log 2 pi
    d/dtheta         = 1/2 sum_ij W_ij dC_ij / dtheta + a^T dm / dtheta          W = a a^T - C^-1

(Rasmussen and Williams, 2006, eq. 5.8 and 5.9.) To it the log densities of normal priors on theta are added, so
that its maximum is a maximum a posteriori estimate:

lengthscales  log l ~ N(-1/2 + 1/2 log g, 1), g their number: the more columns, the less each is expected to matter,
              as in Hvarfner et al., arXiv 2402.02229, whose N(sqrt 2 + 1/2 log g, 3) is smoother. Independent, or
              *alike*: log l_j = c + e_j with a common c ~ N(-1/2 + 1/2 log g, 0.7^2) and e_j ~ N(0, 0.3^2), see below
noise         log noise ~ N(-4, 1): about a fiftieth of what losses vary. With a standard deviation of 2, ten
              observations are often explained as all noise, and the next ten are wasted
scale         log s ~ N(0, 0.3^2): targets are standardised. As evaluations gather at the best place found, a free
              scale shrinks, until nothing better is thought possible elsewhere

Medians of 10 seeds after 100 evaluations (worst in brackets), of which two more than parameters are initial; shifted
functions, augmented EI:

                                            Ackley-5        Hartmann-6        Levy-8
    N(0 + 1/2 log g, 1), log s ~ N(0, 1)    1.58 (2.39)    -3.203 (-3.203)    1.72 (11.4)
    N(0 + 1/2 log g, 1)                     2.06 (14.2)    -3.263 (-3.203)    0.92 (5.5)
    N(-1/2 + 1/2 log g, 1)                  1.95 (2.52)    -3.263 (-3.203)    0.94 (5.3)
    log noise ~ N(-5, 1)                    1.99 (18.1)    -3.263 (-3.203)    2.90 (5.9)

With ten observations in six dimensions, independent lengthscales are a coin toss: some are thought short and most long,
others after the next evaluation, and the search follows. Lengthscales that are alike can be learnt from a handful of
observations, and those that differ show it later. With 25 observations along an evolutionary search, mean negative log
density of targets anywhere and close to the best, and rank correlation of predicted and true losses there, on 16
functions of BBOB in 5 dimensions and in 8 spaces of real experiments (NAS-Bench-201 and -301, FCNet, HPOBench, LCBench,
rbv2), two seeds; e_j with the standard deviation given, and one or two scales (:mod:`.kernel`):

                              BBOB: density, correlation       real: density, correlation
    one, independent         1.549  -0.697   0.527  0.659     1.488  -1.330   0.577  0.687
    one, 0.25                1.328  -1.559   0.586  0.724     1.428  -1.187   0.567  0.653
    two, 0.15                1.359  -1.439   0.604  0.665     1.500  -1.123   0.545  0.624
    two, 0.25                1.315  -1.545   0.617  0.725     1.435  -1.191   0.570  0.647
    two, 0.3                 1.298  -1.544   0.621  0.724     1.413  -1.221   0.578  0.659
    two, 0.4                 1.283  -1.538   0.618  0.723     1.406  -1.271   0.584  0.679
    two, 0.3, and c 0.7      1.284  -1.524   0.624  0.718     1.398  -1.228   0.583  0.664

By tests/benchmarks/gp_predictions.py, on shifted and rotated functions, correlations are 0.604 and 0.444 with 0.15,
0.605 and 0.464 with 0.3, 0.600 and 0.467 with 0.4, and 0.438 and 0.375 with independent lengthscales. A common level of
standard deviation 0.7 instead of 1 changes little in any of these. It is for losses of which nothing but ripples is
known yet: short lengthscales everywhere are then explained by one number, and all evaluations go where the best was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs

from .kernel import matern, squared_distances, weighted_squares
from .resource import Prior

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aiohpo.plugin import FloatArray

    from .kernel import Correlation
    from .resource import ResourceModel, Table

NOISE = Prior("log noise", -4.0, 1.0, math.log(1e-4), math.log(1.0))
LENGTHSCALE = Prior("log lengthscale", -0.5, 1.0, -3.5, 6.0)  # and half the logarithm of their number
COMMON = 0.7  # standard deviation of what is common to lengthscales that are alike
ALIKE = 0.3  # standard deviation of lengthscales that are alike, about what is common to them
JITTER = 1e-9  # of the largest variance, the first time that factorising fails; then ten times more each time


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """What is learnt from.

    features  (n, e)
    level     (n,) index into ``resources``
    target    (n,)
    resources (R,) ascending, in units of the largest
    """

    features: FloatArray
    level: NDArray[np.intp]
    target: FloatArray
    resources: FloatArray

    def __len__(self) -> int:
        return len(self.target)

    def select(self, which: NDArray[np.intp] | slice) -> TrainingRows:
        return TrainingRows(self.features[which], self.level[which], self.target[which], self.resources)


@dataclass(frozen=True, slots=True)
class Parameters:
    """Hyperparameters by name: weights 1 / lengthscale^2 of each feature (K, e), the noise's standard deviation and
    the parameters of the resource model."""

    weights: FloatArray
    noise: float
    resource: FloatArray


class Likelihood:
    """The hyperparameters of one kind of Gaussian process: their layout, priors and posterior.

    ``alike`` says whether the lengthscales of a kernel have a common level a priori.
    """

    def __init__(
        self,
        model: ResourceModel,
        group: NDArray[np.intp],
        groups: int,
        alike: bool = False,
        correlation: Correlation = matern,
    ) -> None:
        self.model, self.group, self.groups, self.correlation = model, group, groups, correlation
        self.kernels = 1 + max(model.kernels)
        length = replace(LENGTHSCALE, mean=LENGTHSCALE.mean + 0.5 * math.log(groups))
        self.priors = [length] * (self.kernels * groups) + [NOISE, *model.priors]
        self.mean = np.array([p.mean for p in self.priors])
        prior = np.diag([p.std**2 for p in self.priors])
        if alike:
            for first in range(0, self.kernels * groups, groups):
                block = slice(first, first + groups)
                prior[block, block] = COMMON**2 + ALIKE**2 * np.eye(groups)
        self.prior_covariance = prior
        self._precision = np.linalg.inv(prior)
        self.bounds = [(p.low, p.high) for p in self.priors]

    def unpack(self, theta: FloatArray) -> Parameters:
        cut = self.kernels * self.groups
        lengths = theta[:cut].reshape(self.kernels, self.groups)
        return Parameters(np.exp(-2.0 * lengths[:, self.group]), math.exp(theta[cut]), theta[cut + 1 :])

    def covariance(self, rows: TrainingRows, p: Parameters, table: Table) -> FloatArray:
        """Return C without noise."""
        terms = [self.correlation(squared_distances(rows.features, rows.features, w))[0] for w in p.weights]
        return combine(self.model, table, terms, rows.level, rows.level)

    def negative(self, theta: FloatArray, rows: TrainingRows) -> tuple[float, FloatArray]:
        """Return minus the log posterior density, up to a constant, and its gradient (P,)."""
        p = self.unpack(theta)
        table = self.model.table(p.resource, rows.resources)
        F, level = rows.features, rows.level
        kernels = [self.correlation(squared_distances(F, F, w)) for w in p.weights]
        C = combine(self.model, table, [k for k, _ in kernels], level, level)
        factor = factorise(C, p.noise**2)
        residual = rows.target - table.mean[level]
        a = dpotrs(factor, residual, lower=1)[0]
        value = 0.5 * float(residual @ a) + float(np.log(np.diag(factor)).sum())
        inverse = dpotri(factor, lower=1, overwrite_c=1)[0]  # its lower triangle is that of C^-1, above are zeros
        W = inverse + inverse.T
        np.fill_diagonal(W, np.diagonal(inverse))
        np.subtract(np.outer(a, a), W, out=W)

        gradient = np.zeros_like(theta)
        cut = self.kernels * self.groups
        gradient[cut] = -(p.noise**2) * float(np.trace(W))
        by_amplitude = np.empty((len(self.model.kernels), len(rows.resources), len(rows.resources)))
        which = one_hot(level, len(rows.resources))
        for t, kernel in enumerate(self.model.kernels):
            WK = W if kernel < 0 else W * kernels[kernel][0]
            by_amplitude[t] = which.T @ WK @ which
            if kernel >= 0:
                M = W * kernels[kernel][1]
                M *= lookup(table.amplitudes[t], level, level)
                by_feature = -p.weights[kernel] * weighted_squares(M, F)  # dL / dlog l, of -1/2 sum W dC
                gradient[kernel * self.groups : (kernel + 1) * self.groups] += -np.bincount(
                    self.group, by_feature, self.groups
                )
        by_mean = which.T @ a
        gradient[cut + 1 :] = -0.5 * np.einsum("trs,ptrs->p", by_amplitude, table.damplitudes) - table.dmean @ by_mean
        off = theta - self.mean
        pull = self._precision @ off
        return value + 0.5 * float(off @ pull), gradient + pull


def one_hot(level: NDArray[np.intp], count: int) -> FloatArray:
    """Return (n, count): 1 where a row is of a level."""
    return np.asarray((level[:, None] == np.arange(count)).astype(np.float64))


def lookup(amplitude: FloatArray, one: NDArray[np.intp], two: NDArray[np.intp]) -> FloatArray | float:
    """Return amplitude[one_i, two_j] (n, m); a number if there is but one resource."""
    if len(amplitude) == 1:
        return float(amplitude[0, 0])
    return np.asarray(amplitude[one][:, two])


def combine(
    model: ResourceModel,
    table: Table,
    kernels: list[FloatArray],
    one: NDArray[np.intp],
    two: NDArray[np.intp],
) -> FloatArray:
    """Return sum_t A_t[one, two] k_t (n, m), as a new array."""
    total = np.zeros((len(one), len(two)))
    for t, kernel in enumerate(model.kernels):
        amplitude = lookup(table.amplitudes[t], one, two)
        total += amplitude if kernel < 0 else amplitude * kernels[kernel]
    return total


def factorise(C: FloatArray, noise: float) -> FloatArray:
    """Return the lower Cholesky factor (Fortran order) of ``C`` + noise I, with as much jitter as it takes.

    The diagonal of ``C`` is overwritten. Raises FloatingPointError for entries that are not finite.
    """
    diagonal = np.diagonal(C).copy()
    jitter, least = 0.0, JITTER * float(diagonal.max(initial=1e-12))
    while True:
        np.fill_diagonal(C, diagonal + (noise + jitter))
        factor, info = dpotrf(C.T, lower=1, clean=1)
        if info == 0 and math.isfinite(factor[-1, -1]):
            return np.asarray(factor)
        jitter = max(10.0 * jitter, least)
        if not jitter < 1e6 * least:
            raise FloatingPointError("the covariance has entries that are not finite, or is not a covariance")
