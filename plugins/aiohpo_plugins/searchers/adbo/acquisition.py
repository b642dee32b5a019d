"""What a configuration promises, from a prediction of its loss: smaller is more promising.

Notation: mu, sigma  predicted mean and standard deviation of the (rescaled) loss; kappa  how much uncertainty is
worth; i = 1, 2, …  the trial that is being proposed, counted over the whole study after the initial design.

    lcb   mu - kappa sigma                                    "ucb" in the maximising literature
    ei    -E[max(best - loss, 0)]                             Jones et al., 1998

qUCB (Egele et al., arXiv 2207.00479, section III-C): every worker draws its own kappa_0 ~ Exp(mean 1.96), so
that at any time some workers exploit and some explore; each lets it decay, periodically,

    kappa_i = kappa_0 exp(-rho ((i - 1 - delay) mod T))       for i > delay, kappa_0 before

Here kappa_0 = 1.96 (1 - s + s E) with E ~ Exp(1); the published s is 1. Greedy workers get stuck and the
extremely curious waste their evaluations, and proposals differ anyway where running evaluations are shared. With
16 workers, medians of 10 seeds after 200 evaluations:

    spread s             0       0.25    0.5     1
    shifted Ackley-5     3.73    5.16    4.22    6.96
    shifted Levy-8       2.64    2.87    2.51    4.72
    Hartmann-6          -3.197  -3.208  -3.201  -3.202

bUCB (ibid., after Cesa-Bianchi et al., 2017): draw a configuration with p ∝ exp(beta a) where a = -lcb and
beta = gamma ln(t) / |a_max - a_min|.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

from ..common.design import stable_hash

if TYPE_CHECKING:
    from aiohpo.plugin import FloatArray, Identity

ACQUISITIONS = ("qucb", "ucb", "bucb", "ei")


def draw_kappa(mean: float, spread: float, seed: int, identity: Identity) -> float:
    """Draw a worker's kappa_0 from the study's seed and its identity; ``spread`` 1 is Exp(mean), 0 is ``mean``.

    Ranks launched together share the distribution out instead of drawing independently: rank r of n takes the
    mean over the quantiles r/n to (r + 1)/n. So a small swarm has no bad luck, and a worker on its own gets
    ``mean``.
    """
    if identity.rank is not None and identity.size:

        def integral(u: float) -> float:  # of the quantile function of Exp(1), -ln(1 - u)
            return u + (1 - u) * math.log1p(-u) if u < 1 else 1.0

        n, rank = identity.size, identity.rank % identity.size
        draw = n * (integral((rank + 1) / n) - integral(rank / n))
    else:
        draw = -math.log1p(-(stable_hash(seed, identity.worker, "kappa") + 0.5) / 2**64)
    return mean * (1 - spread + spread * draw)


@dataclass(frozen=True, slots=True)
class KappaDecay:
    """The periodic exponential decay of kappa; ``period`` 0 means none."""

    rate: float
    period: int
    delay: int

    def __call__(self, kappa: float, i: int) -> float:
        """Return kappa_i; ``i`` counts from 1."""
        if not self.period or i <= self.delay:
            return kappa
        return kappa * math.exp(-self.rate * ((i - 1 - self.delay) % self.period))


def lcb(mean: FloatArray, std: FloatArray, kappa: float) -> FloatArray:
    """Return the lower confidence bound."""
    return mean - kappa * std


def negative_ei(mean: FloatArray, std: FloatArray, best: float) -> FloatArray:
    """Return minus the expected improvement on ``best``; tiny uncertainties are rounded up."""
    std = np.maximum(std, 1e-9)
    u = (best - mean) / std
    return np.asarray(-std * (u * ndtr(u) + np.exp(-0.5 * u * u) / math.sqrt(2 * math.pi)))


def boltzmann_order(score: FloatArray, t: int, gamma: float, rng: np.random.Generator) -> FloatArray:
    """Return keys whose ascending order is a Boltzmann draw without replacement (the Gumbel trick)."""
    spread = float(np.ptp(score)) or 1.0
    beta = gamma * math.log(max(t, 2)) / spread
    return beta * score - rng.gumbel(size=len(score))
