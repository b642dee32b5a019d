"""Functional analysis of variance on a forest (Hutter, Hoos and Leyton-Brown, 2014).

Notation: f is the loss as a function of the configuration x, which is distributed by the prior; x_j is one parameter,
A_j the part of the space in which it is active, S a region: the whole space, or the part where f is among the best.

    a_j(v)  = E[f | x_j = v, x in A_j and S]                      the marginal of parameter j
    V_j     = P(A_j | S) Var(a_j(x_j) | A_j and S)                what j explains by itself
    V       = Var(f | S)
    importance of j = V_j / V

A parameter counts only where it is active: whether it is active is decided by its parents, so the difference between
"active" and "inactive" is theirs. With independent parameters and S the whole space, the terms are orthogonal: all V_j
together are at most V, and what is missing are interactions. Within the best part the parameters depend on one another,
and shares may overlap.

For f stand trees f_t, grown on bootstrap samples of the trials. They are noisy, and the noise of a squared mean would
count as importance, that of parameters without any effect above all. So squares are replaced by products of different
trees: with a tree's region S_t, its density D_t(v) = P(x_j = v, A_j and S_t), D their mean, and
r_t(v) = D_t(v) (a_jt(v) - mean),

    V_j = sum over v of the mean over pairs s != t of r_s(v) r_t(v) / D(v)

V is the variance of the trees' own predictions. A tree has leaves of two trials, so V contains what the metric varies
at random, which therefore counts as explained by no parameter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .bins import Bins
from .forest import GROUPS, BoxForest
from .prior import components_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..space.encoding import FloatArray
    from ..space.space import Space
    from .prior import PriorComponent


def fanova(
    space: Space, U: FloatArray, loss: FloatArray, part: float, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return the importances (1 + groups, d) over the whole space, and those within its best part.

    The first row is the estimate by all trees; the others are those of each group by itself, from a bootstrap sample
    of the trials. ``U`` are unit rows (n, d), NaN where inactive; the best part is where a tree predicts a loss of at
    most the ``part`` quantile of ``loss`` (n,), which is to be of magnitude 1.
    """
    bins = Bins(space, U)
    components = components_of(space, bins, rng)
    forest = BoxForest(bins, bins.codes(U), loss, rng)
    everywhere = np.arange(len(forest.value))
    best = np.flatnonzero(forest.value <= np.quantile(loss, part))
    return _shares(forest, components, everywhere), _shares(forest, components, best)


def _shares(forest: BoxForest, components: list[PriorComponent], which: NDArray[np.intp]) -> FloatArray:
    """Return V_j / V (1 + groups, d) in the region that the leaves ``which`` make up."""
    mass, total, (region, first, second) = forest.marginals(components, which)
    result = np.zeros((1 + GROUPS, len(mass)))
    if not region.sum() > 0.0:
        return result
    mean = first.sum() / region.sum()
    spread = second - 2 * mean * first + mean**2 * region
    variance = np.concatenate([[spread.mean()], spread.reshape(GROUPS, -1).mean(axis=1)])
    for column, (D, N) in enumerate(zip(mass, total, strict=True)):
        if D.sum() > 0.0:
            density = D.mean(axis=0)
            squares = _products(N - N.sum() / D.sum() * D)
            explained = np.divide(squares, density, out=np.zeros_like(squares), where=density > 0.0).sum(axis=1)
            result[:, column] = explained
    found = np.divide(result, variance[:, None], out=np.zeros_like(result), where=variance[:, None] > 0.0)
    return np.asarray(np.clip(found, 0.0, 1.0))


def _products(r: FloatArray) -> FloatArray:
    """Return (1 + groups, k): the mean of r_s r_t over trees s and t of different groups, then for each group over its
    own trees, of ``r`` (trees, k)."""
    grouped = r.reshape(GROUPS, -1, r.shape[1])
    means = grouped.mean(axis=1)
    across = (means.sum(axis=0) ** 2 - (means**2).sum(axis=0)) / (GROUPS * (GROUPS - 1))
    m = grouped.shape[1]
    within = (grouped.sum(axis=1) ** 2 - (grouped**2).sum(axis=1)) / (m * (m - 1))
    return np.concatenate([across[None], within])
