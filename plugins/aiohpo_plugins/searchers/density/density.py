"""Mixtures of product kernels over configurations of any type: the densities that KDE and TPE compare.

    p(x) = sum_i w_i prod_c k_c(x_c | c_i)          c_i: the mixture's centres, observed configurations

The product runs over the parameters that are active in x. The kernels of a column c with bandwidth h:

continuous   a Gaussian of standard deviation h around the centre, truncated to [0, 1]
ordered      the same Gaussian's mass on the share of [0, 1] that the level owns (beyond MANY levels, its density)
categorical  1 - h at the centre, h / (k - 1) at each other of the k categories (Aitchison and Aitken, 1976)
inactive     where the parameter is inactive in the centre, the uniform density: this centre knows nothing of it

The last makes p a proper density of conditional spaces, in which nothing needs to be imputed: x is drawn by
drawing every column from the kernels of one centre and then applying the conditions.

All kernels are exponentials of inner products of features of x with coefficients of the centre (x^2, x and 1 for a
Gaussian; an indicator per level for the others). So one matrix product evaluates all centres at all candidates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

from aiohpo.space.space import CATEGORICAL, CONTINUOUS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aiohpo.plugin import FloatArray
    from aiohpo.space.space import Space

MANY = 64  # levels of an ordered column from which on its kernel is a density
_TINY = 1e-300
_BLOCK = 64  # rows of which a mixture is evaluated at a time, so that what is computed of them stays in the cache


@dataclass(frozen=True, slots=True)
class _Table:
    """A column of few levels: the ends (k + 1,) of the levels' shares of [0, 1]."""

    column: int
    edges: FloatArray
    categorical: bool

    @property
    def levels(self) -> int:
        return len(self.edges) - 1

    def level(self, units: FloatArray) -> NDArray[np.intp]:
        """Return the levels of units (n,) that are active."""
        return np.searchsorted(self.edges, units, side="right").clip(1, self.levels) - 1


