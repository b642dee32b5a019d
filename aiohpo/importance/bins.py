"""Every column of a space in bins, with the share of the prior that each bin holds.

The *prior* is what :meth:`aiohpo.space.space.Space.sample` draws from: every parameter uniform in its unit encoding
(log-uniform for ``log=True``), conditions applied. A column of at most 64 levels has a bin for each of them. Others are
cut at evenly spaced units and at quantiles of the trials, so that bins are narrow where a search looked closely.

In codes, 0 stands for an inactive entry and 1, 2, … for the bins of the column, ascending.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..space.parameter import CATEGORICAL, CONTINUOUS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..space.encoding import FloatArray
    from ..space.parameter import Parameter
    from ..space.space import Space

_MOST_LEVELS = 64  # of a column with a bin for each level
_CUTS = 33  # ends of evenly spaced bins, and as many quantiles
_MOST_ENDS = 2048  # levels of which each may end a bin


class Bins:
    """The bins of all columns of ``space``, as fits the unit rows ``U`` (n, d) of the trials.

    sizes   (d,) the number K of bins of each column, without the inactive one
    masses  for each column (K,): the share of the prior of each bin, where the parameter is active
    """

    def __init__(self, space: Space, U: FloatArray) -> None:
        self.dim = space.dim
        self.categorical = space.kinds == CATEGORICAL
        conditions = {(column, natives) for condition in space.conditions for column, natives in condition}
        self._edges = []
        for c, name in enumerate(space.names):
            named = [level for column, natives in conditions if column == c for level in natives]
            self._edges.append(_edges(space[name], U[~np.isnan(U[:, c]), c], named))
        self.masses = [np.diff(edges) for edges in self._edges]
        self.sizes = np.array([len(mass) for mass in self.masses], np.intp)
        self._space = space

    def codes(self, U: FloatArray) -> NDArray[np.intp]:
        """Return the codes (n, d) of unit rows."""
        found = np.empty(U.shape, np.intp)
        for c, edges in enumerate(self._edges):
            found[:, c] = np.searchsorted(edges[1:-1], U[:, c], side="right") + 1
        found[np.isnan(U)] = 0
        return found

    def codes_of(self, column: int, natives: frozenset[float | int]) -> frozenset[int]:
        """Return the codes of native values of one column. A value that a condition names never shares a bin."""
        V = np.full((len(natives), self.dim), np.nan)
        V[:, column] = sorted(natives)
        return frozenset(self.codes(self._space.encode_native(V))[:, column].tolist())

    def centres(self, column: int) -> FloatArray:
        """Return the middles (K,) of a column's bins in units."""
        return (self._edges[column][1:] + self._edges[column][:-1]) / 2

    def __repr__(self) -> str:
        return f"<Bins of {self.dim} columns, {int(self.sizes.sum())} in all>"


def _edges(parameter: Parameter, units: FloatArray, named: list[float | int]) -> FloatArray:
    """Return the ends (K + 1,) of a column's bins in units, from 0 to 1, given the active ``units`` of the trials and
    the native values that conditions name."""
    levels = parameter.levels
    if parameter.kind == CONTINUOUS or levels is None:
        ends, fixed = np.empty(0), np.empty(0)
    elif parameter.kind == CATEGORICAL or levels <= _MOST_LEVELS:
        return _ends(parameter, np.arange(levels + 1.0))
    else:
        step = parameter.scale.step or 1
        places = np.array([round((value - parameter.scale.first) / step) for value in named], np.float64)
        fixed = _ends(parameter, np.concatenate([places, places + 1.0]))
        ends = _ends(parameter, np.arange(levels + 1.0)) if levels <= _MOST_ENDS else np.empty(0)
    even = np.linspace(0.0, 1.0, _CUTS)
    wanted = np.concatenate([even, np.quantile(units, even)]) if len(units) else even
    if len(ends):
        wanted = ends[np.abs(np.subtract.outer(wanted, ends)).argmin(axis=1)]
    return np.unique(np.concatenate([[0.0, 1.0], fixed, wanted]))


def _ends(parameter: Parameter, places: FloatArray) -> FloatArray:
    """Return the units at which levels begin, given by their places among the levels; see
    :mod:`aiohpo.space.encoding` for the shares of levels."""
    scale = parameter.scale
    if not scale.log:
        return places / float(parameter.levels or 1)
    low, high = math.log(scale.low), math.log(scale.high)
    return np.clip((np.log(scale.low + places) - low) / (high - low), 0.0, 1.0)
