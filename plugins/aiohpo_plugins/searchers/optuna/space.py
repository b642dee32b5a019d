"""A space and its configurations as Optuna sees them: distributions, parameters, define-by-run.

    Float             FloatDistribution, logarithmic where it is
    Int               IntDistribution, with its step or logarithmic
    stepped, Ordinal  IntDistribution over the levels 0 … k - 1
    Categorical       CategoricalDistribution over 0 … k - 1

Native values (see :mod:`aiohpo.space.space`) are what goes in and out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from aiohpo.space.space import CATEGORICAL, CONTINUOUS

if TYPE_CHECKING:
    from aiohpo.plugin import FloatArray
    from aiohpo.space.space import Space


class OptunaSpace:
    """Distributions by name, and the way to and from them. Needs Optuna."""

    def __init__(self, space: Space) -> None:
        from optuna import distributions as kinds

        self.space = space
        self.distributions: dict[str, Any] = {}
        self._low, self._step = np.zeros(space.dim), np.ones(space.dim)  # of columns that go by level
        for c, name in enumerate(space.names):
            parameter, last = space.params[name], space.cardinality[c] - 1
            scale = parameter.scale
            if space.kinds[c] == CONTINUOUS:
                made: Any = kinds.FloatDistribution(scale.first, scale.last, log=scale.log)
            elif space.kinds[c] == CATEGORICAL:
                made = kinds.CategoricalDistribution(list(range(int(last) + 1)))
            elif parameter.native_type is int:
                made = kinds.IntDistribution(scale.first, scale.last, log=scale.log, step=scale.step)
            else:
                self._low[c], self._step[c] = scale.first, scale.step or 1.0
                made = kinds.IntDistribution(0, int(last))
            self.distributions[name] = made
        self._whole = [not isinstance(d, kinds.FloatDistribution) for d in self.distributions.values()]
        self._order = _parents_first(space)

    def parameters(self, units: FloatArray) -> list[dict[str, Any]]:
        """Return Optuna's parameters of snapped rows (n, d); inactive ones are left out."""
        values = (self.space.decode_native(units) - self._low) / self._step
        return [
            {
                name: int(np.rint(v)) if whole else float(v)
                for name, whole, v in zip(self.space.names, self._whole, row, strict=True)
                if v == v
            }
            for row in values.tolist()
        ]

    def suggest(self, trial: Any) -> FloatArray:
        """Return the snapped row (1, d) that an Optuna trial suggests, asked only for what is active."""
        units = np.full((1, self.space.dim), np.nan)
        for c in self._order:
            name = self.space.names[c]
            # whether a parameter is active depends on its ancestors only, and these are there by now
            if self.space.params[name].condition and np.isnan(self.space.snap(units)[0, c]):
                continue
            d = self.distributions[name]
            if hasattr(d, "choices"):
                value = trial.suggest_categorical(name, d.choices)
            elif self._whole[c]:
                value = trial.suggest_int(name, d.low, d.high, step=d.step, log=d.log)
            else:
                value = trial.suggest_float(name, d.low, d.high, log=d.log)
            native = np.full((1, self.space.dim), np.nan)
            native[0, c] = self._low[c] + self._step[c] * value
            units[0, c] = self.space.encode_native(native)[0, c]
        return self.space.snap(units)


def _parents_first(space: Space) -> list[int]:
    """Return the columns in an order in which parents come before their children."""
    order: list[str] = []

    def place(name: str) -> None:
        if name not in order:
            for parent in space.params[name].condition:
                place(parent)
            order.append(name)

    for name in space.params:
        place(name)
    columns = {name: c for c, name in enumerate(space.names)}
    return [columns[name] for name in order if name in columns]
