"""PED-ANOVA: importance by how differently good trials are distributed (Watanabe, Bansal and Hutter, IJCAI 2023).

Notation: among some trials (all of them, or the best tenth), the *top* ones are a share gamma; p_j(v) is the share of
these trials in which parameter j is active and has the value v, q_j(v) the same of the top ones, P_j and Q_j the shares
in which it is active at all. Functional ANOVA of the indicator "is a top trial" has the terms

    V_j = gamma^2 sum over v of p_j(v) (q_j(v) / p_j(v) - Q_j / P_j)^2

(eq. 16 there for a parameter that is always active, P = Q = 1: the Pearson divergence). As in :mod:`.fanova`, a
parameter counts only where it is active: that good trials have it more often is due to its parents, which Q / P
takes out.

Densities are counts in :mod:`.bins`, smoothed by a Gaussian kernel for what has an order (of Scott's width for the top
trials) and towards the prior by the weight of one trial. Even without any effect, two samples differ: C_j is the mean
V_j of as many trials drawn at random instead of the top ones. The importance of j is

    max(V_j - C_j, 0) / sum over all parameters i of V_i

What is missing to 1 is what chance explains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .bins import Bins
from .forest import GROUPS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..space.encoding import FloatArray
    from ..space.space import Space

_TOP = 0.1  # of all trials
_TOP_OF_BEST = 0.25  # of the best part: a tenth of a tenth would be few
_RANDOM = 50  # random samples that say what no effect looks like


def ped_anova(
    space: Space, U: FloatArray, loss: FloatArray, part: float, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return the importances (1 + groups, d) among all trials, and among the ``part`` of them with the least ``loss``.

    The first row is the estimate by all trials, the others are those of bootstrap samples. ``U`` are unit rows (n, d).
    """
    order = np.argsort(loss, kind="stable")
    best = order[: max(2, round(part * len(order)))]
    return _among(space, U[order], _TOP, rng), _among(space, U[best], _TOP_OF_BEST, rng)


def _among(space: Space, U: FloatArray, gamma: float, rng: np.random.Generator) -> FloatArray:
    """Return importances (1 + groups, d) by unit rows from the best to the worst."""
    n = len(U)
    weights = np.ones((1 + GROUPS, n))
    weights[1:] = rng.multinomial(n, np.full(n, 1 / n), size=GROUPS)
    # The top of a bootstrap sample: its first gamma n trials, the last of them in part.
    before = np.cumsum(weights, axis=1) - weights
    top = np.clip(gamma * n - before, 0.0, weights)
    bins = Bins(space, U)
    codes = bins.codes(U)
    found, beyond_chance = np.zeros((1 + GROUPS, bins.dim)), np.zeros((1 + GROUPS, bins.dim))
    for column in range(bins.dim):
        smooth = _kernel(bins, column, U[:, column], gamma)
        prior = bins.masses[column]
        base, best = _counts(codes[:, column], weights, len(prior)), _counts(codes[:, column], top, len(prior))
        counts = np.bincount(codes[:, column], minlength=len(prior) + 1)
        random = rng.multivariate_hypergeometric(counts, max(1, round(gamma * n)), _RANDOM, method="marginals")[:, 1:]
        chance = _divergence(base[:1], random.astype(np.float64), smooth, prior, n, gamma).mean()
        found[:, column] = _divergence(base, best, smooth, prior, n, gamma)
        beyond_chance[:, column] = np.maximum(found[:, column] - chance, 0.0)
    total = found.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(beyond_chance, total, out=np.zeros_like(found), where=total > 0.0))


def _counts(codes: NDArray[np.intp], weights: FloatArray, size: int) -> FloatArray:
    """Return (samples, K): the weight of the trials in each bin, by the ``weights`` (samples, n) of all."""
    return np.stack([np.bincount(codes, weight, size + 1)[1:] for weight in weights]).astype(np.float64)


def _divergence(
    base: FloatArray, top: FloatArray, smooth: FloatArray, prior: FloatArray, n: int, gamma: float
) -> FloatArray:
    """Return V_j (samples,) by the numbers of all and of the top trials in each bin, each (samples, K)."""
    active, active_top = base.sum(axis=1, keepdims=True), top.sum(axis=1, keepdims=True)
    p = (base @ smooth + prior) / (active + 1.0)  # given that the parameter is active
    q = (top @ smooth + prior) / (active_top + 1.0)
    share, share_top = active / n, active_top / (gamma * n)
    ratio = np.where(share > 0.0, share_top / np.maximum(share, 1.0 / n), 0.0)
    return np.asarray((gamma**2 * share * ratio**2 * p * (q / p - 1.0) ** 2).sum(axis=1))


def _kernel(bins: Bins, column: int, units: FloatArray, gamma: float) -> NDArray[np.float64]:
    """Return (K, K): how a trial in one bin counts in each."""
    size = int(bins.sizes[column])
    known = units[~np.isnan(units)]
    if bins.categorical[column] or len(known) < 2:
        return np.eye(size)
    centres, mass = bins.centres(column), bins.masses[column]
    width = max(float(known.std()) * max(gamma * len(known), 1.0) ** -0.2, 0.25 / size)
    weight = np.exp(-0.5 * ((centres[:, None] - centres) / width) ** 2) * mass
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))