class Kernels:
    """The kernels of a space's columns: features of configurations, coefficients of centres."""

    def __init__(self, space: Space) -> None:
        self.space = space
        few = (space.kinds == CATEGORICAL) | ((space.kinds != CONTINUOUS) & (space.cardinality <= MANY))
        self.smooth: NDArray[np.intp] = np.flatnonzero(~few)
        self.categorical: NDArray[np.bool_] = space.kinds == CATEGORICAL
        # a kernel narrower than this would give the levels next to its own no mass to speak of
        self.finest: FloatArray = 0.25 / space.cardinality
        self._tables = [_Table(int(c), _edges(space, int(c)), bool(self.categorical[c])) for c in np.flatnonzero(few)]

    def features(self, units: FloatArray) -> FloatArray:
        """Return the features (n, f) of snapped rows (n, d)."""
        x = units[:, self.smooth]
        active = ~np.isnan(x)
        x = np.where(active, x, 0.0)
        parts = [x * x, x, active.astype(np.float64)]
        for table in self._tables:
            x = units[:, table.column]
            level = np.where(np.isnan(x), -1, table.level(np.nan_to_num(x)))
            parts.append((level[:, None] == np.arange(table.levels)).astype(np.float64))
        return np.concatenate(parts, axis=1)

    def coefficients(self, centres: FloatArray, widths: FloatArray) -> FloatArray:
        """Return the coefficients (m, f) of centres (m, d) with bandwidths (m, d)."""
        c, h = centres[:, self.smooth], widths[:, self.smooth]
        active = ~np.isnan(c)
        c = np.where(active, c, 0.5)
        precision = np.where(active, 1.0 / (h * h), 0.0)
        mass = ndtr((1.0 - c) / h) - ndtr(-c / h)
        scale = np.where(active, -np.log(h * mass) - 0.5 * np.log(2 * np.pi), 0.0)
        parts = [-0.5 * precision, precision * c, scale - 0.5 * precision * c * c]
        for table in self._tables:
            share = self._shares(table, centres[:, table.column], widths[:, table.column])
            parts.append(np.log(np.maximum(share, _TINY)))
        return np.concatenate(parts, axis=1)

    def _shares(self, table: _Table, centre: FloatArray, width: FloatArray) -> FloatArray:
        """Return (m, k): the probability of each level."""
        k = table.levels
        active = ~np.isnan(centre)
        filled = np.where(active, centre, 0.5)
        if k == 1:
            return np.ones((len(centre), 1))
        if table.categorical:
            other = np.broadcast_to((width / (k - 1))[:, None], (len(centre), k))
            share = np.where(table.level(filled)[:, None] == np.arange(k), 1.0 - width[:, None], other)
        else:
            below = ndtr((table.edges - filled[:, None]) / width[:, None])
            share = np.diff(below, axis=1) / (below[:, -1:] - below[:, :1])
        return np.where(active[:, None], share, np.diff(table.edges))

    def with_prior(self, centres: FloatArray, widths: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return both with one row more: a kernel that covers everything."""
        # categories: NaN is uniform; numbers: as wide as the range, in its middle, so with some mistrust of the ends
        centre = np.where(self.categorical, np.nan, 0.5)
        width = np.where(self.categorical, 0.5, 1.0)
        return np.concatenate([centres, centre[None]]), np.concatenate([widths, width[None]])

    def draw(self, rng: np.random.Generator, centres: FloatArray, widths: FloatArray) -> FloatArray:
        """Return (m, d): one snapped row from the kernels of each centre."""
        u = rng.random(centres.shape)
        filled = np.where(np.isnan(centres), 0.5, centres)
        low, high = ndtr(-filled / widths), ndtr((1.0 - filled) / widths)
        drawn = filled + widths * ndtri(low + u * (high - low))
        # a move to one of the other categories, each as likely: 0 and h (k - 1) / k more is the centre's own
        k = np.where(np.isfinite(self.space.cardinality), self.space.cardinality, 1.0)
        moved = rng.random(centres.shape) < widths * k / np.maximum(k - 1.0, 1.0)
        drawn = np.where(self.categorical, np.where(moved, u, filled), drawn)
        return self.space.snap(np.where(np.isnan(centres), u, drawn))


def _edges(space: Space, column: int) -> FloatArray:
    """Return the ends of the shares of [0, 1] that the levels of a column own."""
    k = int(space.cardinality[column])
    parameter = space.params[space.names[column]]
    scale = parameter.scale
    if scale.log:
        ends = np.log(np.arange(scale.first, scale.last + 2) - 0.5)
        return np.asarray((ends - ends[0]) / (ends[-1] - ends[0]))
    return np.linspace(0.0, 1.0, k + 1)


# ------------------------------------------------------------------------------------------------ bandwidths
def reference_widths(kernels: Kernels, centres: FloatArray, least: float, moves: float) -> FloatArray:
    """Return one bandwidth (d,) per column by the normal reference rule, at least ``least``.

    ``moves`` is what :func:`category_widths` takes.
    """
    d = kernels.space.dim
    known = np.maximum((~np.isnan(centres)).sum(axis=0), 1)
    mean = np.nansum(centres, axis=0) / known
    std = np.sqrt(np.nansum((centres - mean) ** 2, axis=0) / known)
    widths = np.clip(1.06 * std * known ** (-1.0 / (d + 4)), np.maximum(least, kernels.finest), 1.0)
    return np.where(kernels.categorical, category_widths(kernels, moves), widths)


def neighbour_widths(kernels: Kernels, centres: FloatArray, moves: float) -> FloatArray:
    """Return a bandwidth (m, d) per centre and column: the larger of the distances to the nearest centres below
    and above (the outermost have one neighbour), within 1 / min(100, n + 2) and 1."""
    n = (~np.isnan(centres)).sum(axis=0)
    order = np.argsort(centres, axis=0, kind="stable")  # NaN comes last
    gaps = np.diff(np.take_along_axis(centres, order, axis=0), axis=0)
    gaps = np.where(np.isnan(gaps), 0.0, gaps)
    none = np.zeros((1, centres.shape[1]))
    sorted_widths = np.maximum(np.concatenate([none, gaps]), np.concatenate([gaps, none]))
    widths = np.empty_like(centres)
    np.put_along_axis(widths, order, sorted_widths, axis=0)
    widths = np.where(n < 2, 1.0, widths)
    widths = np.clip(widths, np.maximum(1.0 / np.minimum(100.0, n + 2.0), kernels.finest), 1.0)
    return np.where(kernels.categorical, category_widths(kernels, moves), widths)


def category_widths(kernels: Kernels, moves: float) -> FloatArray:
    """Return (d,): the bandwidths of categories, ``moves`` (k - 1) / k; with ``moves`` 1, a kernel is uniform."""
    k = np.where(kernels.categorical, kernels.space.cardinality, 1.0)
    return moves * (k - 1.0) / k


class Density:
    """A mixture of product kernels.

    Args:
        kernels: of the space.
        centres: (m, d) snapped rows; at least one.
        widths: (m, d) bandwidths.
        weights: (m,) of the centres, any positive numbers; equal if not given.
    """

    def __init__(
        self, kernels: Kernels, centres: FloatArray, widths: FloatArray, weights: FloatArray | None = None
    ) -> None:
        self._kernels, self._centres, self._widths = kernels, centres, widths
        weights = np.ones(len(centres)) if weights is None else weights
        self._shares = weights / weights.sum()
        self._coefficients = kernels.coefficients(centres, widths)

    def __len__(self) -> int:
        return len(self._centres)

    def log(self, features: FloatArray) -> FloatArray:
        """Return the log density (n,) of rows, given by their features (n, f), in the precision of these. In single
        precision it is off by about 1e-7 / h^2 for each column, where h is the smallest bandwidth."""
        found = np.empty(len(features), features.dtype)
        coefficients = self._coefficients.astype(features.dtype, copy=False)
        log_shares = np.log(self._shares).astype(features.dtype, copy=False)
        for at in range(0, len(features), _BLOCK):
            exponent = features[at : at + _BLOCK] @ coefficients.T
            exponent += log_shares
            top = exponent.max(axis=1)
            exponent -= top[:, None]
            np.exp(exponent, out=exponent)
            found[at : at + _BLOCK] = top + np.log(exponent.sum(axis=1))
        return found

    def draw(self, rng: np.random.Generator, n: int, factor: float = 1.0) -> FloatArray:
        """Return ``n`` snapped rows; ``factor`` widens the kernels of numbers."""
        which = rng.choice(len(self._centres), n, p=self._shares)
        widths = self._widths[which]
        widths = np.where(self._kernels.categorical, widths, factor * widths)
        return self._kernels.draw(rng, self._centres[which], widths)
