"""In which unit numbers are drawn, where they are too large or too small for an axis.

An axis is computed with sums, differences and products of its limits. They overflow where values come near 1.8e308,
the largest number in double precision, and vanish near 1e-308, the smallest. So extreme values are divided by a power
of ten, which the axis' label names; a logarithmic axis that reaches so far shows the logarithm itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from ..errors import UsageError, listing
from ..space.parameter import Parameter
from ..text import printable

if TYPE_CHECKING:
    from ..view.trials import TrialRecord

_LARGE, _SMALL = 1e200, 1e-200  # matplotlib 3.11 warns from 1e300 (logarithmic) and 1e308 (linear) on

_LONGEST, _WIDEST = 40, 30  # characters of a name, of one beside or below an axis


@dataclass(frozen=True, slots=True)
class Quantity:
    """Something with a ``name`` that is drawn in units of 10**``exponent``, or as its logarithm."""

    name: str
    exponent: int = 0
    logarithm: bool = False

    @classmethod
    def of(cls, name: str, values: Iterable[float]) -> Quantity:
        """Choose the unit for ``values``: 1 but for extreme ones."""
        largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
        ordinary = largest == 0 or _SMALL <= largest <= _LARGE
        return cls(name, 0 if ordinary else math.floor(math.log10(largest)))

    @classmethod
    def of_parameter(cls, name: str, parameter: Parameter) -> Quantity:
        """Choose the unit for the range of a parameter; one whose values are not numbers has none."""
        scale = parameter.scale
        if not scale.numeric:
            return cls(name)
        if scale.log:
            return cls(name, logarithm=scale.first < _SMALL or scale.last > _LARGE)
        return cls.of(name, (scale.first, scale.last))

    def drawn(self, value: float) -> float:
        """Where ``value`` stands on the axis."""
        if self.logarithm:
            return math.log10(value)
        return float(Decimal(value).scaleb(-self.exponent)) if self.exponent else float(value)

    def words(self, drawn: float, digits: int = 6) -> str:
        """The value that stands at ``drawn``, in ``digits`` digits."""
        exact = Decimal(drawn).scaleb(self.exponent) if self.exponent and drawn else drawn
        return f"{exact:.{digits}g}"

    @property
    def text(self) -> str:
        """The name alone."""
        return printable(self.name, _LONGEST)

    @property
    def label(self) -> str:
        """The axis' label."""
        name = printable(self.name, _WIDEST)
        if self.logarithm:
            return f"log10 of {name}"
        return f"{name} / 1e{self.exponent}" if self.exponent else name


def metric_of(
    objective: str, records: Sequence[TrialRecord], name: str | None = None
) -> tuple[Quantity, list[TrialRecord]]:
    """The metric and the trials with their values in its unit. With ``name`` another metric that trials reported stands
    in the place of the ``objective``'s. Raises ``UsageError`` if none did."""
    if name is not None and name != objective:
        records = _by_another(records, name)
    values = [value for r in records for value in (r.value, *r.curve.values()) if value is not None]
    metric = Quantity.of(name or objective, values)
    if not metric.exponent:
        return metric, list(records)
    return metric, [
        replace(
            r,
            value=None if r.value is None else metric.drawn(r.value),
            curve={step: metric.drawn(value) for step, value in r.curve.items()},
        )
        for r in records
    ]


def _by_another(records: Sequence[TrialRecord], name: str) -> list[TrialRecord]:
    known = {metric for r in records for metric in r.curves}
    if name not in known:
        raise UsageError(
            f"no trial reported {name!r} on its way"
            + (f"; there are curves of {listing(sorted(known))}" if known else ": call trial.report(…) at each step")
        )

    def finite(curve: Mapping[int, float]) -> dict[int, float]:
        return {step: value for step, value in curve.items() if math.isfinite(value)}

    return [
        replace(
            r,
            value=value if math.isfinite(value := r.metrics.get(name, math.nan)) else None,
            curve=finite(r.curves.get(name, {})),
        )
        for r in records
    ]
