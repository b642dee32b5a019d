"""The two array encodings of configurations, and the way between them, vectorised.

Both are float64 arrays of shape (n, d), a column per tunable parameter, NaN where a condition makes the
parameter inactive:

native  V: the value of a Float or Int, the index of the choice of a Categorical or Ordinal
unit    U: in [0, 1], what searchers work on

    Float              u = (v - low) / (high - low)
    Float, log         u = (ln v - ln low) / (ln high - ln low)
    k levels, level i  u = (i + 0.5) / k                         Int, stepped Float, Ordinal, Categorical
    Int, log           u = (ln v - ln a) / (ln b - ln a)         a = low - 0.5, b = high + 0.5

Backwards, u belongs to level floor(u k): every level owns an equal share of [0, 1] and sits in its middle.
For a log Int it is the integer nearest to exp(ln a + u (ln b - ln a)), so v owns the share
(ln(v + 0.5) - ln(v - 0.5)) / (ln b - ln a). So uniform u gives the usual uniform, log-uniform and log-integer
distributions, and snapping what is snapped changes nothing. A Float of few doubles snaps to the nearest of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .conditions import Condition
from .parameter import CATEGORICAL, CONTINUOUS, Parameter
from .scalars import double_at, double_rank

FloatArray = NDArray[np.float64]


def satisfied(condition: Condition, V: FloatArray) -> NDArray[np.bool_]:
    """Say for each row of native values ``V`` (n, d) whether ``condition`` holds."""
    active = np.ones(len(V), np.bool_)
    for column, values in condition:
        if len(values) == 1:
            active &= V[:, column] == next(iter(values))
        else:
            active &= np.isin(V[:, column], list(values))
    return active


class Encoding:
    """Formulas of all columns, grouped so that a call costs numpy operations per formula, not per column."""

    def __init__(self, params: Sequence[Parameter], conditions: Sequence[Condition], order: Sequence[int]) -> None:
        d = len(params)
        # v = base + step i for levels; the linear or logarithmic quantity is low + span u for the others
        self._base, self._step, self._levels = np.zeros(d), np.ones(d), np.ones(d)
        self._low, self._span = np.zeros(d), np.ones(d)
        self._first, self._last = np.zeros(d), np.zeros(d)
        self._tables: list[tuple[int, FloatArray]] = []
        for c, p in enumerate(params):
            self._levels[c] = p.levels or math.inf
            scale = p.scale
            self._first[c], self._last[c] = scale.first, scale.last
            self._base[c], self._step[c] = scale.first, scale.step or 1.0
            self._low[c] = math.log(scale.low) if scale.log else scale.low
            self._span[c] = (math.log(scale.high) if scale.log else scale.high) - self._low[c]
            if scale.table:
                self._tables.append((c, np.array(scale.table)))
        log = np.array([p.scale.log for p in params], bool)
        continuous = np.array([p.kind == CONTINUOUS for p in params], bool)
        self._categorical = [p.kind == CATEGORICAL for p in params]
        self._continuous = np.flatnonzero(continuous)
        self._kept = _columns(continuous & np.isinf(self._levels))
        self._linear, self._log = _columns(continuous & ~log), _columns(continuous & log)
        self._logint, self._logs = _columns(~continuous & log), _columns(log)
        self._level, self._bounded = _columns(~continuous & ~log), _columns(continuous | log)
        self._level_columns = np.flatnonzero(~continuous & ~log)
        # parameters often share a condition: one mask serves all of them
        shared: dict[Condition, list[int]] = {}
        for c in order:
            if conditions[c]:
                shared.setdefault(conditions[c], []).append(c)
        self._masks = [(condition, np.array(children, np.intp)) for condition, children in shared.items()]
        self._middle = np.full(d, 0.5)
        self._middle = self._defaults(params)

    def _defaults(self, params: Sequence[Parameter]) -> FloatArray:
        natives = np.full((1, len(params)), np.nan)
        for c, p in enumerate(params):
            native = p.default_native
            if native is not None:
                natives[0, c] = native
        units = self.to_unit(natives)[0]
        return np.where(np.isnan(units), 0.5, units)

    def _deactivate(self, V: FloatArray) -> None:
        """Set to NaN, in place, what conditions make inactive. Parents come first, and NaN equals nothing."""
        for condition, children in self._masks:
            V[np.ix_(~satisfied(condition, V), children)] = np.nan

    def to_native(self, U: FloatArray) -> FloatArray:
        """Return the nearest representable native values, conditions applied; NaN stands for the default."""
        V = self._natives(U)
        self._deactivate(V)
        return V

    def _natives(self, U: FloatArray) -> FloatArray:
        """As :meth:`to_native`, as if every parameter were active."""
        U = self._within(U)
        V = np.empty_like(U)
        if (c := self._linear) is not None:
            V[:, c] = self._low[c] + self._span[c] * U[:, c]
        if (c := self._log) is not None:
            V[:, c] = np.exp(self._low[c] + self._span[c] * U[:, c])
        if (c := self._logint) is not None:
            V[:, c] = np.rint(np.exp(self._low[c] + self._span[c] * U[:, c]))
        if (c := self._level) is not None:
            level = np.minimum(np.floor(U[:, c] * self._levels[c]), self._levels[c] - 1)
            V[:, c] = self._base[c] + self._step[c] * level
            for column, table in self._tables:
                V[:, column] = table[level[:, np.searchsorted(self._level_columns, column)].astype(np.intp)]
        if (c := self._bounded) is not None:  # rounding must not leave the range
            V[:, c] = np.minimum(np.maximum(V[:, c], self._first[c]), self._last[c])
        return V

    def _within(self, U: FloatArray) -> FloatArray:
        """Units with the default in place of NaN, none outside [0, 1]."""
        return np.minimum(np.maximum(np.where(np.isnan(U), self._middle, U), 0.0), 1.0)

    def to_unit(self, V: FloatArray) -> FloatArray:
        """Return the units of native values; NaN stays NaN."""
        U = np.empty_like(V)
        if (c := self._linear) is not None:
            U[:, c] = (V[:, c] - self._low[c]) / self._span[c]
        if (c := self._logs) is not None:
            U[:, c] = (np.log(V[:, c]) - self._low[c]) / self._span[c]
        if (c := self._level) is not None:
            U[:, c] = (np.rint((V[:, c] - self._base[c]) / self._step[c]) + 0.5) / self._levels[c]
            for column, table in self._tables:
                U[:, column] = (_nearest(table, V[:, column]) + 0.5) / len(table)
        return np.minimum(np.maximum(U, 0.0), 1.0)

    def snap(self, U: FloatArray) -> FloatArray:
        """Return the units of the nearest representable configurations, conditions applied."""
        V = self.to_native(U)
        snapped = self.to_unit(V)
        # a continuous unit is representable as it is; through exp and log it would move by an ulp each time
        if (c := self._kept) is not None:
            snapped[:, c] = np.where(np.isnan(V[:, c]), np.nan, self._within(U)[:, c])
        return snapped

    def points(self, column: int, resolution: int) -> list[float]:
        """Return native values that cover a column, ascending.

        All if there are at most ``resolution`` or it is categorical; else that many evenly spaced units, ends
        included (the middle if ``resolution`` is 1).
        """
        levels, d = self._levels[column], self._levels.size
        if levels <= resolution or self._categorical[column]:
            for tabulated, table in self._tables:
                if tabulated == column:
                    return [float(v) for v in table]
            if column in self._continuous:
                first = double_rank(float(self._first[column]))
                return [double_at(first + i) for i in range(int(levels))]
            return [float(v) for v in self._base[column] + self._step[column] * np.arange(levels)]
        ends = np.full((2, d), np.nan)
        ends[:, column] = self._first[column], self._last[column]
        low, high = self.to_unit(ends)[:, column]
        U = np.full((resolution, d), 0.5)
        U[:, column] = np.linspace(low, high, resolution) if resolution > 1 else 0.5
        return [float(v) for v in np.unique(self._natives(U)[:, column])]


def _columns(which: NDArray[np.bool_]) -> slice | NDArray[np.intp] | None:
    """Return how to index the columns that are True, None if there are none: as a slice if they are neighbours, which
    saves a single configuration, as searchers ask for it, most of the time of these formulas."""
    c = np.flatnonzero(which)
    if not c.size:
        return None
    return slice(int(c[0]), int(c[-1]) + 1) if c[-1] - c[0] == c.size - 1 else c


def _nearest(table: FloatArray, values: FloatArray) -> FloatArray:
    """Return (n,) which entry of an ascending ``table``, of at least two, is nearest to each of ``values`` (n,); NaN
    stays NaN."""
    above = np.searchsorted(table, values).clip(1, len(table) - 1)
    level = np.where(values - table[above - 1] < table[above] - values, above - 1, above)
    return np.where(np.isnan(values), np.nan, level)
